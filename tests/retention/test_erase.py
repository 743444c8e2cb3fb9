"""Erasure: after it no file of the workspace names the user, and all else is what it was."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.windows import draw_windows
from driftune.errors import DriftuneError, LakeDamageError, LakeError, SourceUnavailableError
from driftune.features.encoder import load_encoder
from driftune.intake.commit import commit
from driftune.intake.ingest import check, domains_for, ingest
from driftune.intake.release import release_day
from driftune.intake.stage import stage
from driftune.lake.scratch import scratch
from driftune.lake.source import fetch
from driftune.lake.suppressed import read_suppressed
from driftune.lake.table import Lake
from driftune.lake.versions import day_versions, export_day
from driftune.locks import locked
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.quality.record import read_quality
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed
from driftune.reports import build_site
from driftune.retention.erase import Erased, apply_again, erase, would_erase
from driftune.retention.texts import redacted
from driftune.training.pretrain import encoder_folder, load_model
from tests.conftest import World, impressions, made_once
from tests.crowning import KEY, crown
from tests.forks import kill_at
from tests.marks import CI

USER, OTHER = "ana-77", "bo-78"
RESPELLED = "SELECT md5(string_agg(r::VARCHAR, '\n' ORDER BY r::VARCHAR)), count(*) FROM ({}) AS r"


@pytest.fixture(scope="session")
def _lived(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "two-deliveries", live, _trained)


@pytest.fixture
def lived(_lived: Path, tmp_path: Path) -> World:
    """A world with a day of two deliveries and the user in lake, quarantine and records."""
    return World.copied(_lived, tmp_path / "lived")


def live(folder: Path) -> None:
    """Bring in the two deliveries and look for drift."""
    world = World(folder)
    day, frame = world.day(3), impressions(world.day(3))
    with Ledger(world.config) as ledger:
        for rows in (40, 50):
            frame.loc[frame.index[:rows], "user_id"] = USER
            frame.loc[frame.index[rows : 2 * rows], "user_id"] = OTHER
            frame.loc[frame.index[:3], "click"] = 5
            world.write(day, frame)
            ingest(world.config, ledger, day)
        assert detect(world, ledger, day)
        build_site(world.config, ledger)


def detect(world: World, ledger: Ledger, day: date) -> list[str]:
    """Drift of the day, as the daily flow looks for it; returns the decisions."""
    drawn = draw_windows(world.config, ledger, day)
    measured = [measure_domain(world.config, window) for window in drawn]
    return decide_day(world.config, ledger, drawn, measured)


def remove(world: World, *users: str) -> Erased:
    with Ledger(world.config) as ledger:
        return erase(world.config, ledger, users, "asked by letter")


def naming(world: World, user: str) -> list[str]:
    """Files of the workspace that name the user: bytes, parquet and databases read as such."""
    found = []
    word = re.compile(rb"(?<![0-9A-Za-z-])" + user.encode() + rb"(?![0-9A-Za-z-])")
    for path in sorted(world.config.home.rglob("*")):
        if not path.is_file():
            continue
        named = bool(word.search(path.read_bytes()))
        if path.suffix == ".parquet":
            text = duckdb.read_parquet(str(path), hive_partitioning=False).df().to_csv()
            named = named or user in text
        if path.suffix == ".db":
            with sqlite3.connect(path) as con:
                named = named or any(user in line for line in con.iterdump())
        if named:
            found.append(str(path.relative_to(world.config.home)))
    return found


def others(world: World, user: str = USER) -> tuple[str, int]:
    """A checksum and the number of all rows of the lake but the user's."""
    view = Lake.of(world.config)
    rows = f"SELECT * FROM {view.relation(view.days)} WHERE user_id <> '{user}'"
    with duckdb.connect() as con:
        return con.execute(RESPELLED.format(rows)).fetchone() or ("", 0)


def test_no_file_names_the_user_and_all_else_is_what_it_was(lived: World) -> None:
    before, day = others(lived), lived.day(3)
    named = naming(lived, USER)
    assert {path.split("/")[0] for path in named} >= {"lake", "quality", "quarantine"}
    with Ledger(lived.config) as ledger:
        told = would_erase(lived.config, ledger, [USER])
    assert naming(lived, USER) == named
    done = remove(lived, USER)
    assert done.counts == told.counts
    assert (done.rows, done.quarantined, done.old_files, done.elsewhere) == (47, 3, 2, [])
    assert naming(lived, USER) == []
    assert others(lived) == before
    assert naming(lived, OTHER)
    quality = read_quality(Workspace(lived.config), day)
    assert quality is not None
    assert (quality.rejected, quality.examples) == (3, [])


