"""A day from its files into the lake: what is kept, what is rejected, what is refused."""

import gzip
import json
import os
import re
from datetime import timedelta

import duckdb
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError, LakeError, SourceError
from driftune.intake.ingest import ensure_reference, ingest
from driftune.io import read_json
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions
from tests.lake.lakes import checksum
from tests.marks import CI


@pytest.fixture
def ready(ingested_world):
    """A world whose reference days are in the lake, and its next day."""
    return ingested_world, ingested_world.day(3)


def run(world, day):
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day)


def counts(quality):
    """Rejected rows by reason."""
    found = {}
    for row in quality.rejections:
        found[row["reason"]] = found.get(row["reason"], 0) + row["rows"]
    return found


@pytest.mark.great_expectations
def test_a_clean_day_is_kept_whole(ready):
    world, day = ready
    world.write(day)
    result = run(world, day)
    assert (result.quality.verdict, result.quality.rows, result.quality.rejected) == ("ok", 1200, 0)
    assert day in Lake.of(world.config).days
    assert not Workspace(world.config).quarantine(day).exists()
    titles = [section["title"] for section in read_json(Workspace(world.config).docs_record(day))]
    assert {"Overview", "user_id", "click_label"} <= set(titles)


def test_the_same_day_twice_changes_nothing(ready):
    world, day = ready
    world.write(day)
    first = run(world, day)
    before = checksum(world.config)
    second = run(world, day)
    assert first.changed and not second.changed
    assert (second.revision, second.quality) == (first.revision, first.quality)
    assert checksum(world.config) == before


def test_a_correction_replaces_the_day(ready):
    world, day = ready
    world.write(day)
    run(world, day)
    world.write(day, impressions(day, rows=900, seed=5))
    result = run(world, day)
    assert (result.revision, result.quality.rows) == (2, 900)
    with Ledger(world.config) as ledger:
        assert ledger.day(day).rows == 900
    assert checksum(world.config)[0] == 3 * 1200 + 900


def broken(day):
    """A day in which each row rule is broken by known rows."""
    frame = impressions(day).astype({"click": str, "price": str})
    frame.loc[0, "click"] = "7"
    frame.loc[1, ["click", "ordered"]] = ["0", 1]
    frame.loc[2, "event_time"] = pd.Timestamp(day) - timedelta(days=2)
    frame.loc[3, "scene"] = ""
    frame.loc[4, "region"] = None
    frame.loc[5, "region"] = "moon"
    frame.loc[6, "user_id"] = None
    frame.loc[7, "item_id"] = ""
    frame.loc[8, "price"] = "cheap"
    frame.loc[9, "event_time"] = pd.NaT
    frame.loc[11] = frame.loc[10]
    return frame


def test_each_broken_row_goes_to_quarantine_with_its_reason(ready):
    world, day = ready
    path = world.write(day, broken(day))
    quality = run(world, day).quality
    assert counts(quality) == {
        "click_label": 1,
        "convert_without_click": 1,
        "other_day": 1,
        "domain_missing": 2,
        "domain_unknown": 1,
        "user_missing": 1,
        "item_missing": 1,
        "number_unreadable": 1,
        "time_unreadable": 1,
        "duplicate": 1,
    }
    assert (quality.verdict, quality.rejected) == ("warning", 11)
    by_reason = {row["reason"]: row for row in quality.rejections}
    assert by_reason["click_label"]["file"] == str(path.relative_to(world.root))
    assert by_reason["click_label"]["column"] == "click"
    assert by_reason["domain_missing"]["column"] == "scene + region"
    kept = pd.read_parquet(Workspace(world.config).quarantine(day))
    assert len(kept) == 11
    assert set(kept.loc[kept["_row"] == 1, "_reasons"]) == {"click_label"}
    assert "cheap" in set(kept["price"])


def test_quarantined_rows_do_not_reach_the_lake(ready):
    world, day = ready
    world.write(day, broken(day))
    run(world, day)
    with duckdb.connect() as con:
        rows = con.execute(
            f"SELECT count(*), count(DISTINCT domain), max(click) "
            f"FROM {Lake.of(world.config).relation([day])}"
        ).fetchone()
    assert rows == (1200 - 11, 4, 1)


