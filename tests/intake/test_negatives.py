"""Logs of clicks alone: the rows that are drawn beside them, and what is said without."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config.negatives import Negatives
from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, DayRefusedError
from driftune.intake.ingest import Ingested, ingest
from driftune.intake.sampling import sample
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.reports.summary import day_line
from driftune.retention.erase import erase
from driftune.training.pretrain import pretrain
from tests.conftest import FIRST, REFERENCE_DAYS, World

Make = Callable[..., World]
FOUR = {"per_positive": 4, "from": "domain_day"}
SOURCES = ("domain_day", "uniform", "session")
OF_CLICK = "user_id, event_time, hour, domain, request_id, position, f_device"
OF_ITEM = "item_id, category, price, f_brand, d_title"


def clicks(day: date, rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A day of clicks alone: sessions of three, items of three shelves of which users like one."""
    rng = np.random.default_rng([seed, day.toordinal()])
    session = np.arange(rows) // 3
    user = rng.integers(0, 80, session[-1] + 1)[session]
    item = (rng.zipf(1.6, rows) * 3) % 60 + user % 3
    start = np.sort(rng.integers(0, 80_000, session[-1] + 1))[session]
    return pd.DataFrame(
        {
            "user": [f"u{n}" for n in user],
            "item": [f"i{n}" for n in item],
            "at": pd.Timestamp(day) + pd.to_timedelta(start + rng.integers(0, 900, rows), unit="s"),
            "shop": rng.choice(["north", "south"], rows),
            "shelf": [f"s{n % 3}" for n in item],
            "price": (item % 7 + 0.5).astype(float),
            "session": [f"{day}-{n}" for n in session],
            "place": rng.integers(1, 9, rows),
            "brand": [f"b{n % 5}" for n in item],
            "device": rng.choice(["phone", "desk"], rows),
            "title": [f"title {n}" for n in item],
            "note": [None if n % 50 else f"note of u{user[n]}" for n in range(rows)],
        }
    )


def clicks_world(make_world: Make, given: dict[str, Any] | None = FOUR, **more: Any) -> World:
    roles = {
        "user": "user",
        "item": "item",
        "time": {"column": "at"},
        "domain": "shop",
        "convert": {"sql": "0"},
        "category": "shelf",
        "request": "session",
        "position": "place",
        "propensity": None,
    }
    columns = roles | more.pop("columns", {})
    changed = {"features": {"categorical": ["brand", "device"]}, **more}
    world = make_world(columns=columns, negatives=given, **changed)
    if "click" not in more.get("keep", ()):
        world.params.write_text(world.params.read_text().replace("  click: click\n", ""))
    return world


def take_in(world: World, day: date = FIRST) -> Ingested:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day)