@pytest.mark.slow
@pytest.mark.ci
def test_the_vocabulary_forgets_and_the_encoder_stays_the_same(
    trained_world: World,
) -> None:
    folder = encoder_folder(trained_world.config)
    before = load_encoder(folder)
    known = pd.read_parquet(before.vocabulary)
    user = known[known.field == "user"].value.iloc[0]
    for _ in range(2):
        remove(trained_world, user)
        assert load_encoder(folder) == before
    after = pd.read_parquet(before.vocabulary)
    assert user not in set(after.value[after.field == "user"])
    pd.testing.assert_frame_equal(
        after.dropna(), known[~((known.field == "user") & (known.value == user))]
    )
    load_model(trained_world.config)


@pytest.mark.slow
@pytest.mark.ci
def test_files_that_still_hold_the_user_are_a_no_op_and_later_ones_bring_none_back(
    lived: World,
) -> None:
    day = lived.day(3)
    remove(lived, USER)
    with Ledger(lived.config) as ledger:
        again = ingest(lived.config, ledger, day)
        assert (again.changed, again.revision) == (False, 2)
        for number in range(3):
            assert not ingest(lived.config, ledger, lived.day(number)).changed
        later, frame = lived.day(4), impressions(lived.day(4))
        frame.loc[frame.index[:100], "user_id"] = USER
        frame.loc[frame.index[:5], "click"] = 5
        lived.write(later, frame)
        taken = ingest(lived.config, ledger, later)
        assert (taken.quality.rows, taken.quality.rejected) == (1100, 0)
        assert not ingest(lived.config, ledger, later).changed
        assert detect(lived, ledger, later)
    assert naming(lived, USER) == []


@pytest.mark.slow
@pytest.mark.ci
def test_users_one_after_the_other(lived: World) -> None:
    remove(lived, USER)
    remove(lived, OTHER)
    assert naming(lived, USER) == naming(lived, OTHER) == []
    with Ledger(lived.config) as ledger:
        assert not ingest(lived.config, ledger, lived.day(3)).changed


@pytest.mark.slow
@pytest.mark.ci
def test_text_files_with_expressions_bring_none_back(make_world: Callable[..., World]) -> None:
    world = make_world(
        source={"uri": "logs/{day}.csv"}, columns={"user": {"sql": "'c' || user_id"}}
    )
    for number in range(4):
        frame = impressions(world.day(number))
        frame["user_id"] = frame["user_id"].str.removeprefix("u")
        frame.to_csv(world.root / "logs" / f"{world.day(number)}.csv", index=False)
    with Ledger(world.config) as ledger:
        for number in range(3):
            ingest(world.config, ledger, world.day(number))
        held = others(world, "c7")
        erase(world.config, ledger, ["c7"], "asked")
        assert others(world, "c7") == held
        taken = ingest(world.config, ledger, world.day(3))
        assert taken.quality.rows == 1200 - int((frame.user_id == "7").sum())
        assert not ingest(world.config, ledger, world.day(1)).changed


@pytest.mark.slow
@pytest.mark.ci
def test_neither_changed_rules_nor_a_release_bring_the_user_back(lived: World) -> None:
    day = lived.day(3)
    remove(lived, USER)
    before = others(lived)
    severity = {"severity": {"duplicate": "info", "written_early": "off"}}
    with Ledger(lived.config) as ledger:
        judged = ingest(World(lived.root, quality=severity).config, ledger, day)
        assert judged.quality.rules and judged.quality.rows == 1200 - 50
        released = release_day(lived.config, ledger, day, ["duplicate"], [], "a test")
    assert released.quality.accepted == 1200 - 50
    assert others(lived) == before
    # What is judged anew is written anew, without the user.
    assert naming(lived, USER) == []