def test_a_day_with_too_many_rejected_rows_is_refused_whole(ready):
    world, day = ready
    before = checksum(world.config)
    frame = impressions(day)
    frame.loc[:599, "ordered"] = 3
    world.write(day, frame)
    with pytest.raises(DayRefusedError, match=r"600 rows|refused") as refused:
        run(world, day)
    assert "\n" not in str(refused.value)
    assert checksum(world.config) == before
    with Ledger(world.config) as ledger:
        assert ledger.day(day) is None
    record = json.loads(Workspace(world.config).quality(day).read_text())
    assert record["verdict"] == "refused" and record["rejected"] == 600


def spoilt(day):
    """A delivery that is refused, with 600 rows in quarantine."""
    frame = impressions(day, seed=9)
    frame.loc[:599, "ordered"] = 3
    return frame


def records(world, day, **choices):
    """What the workspace says of a delivery, where it says something."""
    workspace = Workspace(world.config)
    kinds = (workspace.quality, workspace.docs_record, workspace.quarantine)
    paths = [kind(day, **choices) for kind in kinds]
    return [path.read_bytes() for path in paths if path.exists()]


@pytest.mark.slow
@pytest.mark.ci
def test_a_refused_redelivery_leaves_the_accepted_day_s_records(ready):
    world, day = ready
    world.write(day, broken(day))
    run(world, day)
    before = records(world, day), checksum(world.config)
    world.write(day, spoilt(day))
    beside = Workspace(world.config).quality(day, redelivery=True)
    with pytest.raises(DayRefusedError, match=re.escape(str(beside))):
        run(world, day)
    assert (records(world, day), checksum(world.config)) == before
    assert len(records(world, day, redelivery=True)) == 3
    assert read_json(beside)["rejected"] == 600


@pytest.mark.parametrize(
    "next_one", [pytest.param(lambda day: impressions(day, seed=4), marks=CI), impressions]
)
def test_an_accepted_delivery_withdraws_the_refused_one_before_it(ready, next_one):
    world, day = ready
    world.write(day)
    run(world, day)
    world.write(day, spoilt(day))
    with pytest.raises(DayRefusedError):
        run(world, day)
    world.write(day, next_one(day))
    assert run(world, day).quality.verdict == "ok"
    assert records(world, day, redelivery=True) == []
    assert len(records(world, day)) == 2


def test_a_day_without_an_accepted_row_is_refused_whatever_the_limits(ready):
    rules = ("enough_rows", "rejected_share", "domains_refused", "domain_rejected")
    limits = {"severity": dict.fromkeys(rules, "off"), "max_rejected_share": 1}
    world, day = World(ready[0].root, quality=limits), ready[1]
    before = checksum(world.config)
    world.write(day, impressions(day).assign(user_id=None))
    with (
        Ledger(world.config) as ledger,
        pytest.raises(DayRefusedError, match="At least one row is accepted — broken: 1200 rows"),
    ):
        ingest(world.config, ledger, day)
    assert checksum(world.config) == before


def test_a_wrong_type_rejects_rows_and_says_which_column(ready):
    world, day = ready
    frame = impressions(day)
    frame["click"] = [["no"]] * len(frame)
    world.write(day, frame)
    with pytest.raises(DayRefusedError, match="click label is 0 or 1"):
        run(world, day)


def test_a_partial_day_is_a_warning(ready):
    world, day = ready
    frame = impressions(day)
    world.write(day, frame[frame["event_time"].dt.hour < 4])
    quality = run(world, day).quality
    assert quality.verdict == "warning"
    assert quality.hours == [0, 1, 2, 3]
    assert any("partial day" in line for line in quality.problems())


def spoil_missing(world, day):
    return "no file at logs"


def spoil_empty(world, day):
    world.write(day).write_bytes(b"")
    return "is empty"


def spoil_no_rows(world, day):
    world.write(day, impressions(day).iloc[:0])
    return "no rows"


def spoil_unreadable(world, day):
    world.write(day).write_bytes(b"this is not parquet")
    return "is text, not parquet"


def spoil_truncated(world, day):
    path = world.write(day)
    path.write_bytes(path.read_bytes()[:-200])
    return "cannot be read as parquet"


def spoil_column(world, day):
    world.write(day, impressions(day).drop(columns="ordered"))
    return r"column 'ordered' \(columns.convert in params.yaml\) is missing"


