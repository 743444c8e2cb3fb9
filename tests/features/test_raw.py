"""Pasts: what a row knows of its user is what a plain computation over the logs finds."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config import Config
from driftune.config.recommender import History, RecommenderSettings
from driftune.config.workspace import Workspace
from driftune.features.days import encode_day, encoded_path, fit_encoder
from driftune.features.encoder import load_encoder
from driftune.features.raw import build_pasts, past_days, raw_joins, raw_names, raw_select
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase
from tests.conftest import REFERENCE_DAYS, World, impressions

TODAY = date(2026, 3, 12)
HOUR = timedelta(hours=1)
Row = dict[str, Any]


@dataclass(frozen=True)
class Logs:
    """A lake of some days, as far as pasts ask for it."""

    contents: dict[date, str]

    def whole_relation(self, con: duckdb.DuckDBPyConnection, days: list[date]) -> str:
        """The rows of days."""
        dates = ", ".join(f"DATE '{day}'" for day in days)
        return f"(FROM logs WHERE event_time::DATE IN ({dates}))"


def recommending(config: Config, **history: Any) -> Config:
    """The configuration with a recommender that reads a past."""
    own = RecommenderSettings(
        factory="a:b", weights="w", columns=["user"], history=History(**history)
    )
    return config.model_copy(update={"recommender": own})


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Any project's."""
    return World(tmp_path_factory.mktemp("pasts")).config


def expected(rows: list[Row], row: Row, past: History, held: set[date]) -> list[tuple]:
    """The past of a row, by its definition: item and category of each event, oldest first."""
    wanted = {
        "impressions": lambda event: True,
        "clicks": lambda event: event["click"] == 1,
        "conversions": lambda event: (
            event["click"] == event["convert"] == 1 and event["event_time"].date() < TODAY
        ),
    }[past.of]
    first = TODAY - timedelta(days=past.days)
    seen = [
        event
        for event in rows
        if event["user_id"] == row["user_id"]
        and first <= event["event_time"].date() <= TODAY
        and event["event_time"].date() in {*held, TODAY}
        and event["event_time"] + HOUR * past.lag_hours < row["event_time"]
        and wanted(event)
    ]
    seen.sort(
        key=lambda e: (e["event_time"], e["item_id"], e["category"] is None, e["category"] or "")
    )
    return [(event["item_id"], event["category"]) for event in seen[-past.length :]]


def computed(config: Config, rows: list[Row], held: set[date]) -> dict[int, list[tuple]]:
    """The pasts of today's rows, by their number."""
    frame = pd.DataFrame(rows).astype({"category": "string"})
    view = Logs(dict.fromkeys(held, ""))
    with duckdb.connect() as con:
        con.register("given", frame)
        kinds = "event_time::TIMESTAMP AS event_time, category::VARCHAR AS category"
        con.execute(f"CREATE TABLE logs AS SELECT * REPLACE ({kinds}) FROM given")
        con.execute(
            f"CREATE VIEW day_rows AS FROM logs WHERE event_time::DATE = '{TODAY.isoformat()}'"
        )
        build_pasts(con, config, view, TODAY)  # type: ignore[arg-type]
        found = con.execute(
            f"SELECT day_rows.number, {', '.join(raw_select(config)[1:])} "
            f"FROM day_rows {raw_joins(config)}"
        ).fetchall()
    pasts = {number: [*zip(items, kinds, strict=True)] for number, items, kinds in found}
    assert len(pasts) == len(found)
    return pasts


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from("uvw"),
            # Few instants, so that many events share one; half of them on the day itself.
            "hours": st.sampled_from([-100, -50, -30, -3, -2, 0, 0, 1, 2, 5, 9, 23]),
            "item_id": st.sampled_from("abc"),
            "category": st.sampled_from(["x", "y", None]),
            "click": st.sampled_from([0, 1, 1]),
            "convert": st.integers(0, 1),
        }
    ),
    max_size=30,
)
PASTS = st.builds(
    History,
    of=st.sampled_from(["clicks", "conversions", "impressions"]),
    columns=st.just(["item", "category"]),
    length=st.integers(1, 5),
    lag_hours=st.sampled_from([0, 0.5, 1, 3, 26, 200]),
    days=st.integers(1, 5),
)


@settings(max_examples=60)
@given(EVENTS, PASTS, st.sets(st.integers(1, 5)), st.randoms())
@pytest.mark.slow
@pytest.mark.ci
def test_pasts_are_those_of_a_plain_computation(
    config: Config, events: list[Row], past: History, gone: set[int], order: Any
) -> None:
    midnight = datetime.combine(TODAY, datetime.min.time())
    # One row at least is of today, and of a user without a past.
    events = [*events, dict(events[0], hours=4, user_id="new") if events else _row()]
    rows = [
        {**{k: v for k, v in event.items() if k != "hours"}, "number": number,
         "event_time": midnight + HOUR * event["hours"]}
        for number, event in enumerate(events)
    ]  # fmt: skip
    held = {TODAY - timedelta(days=n) for n in range(1, 7) if n not in gone}
    settled = recommending(config, **past.model_dump())
    today = [row for row in rows if row["event_time"].date() == TODAY]
    found = computed(settled, rows, held)
    assert found == {row["number"]: expected(rows, row, past, held) for row in today}
    shuffled = [*rows]
    order.shuffle(shuffled)
    assert computed(settled, shuffled, held) == found


