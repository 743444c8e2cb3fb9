"""Deliveries that are wrong in one way: each is one line of file or column, value and remedy."""

import gzip
import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from driftune.errors import DriftuneError
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, World, impressions
from tests.corpus.written import zstd

Make = Callable[..., World]
DAY = impressions(FIRST, rows=400)
LABEL = "The click label is 0 or 1 — broken: "
NUMBER = "are numbers where they are given — broken: 400 of 400 rows; the first is row 1 of"


def csv(frame: pd.DataFrame = DAY, **options: Any) -> bytes:
    return frame.to_csv(index=False, **options).encode()


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    DAY.assign(**columns).to_parquet(file, index=False)
    return file.getvalue()


def lines(change: Callable[[dict[str, Any]], Any] = lambda row: row) -> bytes:
    rows = json.loads(DAY.to_json(orient="records", date_format="iso"))
    return "".join(json.dumps(change(row)) + "\n" for row in rows).encode()


class Wrong(NamedTuple):
    """A delivery by its file's name and content, what the line must say, and changed settings."""

    name: str
    file: str
    content: bytes | None
    says: list[str]
    settings: Mapping[str, Any] = MappingProxyType({})


def _of_files() -> list[Wrong]:
    bare = DAY.drop(columns=["ordered", "position"])
    packed = gzip.compress(csv(), mtime=0)
    short = ["is damaged or breaks off", "none of its rows is used; deliver it again"]
    return [
        Wrong("nothing", "{day}.csv", b"", ["the file is empty (0 bytes); deliver it again"]),
        Wrong("a header alone", "{day}.csv", csv(DAY[:0]), ["the file holds no rows; deliver it"]),
        Wrong("a cut Parquet", "{day}.parquet", parquet()[:-300], ["cannot be read as parquet"]),
        Wrong("a cut gzip", "{day}.csv.gz", packed[:-300], short),
        Wrong("a cut zstd", "{day}.csv.zst", zstd(csv())[:-300], short),
        Wrong("no gzip", "{day}.csv.gz", csv(), ["Not a gzipped file", "deliver it again"]),
        Wrong("a hidden gzip", "{day}.csv", packed, ["is compressed by gzip, not csv; end its na"]),
        Wrong("text", "{day}.parquet", csv(), ["is text, not parquet; set source.format: csv or"]),
        Wrong("Parquet", "{day}.csv", parquet(), ["is Parquet, not csv; set source.format: parqu"]),
        Wrong("a workbook", "{day}.csv", b"PK\x03\x04" + bytes(99), ["is a ZIP archive or a work"]),
        Wrong("a page", "{day}.csv", b"<html>403</html>\n", ["is a page of HTML or XML, not csv"]),
        Wrong("JSON lines", "{day}.csv", lines(), ["is JSON lines, not csv; set source.form"]),
        Wrong("CSV", "{day}.jsonl", csv(), ["401 of 401 lines are no rows; the first is line 1"]),
        Wrong("an array", "{day}.jsonl", b"[{}, {}]\n", ["no object); deliver one object a line"]),
        Wrong("an ending", "{day}.xlsx", csv(), ["unknown file type; set source.format to parqu"]),
        Wrong("a folder", "{day}", None, ["is a folder, and source.uri takes files", "{day}/*"]),
        Wrong("no file", "none-{day}.csv", None, ["no file at logs/none-2026-03-02.csv; check so"]),
        Wrong(
            "a delimiter",
            "{day}.csv",
            csv(sep="~"),
            ["column 'event_time' (columns.time.column", "set source.csv.delimiter"],
        ),
        Wrong("latin-1", "{day}.csv", csv(DAY.assign(scene="Köln")).decode().encode("latin-1"), [
            "line 2 is not UTF-8", "set source.csv.encoding: cp1252",
        ]),
        Wrong("UTF-16", "{day}.csv", csv().decode().encode("utf-16"), ["looks like utf-16: set"]),
        Wrong("no header", "{day}.csv", csv(bare, header=False), ["missing", "names: source.csv"]),
        Wrong("'0' twice", "{day}.csv", csv(header=False), ["has the columns '0' twice"]),
    ]  # fmt: skip


