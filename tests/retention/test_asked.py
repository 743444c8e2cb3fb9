"""Ids that an erasure is asked for: one that nothing holds is told, never guessed."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.cli.retention import UNKNOWN
from driftune.config.workspace import Workspace
from driftune.intake.ingest import ingest
from driftune.lake.suppressed import read_suppressed
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.asked import Asked, sort_out
from driftune.retention.erase import erase, read_users, would_erase
from tests.conftest import FIRST, Ended, World, impressions
from tests.marks import CI

Command = Callable[..., Ended]
UPPER = "E6D59165-E2C9-5B48-A720-6EC74EB2A798"


def asked(world: World, *users: str) -> Asked:
    with Ledger(world.config) as ledger:
        return sort_out(world.config, ledger, users)


def taken_in(world: World, frame: pd.DataFrame | pa.Table, day: date = FIRST) -> None:
    """Take a day in as the first one of a world."""
    if isinstance(frame, pa.Table):
        pq.write_table(frame, world.root / "logs" / f"{day}.parquet")
    else:
        world.write(day, frame)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)


def rows_of(world: World, user: str) -> int:
    view = Lake.of(world.config)
    with duckdb.connect() as con:
        query = f"SELECT count(*) FROM {view.relation(view.days)} WHERE user_id = ?"
        return int(con.execute(query, [user]).fetchall()[0][0])


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.slow
@pytest.mark.ci
def test_an_id_that_nothing_holds_has_an_exit_code_of_its_own(
    ingested_world: World, driftune: Command, dry: tuple[str, ...]
) -> None:
    arguments = ("erase", "--user", "nobody", *dry, "-c", str(ingested_world.params))
    ended = driftune(*arguments)
    assert ended.code == UNKNOWN == 3
    assert ended.err.strip() == (
        "'nobody': nothing holds this id, so nothing is erased for it; see how the lake spells it"
    )
    assert ended.out == ""
    assert not Workspace(ingested_world.config).suppressed.exists()
    document = driftune(*arguments, "--json")
    assert document.code == UNKNOWN
    assert json.loads(document.out)["unknown"] == {"nobody": {}}


@pytest.mark.slow
@pytest.mark.ci
def test_the_others_are_erased_and_the_exit_code_tells(
    ingested_world: World, driftune: Command, tmp_path: Path
) -> None:
    before = rows_of(ingested_world, "u8")
    # A list as spreadsheets save it.
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeffu7\r\nU8\r\n".encode())
    assert read_users(file) == ["u7", "U8"]
    ended = driftune("erase", "--users-file", str(file), "-c", str(ingested_world.params))
    assert ended.code == UNKNOWN
    assert ended.out.startswith("erased of 1 user: ")
    assert ended.err.count("\n") == 1
    assert "'U8': nothing holds this id" in ended.err
    assert "the lake holds 'u8': did you mean that?" in ended.err
    assert rows_of(ingested_world, "u7") == 0
    assert rows_of(ingested_world, "u8") == before > 0
    assert len(read_suppressed(ingested_world.config).users) == 1


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_one_that_was_erased_says_when(
    ingested_world: World, driftune: Command, dry: tuple[str, ...]
) -> None:
    with Ledger(ingested_world.config) as ledger:
        erase(ingested_world.config, ledger, ["u7"], "a letter")
    held = read_suppressed(ingested_world.config)
    ended = driftune("erase", "--user", "u7", *dry, "-c", str(ingested_world.params))
    assert (ended.code, ended.err) == (0, "")
    day = held.erasures[0].at[:10]
    assert ended.out == f"'u7': was erased on {day}; nothing has held it since\n"
    assert read_suppressed(ingested_world.config) == held


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("held", "given"),
    [
        (UPPER.lower(), UPPER),
        (UPPER, UPPER.lower()),
        (" ana ", "ana"),
        pytest.param("ana", "\u00a0ana\t", marks=CI),
        ("17", "0017"),
        pytest.param("007", "7", marks=CI),
        ("17", "17.0"),
        pytest.param("17.0", "17", marks=CI),
        pytest.param("0", "0.0", marks=CI),
    ],
)
def test_an_id_that_is_spelled_alike_is_named_and_kept(world: World, held: str, given: str) -> None:
    frame = impressions(FIRST)
    frame.loc[frame.index[:30], "user_id"] = held
    taken_in(world, frame)
    assert asked(world, given) == Asked([], {}, {given: {held: "lake"}})
    with Ledger(world.config) as ledger:
        found = erase(world.config, ledger, [given], "a letter")
    assert (found.users, found.rows) == ([], 0)
    assert rows_of(world, held) == 30
    assert asked(world, held).held == [held]


@pytest.mark.slow
@pytest.mark.ci
def test_an_id_that_differs_in_more_is_no_hint(world: World) -> None:
    frame = impressions(FIRST)
    frame.loc[frame.index[:30], "user_id"] = "ana-7"
    taken_in(world, frame)
    assert asked(world, "ana 7", "ana7", "ana-70").unknown == {
        "ana 7": {},
        "ana7": {},
        "ana-70": {},
    }


@pytest.mark.slow
@pytest.mark.ci
def test_in_advance_it_is_kept_out_of_what_comes(world: World, driftune: Command) -> None:
    taken_in(world, impressions(FIRST))
    given = ("erase", "--user", "late-1", "--in-advance", "-c", str(world.params))
    assert driftune(*given).code == 0
    day, frame = world.day(1), impressions(world.day(1))
    frame.loc[frame.index[:30], "user_id"] = "late-1"
    taken_in(world, frame, day)
    assert rows_of(world, "late-1") == 0
    assert "was erased on" in driftune(*given).out


# Ids as files deliver them, another of each type, and the text that the lake makes of the first.
TYPED = [
    (pa.int64(), 17, 18, "17"),
    (pa.uint64(), 2**63 + 5, 18, str(2**63 + 5)),
    (pa.float64(), 17.0, 18.0, "17"),
    (pa.float32(), 17.5, 18.0, "17.5"),
    (pa.decimal128(10, 2), Decimal("17.50"), Decimal(18), "17.50"),
    (pa.date32(), date(2020, 1, 2), date(2020, 1, 3), "2020-01-02"),
    (pa.binary(), b"ana", b"bo", "ana"),
    (pa.uuid(), UUID(UPPER).bytes, bytes(16), UPPER.lower()),
]


# One number and bytes speak for the others in `make test`.
FAST = (pa.int64(), pa.float64(), pa.binary())


@pytest.mark.parametrize(
    ("kind", "value", "other", "text"),
    [pytest.param(*row, marks=() if row[0] in FAST else CI, id=str(row[0])) for row in TYPED],
)
@pytest.mark.slow
@pytest.mark.ci
def test_quarantined_rows_of_every_type_are_found(
    world: World, kind: pa.DataType, value: Any, other: Any, text: str
) -> None:
    frame = impressions(FIRST)
    frame["click"] = frame["click"].astype("int64")
    frame.loc[frame.index[:5], "click"] = 5
    table = pa.Table.from_pandas(frame, preserve_index=False)
    ids = [value] * 30 + [other] * (len(frame) - 30)
    if isinstance(kind, pa.ExtensionType):
        column = pa.ExtensionArray.from_storage(kind, pa.array(ids, kind.storage_type))
    else:
        column = pa.array(ids, kind)
    number = table.schema.get_field_index("user_id")
    taken_in(world, table.set_column(number, "user_id", column))
    with Ledger(world.config) as ledger:
        done = erase(world.config, ledger, [text], "a letter")
        assert (done.rows, done.quarantined) == (25, 5)
        assert would_erase(world.config, ledger, [text]).before.keys() == {text}


@pytest.mark.slow
@pytest.mark.ci
def test_an_id_that_quarantine_alone_holds_is_known(world: World) -> None:
    frame = impressions(FIRST)
    frame.loc[frame.index[:3], ["user_id", "click"]] = ["ana", 5]
    taken_in(world, frame)
    assert asked(world, "ana").held == ["ana"]
    assert asked(world, "ANA").unknown == {"ANA": {"ana": "quarantine"}}
    with Ledger(world.config) as ledger:
        found = erase(world.config, ledger, ["ana"], "a letter")
    assert (found.rows, found.quarantined) == (0, 3)


@pytest.mark.slow
@pytest.mark.ci
def test_a_quarantined_id_is_that_of_the_lake_where_its_type_was_cast(world: World) -> None:
    for number, kind in enumerate(("int64", "float64")):
        day = world.day(number)
        frame = impressions(day)
        frame["user_id"] = frame["user_id"].str.removeprefix("u").astype(kind)
        frame.loc[frame.index[:3], ["user_id", "click"]] = [7, 5]
        taken_in(world, frame, day)
    with Ledger(world.config) as ledger:
        found = erase(world.config, ledger, ["7"], "a letter")
    assert found.quarantined == 6
    assert asked(world, "7.0").unknown == {"7.0": {}}


@pytest.mark.slow
@pytest.mark.ci
def test_a_quarantine_of_old_is_read_by_the_user_s_role(world: World) -> None:
    frame = impressions(FIRST)
    frame["user_id"] = frame["user_id"].str.removeprefix("u").astype("int64")
    frame.loc[frame.index[:3], ["user_id", "click"]] = [7, 5]
    taken_in(world, frame)
    path = Workspace(world.config).quarantine(FIRST)
    kept = pd.read_parquet(path).drop(columns="_driftune_user")
    kept.to_parquet(path, index=False)
    with Ledger(world.config) as ledger:
        assert would_erase(world.config, ledger, ["7"]).quarantined == 3
        # The role cannot be computed: any delivered column may be the id, a row's number is none.
        kept.rename(columns={"user_id": "account"}).assign(_row=7).to_parquet(path, index=False)
        assert would_erase(world.config, ledger, ["7"]).quarantined == 3
        kept.assign(user_id=8, _row=7).rename(columns={"user_id": "account"}).to_parquet(
            path, index=False
        )
        assert would_erase(world.config, ledger, ["7"]).quarantined == 0


@pytest.mark.slow
@pytest.mark.ci
def test_folders_called_like_columns_give_no_ids(tmp_path: Path) -> None:
    world = World(tmp_path, workspace="user_id=u7/user_hash=3/_driftune_user=u7")
    frame = impressions(FIRST)
    frame.loc[frame.index[:3], ["user_id", "click"]] = ["ana", 5]
    taken_in(world, frame)
    with Ledger(world.config) as ledger:
        found = would_erase(world.config, ledger, ["ana"])
        assert (found.rows, found.quarantined) == (0, 3)
        erase(world.config, ledger, ["ana"], "a letter")
    assert asked(world, "ana").erased.keys() == {"ana"}
    left = Workspace(world.config).quarantine(FIRST)
    assert not left.exists()