@pytest.mark.parametrize(
    "spoil",
    [spoil_missing, spoil_empty, spoil_no_rows, spoil_unreadable, spoil_truncated, spoil_column],
)
def test_bad_files_give_one_line_and_change_nothing(ready, spoil):
    world, day = ready
    before = checksum(world.config)
    expected = spoil(world, day)
    with pytest.raises(SourceError, match=expected) as error:
        run(world, day)
    assert "\n" not in str(error.value)
    assert str(day) in str(error.value)
    assert checksum(world.config) == before
    with Ledger(world.config) as ledger:
        assert ledger.day(day) is None
    assert list(Workspace(world.config).staging.iterdir()) == []


@pytest.mark.few(2)
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet"])
def test_formats_give_the_same_lake(make_world, suffix):
    world = make_world(source={"uri": "logs/{day}/*." + suffix})
    frame = impressions(world.day(0), rows=400)
    folder = world.root / "logs" / str(world.day(0))
    folder.mkdir()
    for number, part in enumerate((frame[:150], frame[150:])):
        path = folder / f"part-{number}.{suffix}"
        if suffix == "parquet":
            part.to_parquet(path)
        elif suffix == "jsonl":
            part.to_json(path, orient="records", lines=True, date_format="iso")
        elif suffix == "csv.gz":
            path.write_bytes(gzip.compress(part.to_csv(index=False).encode()))
        else:
            part.to_csv(path, index=False)
    quality = run(world, world.day(0)).quality
    assert (quality.verdict, quality.rows, quality.rejected) == ("ok", 400, 0)
    with duckdb.connect() as con:
        total = con.execute(
            f"SELECT count(*), sum(click), count(DISTINCT user_id), round(sum(price), 2) "
            f"FROM {Lake.of(world.config).relation([world.day(0)])}"
        ).fetchone()
    assert total == (
        400,
        int(frame["click"].sum()),
        frame["user_id"].nunique(),
        round(float(frame["price"].sum()), 2),
    )


def test_unknown_domains_fold_into_other_where_configured(make_world):
    world = make_world(domains={"unknown": "other"}).with_reference()
    with Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger)
    frame = impressions(world.day(3))
    frame.loc[:9, "region"] = "moon"
    world.write(world.day(3), frame)
    quality = run(world, world.day(3)).quality
    assert quality.rejected == 0
    assert {row["domain"]: row["rows"] for row in quality.domains}["other"] == 10


def test_a_damaged_quality_record_is_written_anew(ready):
    world, day = ready
    world.write(day)
    record = Workspace(world.config).quality(day)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        before, sound = checksum(world.config), record.read_bytes()
        record.write_text("{", encoding="utf-8")
        assert ingest(world.config, ledger, day).revision == 1
    assert record.read_bytes() == sound
    assert checksum(world.config) == before


def test_what_a_killed_run_left_is_removed_after_a_day(ready):
    world, day = ready
    staging = Workspace(world.config).staging
    old, young = staging / f"{day}-old", staging / f"{day}-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    world.write(day)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    assert not old.exists()
    assert [path.name for path in staging.iterdir()] == [young.name]


def truncate(file):
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [truncate, pytest.param(os.remove, marks=CI)])
def test_a_damaged_data_file_is_named_and_the_day_brought_in_again(ready, damage):
    world, day = ready
    world.write(day)
    run(world, day)
    before = checksum(world.config)
    (file,) = Lake.of(world.config).paths(day)
    damage(file)
    with pytest.raises(LakeError, match=rf"{file.name} .*driftune run --day {day}"):
        Lake.of(world.config).relation([day])
    assert run(world, day).changed
    assert checksum(world.config) == before


def test_a_look_at_the_lake_stays_what_it_was_when_a_day_is_delivered_anew(ready):
    world, day = ready
    world.write(day)
    run(world, day)
    before = Lake.of(world.config)
    with duckdb.connect() as con:
        count = f"SELECT count(*) FROM {before.relation([day])}"
        rows = con.execute(count).fetchone()
        world.write(day, impressions(day, rows=800))
        run(world, day)
        assert con.execute(count).fetchone() == rows
        count = f"SELECT count(*) FROM {Lake.of(world.config).relation([day])}"
        assert con.execute(count).fetchone() == (800,)
    assert Lake.of(world.config).version([day]) != before.version([day])