def rows_of(world: World, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
    relation = Lake.of(world.config).relation([FIRST])
    with duckdb.connect() as con:
        query = f"SELECT {columns} FROM {relation} WHERE {where} ORDER BY ALL"
        return con.execute(query).fetchall()


@pytest.mark.few(1)
@pytest.mark.parametrize("source", SOURCES)
def test_a_drawn_row_is_its_click_with_the_item_of_another_row(make_world, source):
    world = clicks_world(make_world, {"from": source})
    world.write(FIRST, clicks(FIRST))
    taken = take_in(world)
    quality = taken.quality
    assert (quality.rows, quality.rejected, quality.drawn, quality.held) == (400, 0, 1600, 2000)
    assert sum(row["drawn"] for row in quality.domains) == 1600
    assert rows_of(world, 'drawn, click, "convert", count(*)', "true GROUP BY ALL") == [
        (False, 1, 0, 400),
        (True, 0, 0, 1600),
    ]
    delivered = rows_of(world, OF_CLICK, "NOT drawn")
    assert rows_of(world, f"{OF_CLICK}", "drawn") == sorted(4 * delivered)
    items = rows_of(world, f"DISTINCT {OF_ITEM}", "NOT drawn")
    assert set(rows_of(world, f"DISTINCT {OF_ITEM}", "drawn")) <= set(items)
    # What a single row says of its user goes nowhere else.
    assert not rows_of(world, "d_note", "d_note <> 'note of ' || user_id")
    with Ledger(world.config) as ledger:
        assert ledger.day(FIRST).rows == 2000
    assert "400 rows · 1,600 drawn" in day_line(FIRST, quality, [])


@pytest.mark.few(1)
@pytest.mark.parametrize("source", SOURCES)
def test_no_item_is_drawn_that_its_user_clicked_that_day_or_twice_for_a_click(make_world, source):
    world = clicks_world(make_world, {"from": source})
    world.write(FIRST, clicks(FIRST))
    take_in(world)
    clicked = set(rows_of(world, "user_id, item_id", "NOT drawn"))
    drawn = rows_of(world, "user_id, item_id, event_time, request_id, position", "drawn")
    assert not {row[:2] for row in drawn} & clicked
    times = rows_of(world, "user_id, event_time, position, count(*)", "NOT drawn GROUP BY ALL")
    if all(row[-1] == 1 for row in times):
        assert len(set(drawn)) == len(drawn)


@pytest.mark.few(1)
@pytest.mark.parametrize("source", SOURCES)
def test_the_same_rows_are_drawn_in_every_order_and_number_of_files(make_world, tmp_path, source):
    day = clicks(FIRST)
    world = clicks_world(
        make_world, {"from": source}, source={"uri": "logs/{day}/*"}, reference={"uri": None}
    )
    folder = world.root / "logs" / str(FIRST)
    folder.mkdir(parents=True)
    day.to_parquet(folder / "all.parquet")
    first = take_in(world)
    found = rows_of(world, f"{OF_CLICK}, {OF_ITEM}, click")
    assert not take_in(world).changed
    (folder / "all.parquet").unlink()
    mixed = day.sample(frac=1, random_state=3)
    mixed[100:][list(reversed(mixed.columns))].to_parquet(folder / "a.parquet")
    mixed[:100].to_csv(folder / "b.csv", index=False)
    again = take_in(world)
    assert (first.revision, again.revision) == (1, 2)
    assert rows_of(world, f"{OF_CLICK}, {OF_ITEM}, click") == found


@pytest.mark.slow
@pytest.mark.ci
def test_popular_items_are_drawn_as_often_as_they_are_clicked_or_all_equally(make_world):
    shares = {}
    for source in ("domain_day", "uniform"):
        world = clicks_world(make_world, {"from": source})
        day = clicks(FIRST, rows=4000)
        # Each user clicks once, so that little is left out.
        day["user"] = [f"v{n}" for n in range(len(day))]
        world.write(FIRST, day)
        take_in(world)
        rows = rows_of(world, "item_id, count(*)", "drawn GROUP BY ALL")
        shares[source] = pd.Series(dict(rows)) / 16_000
    clicked = day["item"].value_counts(normalize=True)
    assert shares["domain_day"].reindex(clicked.index).corr(clicked) > 0.95
    assert shares["uniform"].max() < 1.25 / day["item"].nunique()


@pytest.mark.slow
@pytest.mark.ci
def test_session_draws_what_was_clicked_while_it_lasted(make_world):
    world = clicks_world(make_world, {"per_positive": 2, "from": "session"})
    day = clicks(FIRST, rows=1500)
    # Items of the morning and of the evening.
    late = day["at"].dt.hour >= 12
    day["item"] = day["item"] + np.where(late, "-late", "-early")
    world.write(FIRST, day)
    take_in(world)
    early = rows_of(world, "contains(item_id, 'late'), count(*)", "drawn AND hour < 10 GROUP BY 1")
    assert dict(early).get(True, 0) < 0.02 * dict(early)[False]


def test_who_clicked_all_but_two_items_gets_two_and_is_counted(make_world):
    day = clicks(FIRST, rows=300)
    day["shop"] = "north"
    items = sorted(day["item"].unique())
    most = day.iloc[[0] * (len(items) - 2)].assign(user="all", item=items[2:])
    world = clicks_world(make_world)
    world.write(FIRST, pd.concat([day, most]))
    quality = take_in(world).quality
    (check,) = [check for check in quality.checks if check["rule"] == "negatives_fewer"]
    assert check["unexpected"] == len(most)
    assert rows_of(world, "DISTINCT item_id", "drawn AND user_id = 'all'") == [
        (item,) for item in items[:2]
    ]
    assert quality.drawn == 4 * len(day) + 2 * len(most)


def test_rejected_clicks_and_copies_draw_nothing(make_world):
    day = clicks(FIRST)
    day.loc[7, "item"] = None
    world = clicks_world(make_world)
    world.write(FIRST, pd.concat([day, day.iloc[[20]]]))
    quality = take_in(world).quality
    assert (quality.rejected, quality.drawn) == (2, 4 * 399)
    assert rows_of(world, "count(*)", "item_id IS NULL") == [(0,)]


@pytest.mark.slow
@pytest.mark.ci
def test_an_erased_user_draws_nothing_and_is_in_no_drawn_row(make_world):
    world = clicks_world(make_world)
    world.write(FIRST, clicks(FIRST))
    take_in(world)
    with Ledger(world.config) as ledger:
        erase(world.config, ledger, ["u3"], "asked")
    gone = "user_id = 'u3' OR d_note = 'note of u3'"
    assert rows_of(world, "count(*)", gone) == [(0,)]
    world.write(FIRST, clicks(FIRST).iloc[::-1])
    quality = take_in(world).quality
    assert rows_of(world, "count(*)", gone) == [(0,)]
    assert quality.drawn == 4 * quality.accepted < 1600


@pytest.mark.slow
@pytest.mark.ci
def test_other_negatives_are_other_content_and_none_keep_the_hash(make_world):
    world = clicks_world(make_world)
    world.write(FIRST, clicks(FIRST))
    hashes = [take_in(world).quality.content_hash]
    for change in ("per_positive: 4", "per_positive: 2"), ("seed: 7", "seed: 8"):
        world.params.write_text(world.params.read_text().replace(*change))
        hashes.append(take_in(world).quality.content_hash)
    assert len(set(hashes)) == 3
    assert take_in(world).quality.drawn == 800


def test_a_day_of_clicks_alone_is_refused_with_the_remedy(make_world):
    world = clicks_world(make_world, None, columns={"click": {"sql": "1"}})
    world.write(FIRST, clicks(FIRST))
    with pytest.raises(DayRefusedError) as refused:
        take_in(world)
    text = str(refused.value)
    assert "all 400 rows are clicks" in text
    assert "negatives: {per_positive: 4, from: domain_day} in params.yaml" in text
    assert text.count("broken") == 1 and "\n" not in text


def test_delivered_rows_without_a_click_stay(make_world):
    world = clicks_world(make_world, columns={"click": {"sql": "(place > 2)::INT"}})
    world.write(FIRST, clicks(FIRST))
    quality = take_in(world).quality
    ((shown, clicked),) = rows_of(world, "count(*), sum(click)", "NOT drawn")
    assert shown == 400 > clicked and quality.drawn == 4 * clicked


@pytest.mark.slow
@pytest.mark.ci
def test_days_before_there_were_drawn_rows_read_as_null(make_world):
    label = {"columns": {"click": {"sql": "(place > 4)::INT"}}}
    world = clicks_world(make_world, None, **label)
    world.write(FIRST, clicks(FIRST))
    assert take_in(world).quality.drawn == 0
    text = world.params.read_text()
    world.params.write_text(text.replace("negatives: null", "negatives: {from: uniform}"))
    world.write(world.day(1), clicks(world.day(1)))
    drawn = take_in(world, world.day(1)).quality.drawn
    relation = Lake.of(world.config).relation([FIRST, world.day(1)])
    with duckdb.connect() as con:
        counted = con.execute(f"SELECT drawn, count(*) FROM {relation} GROUP BY 1").fetchall()
    assert dict(counted) == {None: 400, False: 400, True: drawn}


@pytest.mark.slow
@pytest.mark.ci
def test_the_day_page_tells_drawn_rows_from_delivered_ones(make_world):
    world = clicks_world(make_world)
    world.write(FIRST, clicks(FIRST))
    take_in(world)
    with Ledger(world.config) as ledger:
        build_site(world.config, ledger)
    page = (Workspace(world.config).reports / "day" / f"{FIRST}.html").read_text()
    assert "<b>400</b> rows delivered" in page and "<b>1,600</b> drawn beside them" in page
    assert "1,600 of the day&#39;s 2,000 rows were shown to nobody" in page
    assert "The lake holds 2,000 rows of this day" in page


def test_features_of_the_item_can_be_named(make_world):
    world = clicks_world(make_world, FOUR | {"item": ["device"]})
    day = clicks(FIRST)
    day["device"] = "of " + day["item"]
    day.loc[::3, "device"] = "other"
    world.write(FIRST, day)
    quality = take_in(world).quality
    (check,) = [check for check in quality.checks if check["rule"] == "negatives_fewer"]
    assert "category, price, f_device, d_title." in check["sentence"]


@pytest.mark.parametrize(
    ("given", "columns", "said"),
    [
        (None, {}, "key 'columns.click' is missing; add it, or where every row is a click"),
        (None, {"click": None}, "key 'columns.click' is missing; add it, or where every row is"),
        ({"from": "session"}, {"request": None}, "'session' needs columns.request"),
        ({"from": "day"}, {}, "negatives.from = 'day'"),
        ({"per_positive": 0}, {}, "negatives.per_positive = 0"),
        ({"item": ["colour"]}, {}, "'colour' is no feature; there is brand, device"),
    ],
)
def test_wrong_negatives_are_one_line(make_world, given, columns, said):
    world = clicks_world(make_world, given, columns=columns)
    with pytest.raises(ConfigError) as wrong:
        world.config  # noqa: B018
    assert said in str(wrong.value) and "\n" not in str(wrong.value)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_a_base_is_trained_on_drawn_rows_and_tells_clicks_from_them(make_world):
    world = clicks_world(make_world, backbone={"epochs": 4})
    for number in range(REFERENCE_DAYS):
        world.write(world.day(number), clicks(world.day(number), rows=1500))
    with Ledger(world.config) as ledger:
        figures = pretrain(world.config, ledger)
    # The newest fifth of three days.
    assert figures["rows"] == 4500
    # Users like a third of the items, and the draw does not know it.
    assert figures["ctr_auc"] > 0.65


Row = tuple[int, int, int, int]


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=20)
@given(
    rows=st.lists(
        st.tuples(*[st.integers(0, 5), st.integers(0, 7), st.integers(0, 1), st.integers(0, 3)]),
        min_size=1,
        max_size=30,
        unique=True,
    ),
    wanted=st.integers(1, 9),
    source=st.sampled_from(SOURCES),
)
def test_every_click_gets_what_there_is_and_no_more(
    rows: Sequence[Row], wanted: int, source: str
) -> None:
    """By brute force: as many items as wanted, or all of the domain that the user left."""
    chosen = Negatives.model_validate({"per_positive": wanted, "from": source})
    found = {}
    for order in (list(rows), list(reversed(rows))):
        with duckdb.connect(config={"threads": 1}) as con:
            values = [
                f"({number}, {user}, {item}, {domain}, {user}, {hour * 3_600_000_000}, true, "
                f"{hash((user, item, domain, hour)) & 0xFFFFFFFF})"
                for number, (user, item, domain, hour) in enumerate(order)
            ]
            con.execute(
                f"CREATE TABLE pool AS FROM (VALUES {', '.join(values)}) "
                "AS rows (row_id, u, i, g, s, t, positive, key)"
            )
            sample(con, chosen)
            pairs = con.execute("SELECT row_id, i, other FROM drawn").fetchall()
        assert all(order[other][1] == item for _, item, other in pairs)
        named = sorted((order[row], item) for row, item, _ in pairs)
        found.setdefault("drawn", named)
        assert named == found["drawn"]
    for row in rows:
        everything = {
            item for _, item, domain, _ in rows if source == "uniform" or domain == row[2]
        }
        left = everything - {item for user, item, _, _ in rows if user == row[0]}
        got = [item for of, item in found["drawn"] if of == row]
        assert len(got) == len(set(got)) == min(wanted, len(left)) and set(got) <= left