@pytest.mark.slow
@pytest.mark.ci
def test_messages_and_columns_that_no_role_names_forget_the_user(trained_world: World) -> None:
    world = World(trained_world.root, notify={"urls_env": "NOTIFY_URLS"})
    day = world.day(3)
    frame = impressions(day)
    frame.loc[frame.index[:300], "user_id"] = USER
    frame["account"] = "account of " + frame["user_id"]
    world.write(day, frame)
    why = f"the day is odd: user_id: '{USER}' has 25% of the rows"
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        ledger.announce("refused_day", f"{day}.x", day=f"{day}", problems=[why])
    assert "ledger.db" in " ".join(naming(world, USER))
    remove(world, USER)
    assert naming(world, USER) == []
    with Ledger(world.config) as ledger:
        (told,) = [row for row in owed(ledger) if row.kind == "refused_day"]
    assert told.facts["problems"] == [why.replace(USER, "(erased)")]


@pytest.mark.slow
@pytest.mark.ci
def test_old_versions_say_that_they_are_gone(lived: World) -> None:
    day = lived.day(3)
    remove(lived, USER)
    versions = day_versions(lived.config, day)
    assert [row["readable"] for row in versions] == [False, False, True]
    with pytest.raises(LakeError, match="is gone") as found:
        export_day(lived.config, day, versions[0]["version"], lived.root / "x")
    assert "\n" not in str(found.value)
    assert versions[-1]["rows"] == 1200 - 50


@pytest.mark.slow
@pytest.mark.ci
def test_the_audit_knows_the_user_by_a_salted_hash(lived: World) -> None:
    remove(lived, USER)
    held = read_suppressed(lived.config)
    (entry,) = held.erasures
    assert entry.users == held.users == [held.mark(USER)]
    assert entry.why == "asked by letter"
    assert entry.finished is not None
    with pytest.raises(DriftuneError, match="no user is named"):
        remove(lived)


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_is_being_taken_in_does_not_bring_the_user_back(lived: World) -> None:
    config, day = lived.config, lived.day(4)
    frame = impressions(day)
    frame.loc[frame.index[:9], "user_id"] = USER
    lived.write(day, frame)
    with scratch(config, day) as folder:
        fetched = fetch(config, day, folder)
        staged = stage(config, fetched, domains_for(config, day), folder / "day.duckdb")
        quality = check(config, staged)
        assert quality.rows == 1200
        remove(lived, USER)
        with pytest.raises(SourceUnavailableError, match="run the day again"):
            commit(config, staged)
        with pytest.raises(SourceUnavailableError, match="run the day again"):
            check(config, staged)
    assert day not in Lake.of(config).days
    with Ledger(config) as ledger:
        assert ingest(config, ledger, day).quality.rows == 1191


@pytest.mark.slow
@pytest.mark.ci
def test_an_id_that_lands_meanwhile_is_erased(lived: World) -> None:
    config, day = lived.config, lived.day(4)
    frame = impressions(day)
    frame.loc[frame.index[:9], "user_id"] = "new-79"
    lived.write(day, frame)
    with scratch(config, day) as folder, ThreadPoolExecutor() as pool:
        fetched = fetch(config, day, folder)
        staged = stage(config, fetched, domains_for(config, day), folder / "day.duckdb")
        # As a run has it while it commits.
        with locked(Workspace(config).suppressed_lock, shared=True):
            erasure = pool.submit(remove, lived, "new-79")
            with pytest.raises(TimeoutError):
                erasure.result(timeout=1)
            commit(config, staged)
        found = erasure.result()
    assert (found.unknown, found.rows) == ({}, 9)