def _of_columns() -> list[Wrong]:
    def typed(name: str, says: list[str], settings: Any = None, **columns: Any) -> Wrong:
        return Wrong(name, "{day}.parquet", parquet(**columns), says, settings or {})

    times, number = DAY["event_time"], np.arange(len(DAY))
    half = pd.Series(number % 2 == 0)
    dated = [f"{when:%d.%m.%Y %H:%M}" for when in times]
    renamed = csv(DAY.rename(columns={"user_id": "userid"}))
    doubled = csv().replace(b"price", b"click", 1)
    nested = lines(lambda row: {"event": row})
    stamps = times.astype("datetime64[ms]").astype("int64")
    return [
        Wrong("renamed", "{day}.csv", renamed, ["column 'user_id' (columns.user", "mean userid?"]),
        Wrong("twice", "{day}.csv", doubled, ["has the columns 'click' twice", "one spelling"]),
        Wrong("nested", "{day}.jsonl", nested, ["'event_time' (columns.time.column", "has event"]),
        typed(
            "another unit",
            ["look like milliseconds, not seconds; set columns.time.unit: ms"],
            {"columns": {"time": {"column": "event_time", "unit": "s"}}},
            event_time=stamps,
        ),
        typed("a unit", ["not timestamps; set columns.time.unit: ms"], event_time=stamps),
        typed("a format", ["is no time; set columns.time.format"], event_time=dated),
        typed(
            "another day",
            ["row 1 of logs/2026-03-02.parquet, which has '2026-03-07 ", "(columns.time: event"],
            event_time=times + pd.Timedelta(days=5),
        ),
        typed("no time", ["time can be read", "which has nothing"], event_time=pd.NaT),
        typed("0, 1 and 2", [LABEL, "row 3 of", "has '2' (columns.click"], click=number % 3),
        typed("a text", [LABEL, "which has 'view'", "gives 0 or 1: {sql: "], click="view"),
        typed("a probability", [LABEL, "which has '0.7'"], click=0.7),
        typed(
            "half a label", [LABEL, "which has nothing"], click=DAY["click"].where(number % 2 == 1)
        ),
        typed("no user", ["names its user", "which has nothing (columns.user: us"], user_id=None),
        typed("few users", ["200 of 400 rows"], user_id=DAY["user_id"].where(half)),
        typed("no domain", ["names its domain", "(columns.domain)", "deliver it"], scene=""),
        typed("a price", [NUMBER, "has '4,50' (columns.price: price); write"], price="4,50"),
        typed("a place", [NUMBER, "has 'top' (columns.position: position)"], position="top"),
        typed(
            "a text read as a number",
            ["' (features.numerical: scene)"],
            {"features": {"numerical": ["scene"]}},
        ),
        typed("orders alone", ["A conversion needs a click", "columns.convert: ord"], ordered=1),
        typed("clicks alone", ["all 400 rows are clicks", "negatives: {per_positive: 4"], click=1),
        typed(
            "an unknown column",
            ["columns.click.sql = 'clikc = 1'", "did you mean click?", "correct columns"],
            {"columns": {"click": {"sql": "clikc = 1"}}},
        ),
        typed(
            "a failing cast",
            ["columns.click.sql = 'scene::INT'", "Could not convert", "correct columns"],
            {"columns": {"click": {"sql": "scene::INT"}}},
        ),
        typed(
            "no list",
            ["in row 1 (source.explode.columns.item_id) is no list", "source.explode.separator"],
            {"source": {"explode": {"columns": ["item_id"]}}},
        ),
        typed(
            "no part of the path",
            ["its path has no part 'region=…'; correct source.uri or source.partitions"],
            {"source": {"partitions": ["region"]}},
        ),
        Wrong("copies", "{day}.csv", csv(pd.concat([DAY] * 3)), ["800 of 1,200", "each row once"]),
        Wrong("few", "{day}.csv", csv(DAY[:20]), ["at least 100 rows", "20 (quality.min_rows)"]),
    ]


WRONG = [*_of_files(), *_of_columns()]


@pytest.mark.few(12)
@pytest.mark.parametrize("wrong", [pytest.param(wrong, id=wrong.name) for wrong in WRONG])
def test_a_wrong_delivery_is_one_line(make_world: Make, wrong: Wrong) -> None:
    settings = dict(wrong.settings)
    source = {"uri": f"logs/{wrong.file}"} | settings.pop("source", {})
    world = make_world(source=source, **settings)
    path = world.root / "logs" / wrong.file.format(day=FIRST)
    if wrong.content is not None:
        path.write_bytes(wrong.content)
    elif wrong.name == "a folder":
        path.mkdir()
        (path / "part.csv").write_bytes(csv())
    with Ledger(world.config) as ledger:
        with pytest.raises(DriftuneError) as error:
            ingest(world.config, ledger, FIRST)
        assert ledger.day(FIRST) is None
    line = str(error.value)
    assert "\n" not in line
    assert f"{FIRST}" in line
    for part in wrong.says:
        assert part in line, line
    assert Lake.of(world.config).days == []


def test_there_are_many_and_each_has_its_name() -> None:
    names = [wrong.name for wrong in WRONG]
    assert len(set(names)) == len(names) >= 40


@pytest.mark.parametrize(
    "column",
    [DAY["click"] == 1, DAY["click"].astype(float), DAY["click"].map({0: "false", 1: "True"})],
    ids=["booleans", "floats", "words"],
)
def test_labels_that_are_meant_are_read(make_world: Make, column: Any) -> None:
    world = make_world()
    world.write(FIRST, DAY.assign(click=column))
    with Ledger(world.config) as ledger:
        quality = ingest(world.config, ledger, FIRST).quality
    assert quality.rejected == 0
    assert sum(domain["clicks"] for domain in quality.domains) == DAY["click"].sum()