@pytest.mark.parametrize("length", [1, 2])
def test_of_events_of_one_instant_one_without_a_value_is_the_newest(
    config: Config, length: int
) -> None:
    instant = datetime.combine(TODAY, datetime.min.time()) - 3 * HOUR
    row = {**_row(), "user_id": "u", "click": 1, "convert": 0, "number": 0}
    del row["hours"]
    rows = [{**row, "event_time": instant, "category": each} for each in ("x", None)]
    rows.append({**row, "event_time": instant + 7 * HOUR, "number": 1})
    past = recommending(config, columns=["item", "category"], length=length)
    found = computed(past, rows, {TODAY - timedelta(days=1)})
    assert found == {1: [("a", "x"), ("a", None)][-length:]}


def _row() -> Row:
    return {
        "user_id": "new",
        "hours": 4,
        "item_id": "a",
        "category": None,
        "click": 0,
        "convert": 0,
    }


def test_only_days_that_are_held_and_asked_for_are_read(config: Config) -> None:
    held = {TODAY - timedelta(days=n): "" for n in (0, 1, 3, 4, 9)}
    found = past_days(recommending(config, days=4), Logs(held), TODAY)  # type: ignore[arg-type]
    assert found == [TODAY - timedelta(days=n) for n in (4, 3, 1)]


@pytest.fixture
def encoded(ingested_world: World) -> World:
    """A world whose recommender reads users and their clicks, with a fitted encoder."""
    own = {
        "factory": "a:b", "weights": "w", "columns": ["user", "item", "time"],
        "history": {"columns": ["item"], "length": 3},
    }  # fmt: skip
    world = World(ingested_world.root, recommender=own)
    fit_encoder(world.config, world.config.reference.days, _folder(world))
    return world


def _folder(world: World) -> Path:
    return Workspace(world.config).model / "encoder"


def encode(world: World, number: int) -> Path:
    """The encoded day of that number."""
    encoder = load_encoder(_folder(world), raw_names(world.config))
    return encode_day(world.config, encoder, world.day(number))


def test_encoded_days_hold_the_pasts_of_the_logs(encoded: World) -> None:
    frames = pd.concat(impressions(encoded.day(n)) for n in range(REFERENCE_DAYS))
    frames = frames.sort_values(["event_time", "item_id"])
    known: dict[str, list[tuple[Any, str]]] = defaultdict(list)
    for row in frames[frames["click"] == 1].itertuples():
        known[row.user_id].append((row.event_time, row.item_id))
    found = pd.read_parquet(encode(encoded, REFERENCE_DAYS - 1))
    lengths = set()
    for row in found.itertuples():
        before = [item for time, item in known[row.r_user] if time < row.r_time]
        assert [*row.r_history_item] == before[-3:]
        lengths.add(len(row.r_history_item))
    assert lengths == {0, 1, 2, 3}


@pytest.mark.slow
@pytest.mark.ci
def test_a_past_day_that_comes_anew_encodes_later_days_anew(encoded: World) -> None:
    config, view = encoded.config, Lake.of(encoded.config)
    encoder = load_encoder(_folder(encoded), raw_names(config))
    before = [encoded_path(config, encoder, encoded.day(n), view) for n in range(3)]
    encoded.write(encoded.day(1), impressions(encoded.day(1), seed=9))
    with Ledger(config) as ledger:
        ingest(config, ledger, encoded.day(1))
    after = [encoded_path(config, encoder, encoded.day(n), Lake.of(config)) for n in range(3)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]
    for changed in ({"length": 4}, {"of": "impressions"}, {"lag_hours": 1.0}, {"days": 2}):
        past = config.recommender.history.model_copy(update=changed)
        own = config.recommender.model_copy(update={"history": past})
        other = config.model_copy(update={"recommender": own})
        assert encoded_path(other, encoder, encoded.day(2), Lake.of(config)) != after[2]
    assert all(one != other for one, other in pairwise(after))


@pytest.mark.slow
@pytest.mark.ci
def test_no_encoded_day_names_an_erased_user(encoded: World) -> None:
    files = [encode(encoded, number) for number in range(REFERENCE_DAYS)]
    before = pd.concat(pd.read_parquet(path) for path in files)
    user = before["r_user"].iloc[0]
    with Ledger(encoded.config) as ledger:
        erase(encoded.config, ledger, [user], "asked by letter")
    for path in Workspace(encoded.config).features.glob("*.parquet"):
        assert user not in set(pd.read_parquet(path)["r_user"])
    again = pd.concat(pd.read_parquet(encode(encoded, number)) for number in range(REFERENCE_DAYS))
    assert user not in set(again["r_user"])
    kept = before[before["r_user"] != user]
    assert len(kept) == len(again) < len(before)
    columns = ["r_user", "r_item", "r_time", "r_history_item"]
    assert kept[columns].map(str).values.tolist() == again[columns].map(str).values.tolist()


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.few(1)
def test_days_from_before_a_column_was_kept_are_pasts_without_it(
    anew: bool, encoded: World
) -> None:
    place = str(Lake.of(encoded.config).place)
    older = DeltaTable(place).to_pyarrow_table().drop_columns(["request_id"])
    write_deltalake(place, older, mode="overwrite", schema_mode="overwrite", partition_by=["day"])
    if anew:
        encoded.write(encoded.day(2), impressions(encoded.day(2), seed=9))
        with Ledger(encoded.config) as ledger:
            ingest(encoded.config, ledger, encoded.day(2))
    history = {"columns": ["item", "request"], "length": 3}
    own = encoded.config.recommender.model_dump(mode="json") | {"history": history}
    world = World(encoded.root, recommender=own)
    fit_encoder(world.config, world.config.reference.days, _folder(world))
    found = pd.read_parquet(encode(world, 1))
    assert found["r_history_item"].map(len).sum() > 0
    assert {each for past in found["r_history_request"] for each in past} == {None}
    if anew:
        found = pd.read_parquet(encode(world, 2))
        named = {each for past in found["r_history_request"] for each in past}
        assert None in named and len(named) > 1