def erase_user(params: str, user: str) -> None:
    config = load_config(Path(params), env={})
    with Ledger(config) as ledger:
        erase(config, ledger, [user], "asked by letter")


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("driftune.retention.lake_rows:_rewrite", marks=CI),
        "driftune.intake.commit:_replace_partition",
        pytest.param("driftune.retention.lake_rows:align", marks=CI),
        pytest.param("driftune.retention.erase:redact_records", marks=CI),
        pytest.param("driftune.retention.erase:_finish", marks=CI),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_killed_in_between_a_second_call_ends_it(
    lived: World, forks: ForkServerContext, point: str
) -> None:
    before = others(lived)
    kill_at(forks, point, erase_user, str(lived.params), USER)
    assert others(lived) == before
    assert any("did not end" in each["what"] for each in examine(lived.config))
    load_model(lived.config)
    remove(lived, USER)
    assert naming(lived, USER) == []
    assert others(lived) == before
    (entry,) = read_suppressed(lived.config).erasures
    assert entry.finished is not None
    with Ledger(lived.config) as ledger:
        assert not ingest(lived.config, ledger, lived.day(3)).changed


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "point",
    [
        "driftune.intake.erasures:write_suppressed",
        pytest.param("driftune.intake.erasures:note_applied", marks=CI),
        pytest.param("driftune.retention.parquet_rows:erase_quarantined", marks=CI),
    ],
)
@pytest.mark.parametrize("way", ["erase", "again"])
@pytest.mark.slow
@pytest.mark.ci
def test_killed_between_list_ledger_and_lake_the_day_waits_for_the_end(
    lived: World, forks: ForkServerContext, point: str, way: str
) -> None:
    day = lived.day(4)
    frame = impressions(day)
    frame.loc[frame.index[:9], "user_id"] = USER
    lived.write(day, frame)
    kill_at(forks, point, erase_user, str(lived.params), USER)
    with Ledger(lived.config) as ledger:
        with pytest.raises(LakeDamageError, match="driftune erase --again"):
            ingest(lived.config, ledger, day)
        if way == "erase":
            erase(lived.config, ledger, [USER], "asked by letter")
        else:
            apply_again(lived.config, ledger)
        assert naming(lived, USER) == []
        assert ingest(lived.config, ledger, day).quality.rows == 1191
        assert not ingest(lived.config, ledger, lived.day(3)).changed


@pytest.mark.slow
@pytest.mark.ci
def test_killed_between_the_encoders_two_files_it_still_loads(
    trained_world: World, forks: ForkServerContext
) -> None:
    folder = encoder_folder(trained_world.config)
    before = load_encoder(folder)
    known = pd.read_parquet(before.vocabulary)
    user = known[known.field == "user"].value.iloc[0]
    given = (erase_user, str(trained_world.params), user)
    kill_at(forks, "driftune.features.encoder:write_sealed", *given)
    assert load_encoder(folder) == before
    # Killed after the card: the vocabulary is still the one from before.
    kill_at(forks, "pathlib:Path.replace", *given)
    assert load_encoder(folder) == before
    remove(trained_world, user)
    assert load_encoder(folder) == before
    assert user not in set(pd.read_parquet(before.vocabulary).value)


@pytest.mark.slow
@pytest.mark.ci
def test_champions_serve_on_and_drift_finds_them(trained_world: World) -> None:
    config, day = trained_world.config, trained_world.day(3)
    _, model, backbone = load_model(config)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "residual"))
    crown(trained_world, Adapter({"representation": kernel}).eval(), [trained_world.day(2)])
    remove(trained_world, "u7", "u8")
    trained_world.write(day)
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        (champion,) = champions_for(config, ledger, backbone, [KEY])[0].values()
        assert (champion.serves, champion.problem) == (1, None)
        found = [ledger.decision(each) for each in detect(trained_world, ledger, day)]
    assert {row.domain_key: row.champion_version for row in found}[KEY] == 1


@pytest.mark.slow
@pytest.mark.ci
def test_two_at_once(lived: World) -> None:
    command = [sys.executable, "-m", "driftune.cli", "erase", "-c", str(lived.params), "--json"]
    running = [
        subprocess.Popen([*command, "--user", user], stdout=subprocess.PIPE, env={**os.environ})
        for user in (USER, OTHER)
    ]
    rows = [json.loads(each.communicate(timeout=120)[0])["rows"] for each in running]
    assert sorted(rows) == [47, 50]
    assert naming(lived, USER) == naming(lived, OTHER) == []
    assert len(read_suppressed(lived.config).users) == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("'12' does not fit", "'(erased)' does not fit"),
        ("12 rows are null", "12 rows are null"),
        ({"domain": "12", "rows": 12}, {"domain": "12", "rows": 12}),
        ([{"user_id": "12", "item_id": "3"}, {"user_id": "13"}], [{"user_id": "13"}]),
        (
            {"head": ["Sampled Unexpected Values"], "rows": [[[{"text": "12"}]]]},
            {"head": ["Sampled Unexpected Values"], "rows": [[[{"text": "(erased)"}]]]},
        ),
        ({"text": "ana-77, bo"}, {"text": "(erased), bo"}),
        ({"formats": {"ana": 3, "bo": 4}}, {"formats": {"bo": 4}}),
    ],
)
def test_what_is_blotted_out_of_a_record(given: object, kept: object) -> None:
    assert redacted(given, frozenset({"12", "ana", "ana-77"})) == kept
