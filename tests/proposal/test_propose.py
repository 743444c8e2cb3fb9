"""Logs that differ in everything are proposed as they are meant."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from driftune.config.loading import load_config
from driftune.errors import ConfigError, SourceError
from driftune.lake.source import arrived
from driftune.proposal import columns
from driftune.proposal.columns import Column
from driftune.proposal.propose import Proposal, propose
from driftune.proposal.roles import Guess, Value
from tests.anywhere import anywhere
from tests.conftest import FIRST, impressions

DAYS = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]
ROWS = """
SELECT 'u' || (hash(x * 31 + {n}) % 90)::BIGINT AS u, (hash(x * 7 + {n}) % 1000003)::BIGINT AS h,
       TIMESTAMP '{day}' + to_seconds(x * 86400 // 600) AS t, x::BIGINT AS x
FROM range(600) r(x)
"""
Write = Callable[[Path], Path]


def _written(folder: Path, select: str, name: str, options: str) -> Path:
    folder.mkdir(parents=True)
    with anywhere() as con:
        for number, day in enumerate(DAYS):
            rows = ROWS.format(n=number, day=day)
            path = folder / day.strftime(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            con.execute(f"COPY (SELECT {select} FROM ({rows})) TO '{path}' ({options})")
    return folder


def news(folder: Path) -> Path:
    """Ids with their labels behind them, a time that is no ISO 8601, tabs between values."""
    select = """
        'U' || u AS user_id, strftime(t, '%m/%d/%Y %I:%M:%S %p') AS time,
        ['n', 's', 'e'][1 + h % 3] AS region,
        array_to_string(list_transform(range(2 + h % 9),
            lambda k: 'N' || (hash(x * 31 + k) % 80) || '-' || (hash(x * k) % 4 = 0)::INT), ' ')
        AS impressions
    """
    return _written(folder, select, "%Y-%m-%d.tsv", "DELIMITER '\t'")


def travel(folder: Path) -> Path:
    """Lists side by side as text, the clicked id in a column of its own, seconds since 1970."""
    select = """
        'U' || u AS user_id, 's' || h AS session_id, epoch(t)::BIGINT AS timestamp,
        ['AU', 'DE', 'BR'][1 + h % 3] AS platform,
        (hash(x * 31 + h % 8) % 70)::VARCHAR AS reference,
        array_to_string(list_transform(range(8), lambda k: hash(x * 31 + k) % 70), '|')
            AS impressions,
        array_to_string(list_transform(range(8), lambda k: 20 + hash(x + k) % 300), '|') AS prices
    """
    return _written(folder, select, "%Y%m%d.csv", "HEADER")


def nested(folder: Path) -> Path:
    """JSON lines with structs in lists, and the domain within a struct."""
    select = """
        u AS reader, t AS impression_time, {'region': ['n', 's', 'e'][1 + h % 3]} AS context,
        list_transform(range(2 + h % 6), lambda k: {
            'article_id': 'a' || hash(x * 31 + k) % 60,
            'category': ['x', 'y', 'z'][1 + (hash(x * 31 + k) % 60 % 3)::BIGINT],
            'clicked': hash(x * k) % 3 = 0}) AS articles
    """
    return _written(folder, select, "year=%Y/month=%m/day=%d/part.jsonl", "FORMAT json")


def ads(folder: Path) -> Path:
    """An id of 20 digits that names the row, hours as YYMMDDHH, no user but a device."""
    select = """
        (10000000000000000000::UBIGINT + h + x)::VARCHAR AS id, (h % 6 = 0)::INT AS click,
        strftime(t, '%y%m%d%H') AS hour, (h // 3 % 7)::INT AS banner_pos,
        'b' || (h // 7 % 40) AS banner_id, md5('c' || h // 7 % 40 % 8)[:8] AS site_category,
        md5('d' || h // 5 % 90)[:8] AS device_id, ['wifi', 'cell'][1 + h // 11 % 2] AS platform
    """
    return _written(folder, select, "ads_%Y%m%d.csv.gz", "HEADER, COMPRESSION gzip")


def ratings(folder: Path) -> Path:
    """Ratings in place of clicks."""
    select = """
        substr(u, 2)::INT AS userId, h % 50 AS movieId, 0.5 * (1 + h // 50 % 10) AS rating,
        epoch_ms(t) AS timestamp, ['tv', 'phone'][1 + h // 11 % 2] AS platform
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


def shop(folder: Path) -> Path:
    """A plain log of impressions with orders, prices and lists by name."""
    select = """
        u AS customerId, 'p' || h % 50 AS product_id, t AS shown_at, ['DE', 'FR'][1 + h // 50 % 2]
        AS country, (h // 7 % 3 = 0) AS clicked, (h // 7 % 6 = 0) AS ordered,
        'c' || h % 50 % 5 AS category, 1.5 + h % 50 AS price, x // 4 AS request_id,
        x % 4 AS position
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


def feed(folder: Path) -> Path:
    """Parquet lists of whole numbers: what was in view, and what of it was clicked."""
    select = """
        'r' || x AS impression_id, u AS user_id, t AS impression_time,
        (h % 3)::TINYINT AS device_type,
        list_transform(range(3 + h % 9), lambda k: (9000000 + k * 100 + hash(x * 31 + k) % 90)::INT)
            AS article_ids_inview,
        [(9000000 + h % 3 * 100 + hash(x * 31 + h % 3) % 90)::INT] AS article_ids_clicked
    """
    return _written(folder, select, "%Y-%m-%d/behaviors.parquet", "FORMAT parquet")


def plain(folder: Path) -> Path:
    """A CSV file of impressions, whose time has a blank in it."""
    select = """
        'u' || u AS user_id, 'i' || h % 50 AS item_id,
        strftime(t, '%Y-%m-%d %H:%M:%S') AS shown_at, (h // 7 % 4 = 0)::INT AS click,
        ['n', 's'][1 + h // 50 % 2] AS region, 1.5 + h % 50 AS price
    """
    return _written(folder, select, "%Y-%m-%d.csv", "HEADER")


def german(folder: Path) -> Path:
    """The same with the day before the month."""
    select = """
        'u' || u AS user_id, 'i' || h % 50 AS item_id, strftime(t, '%d.%m.%Y %H:%M') AS shown_at,
        (h // 7 % 4 = 0)::INT AS click, ['n', 's'][1 + h // 50 % 2] AS region
    """
    return _written(folder, select, "%Y-%m-%d.csv", "HEADER")


def tagged(folder: Path) -> Path:
    """Impressions, each with lists and maps of what is known of it."""
    select = """
        'u' || u AS user_id, 'i' || h % 50 AS item_id, t AS shown_at, (h // 7 % 4 = 0) AS clicked,
        ['n', 's'][1 + h // 50 % 2] AS region, ['a' || h % 4, 'b', 'c' || h % 3] AS tags,
        [0.5 * (h % 3), 1.5, 2.5] AS vec, (h % 9 / 2) || ',' || (h % 7 / 2) AS latlon,
        '{"a": 1, "b' || h % 3 || '": 2}' AS facts, 'size-' || h % 2 || ' color-0' AS attrs
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


def bare(folder: Path) -> Path:
    """Lists and nothing beside them but who saw them: what is made of them is no domain."""
    select = """
        'u' || u AS user_id, t AS shown_at,
        list_transform(range(6), lambda k: 'i' || hash(x * 31 + k) % 60) AS items,
        1 + h % 6 AS clicked_place
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


def zeros(folder: Path) -> Path:
    """A time since 1970 that some rows lack and write as 0."""
    select = """
        'u' || u AS user_id, 'i' || h % 50 AS item_id,
        CASE WHEN x % 100 = 0 THEN 0 ELSE epoch_ms(t) END AS shown_at,
        (h // 7 % 4 = 0) AS clicked, ['n', 's'][1 + h // 50 % 2] AS region
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


def deep(folder: Path) -> Path:
    """A time of milliseconds within a struct."""
    select = """
        'u' || u AS user_id, 'i' || h % 50 AS item_id, {'at': epoch_ms(t), 'n': x} AS event,
        (h // 7 % 4 = 0) AS clicked, ['n', 's'][1 + h // 50 % 2] AS region
    """
    return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")


KNOWN: dict[str, tuple[Write, str, dict[str, Value]]] = {
    "news": (
        news,
        "{day}.tsv",
        {
            "user": "user_id",
            "item": "impressions",
            "time": {"column": "time", "format": "%m/%d/%Y %I:%M:%S %p"},
            "domain": "region",
            "click": "list_clicked",
            "request": "list_id",
            "position": "list_place",
        },
    ),
    "travel": (
        travel,
        "{day:%Y%m%d}.csv",
        {
            "user": "user_id",
            "item": "impressions",
            "time": {"column": "timestamp", "unit": "s"},
            "domain": "platform",
            "price": "prices",
            "click": "list_clicked",
        },
    ),
    "feed": (
        feed,
        "{day}/behaviors.parquet",
        {
            "user": "user_id",
            "item": "article_ids_inview",
            "time": {"column": "impression_time"},
            "domain": "device_type",
            "click": "list_clicked",
        },
    ),
    "nested": (
        nested,
        "{day:year=%Y/month=%m/day=%d}/part.jsonl",
        {
            "user": "reader",
            "item": "article_id",
            "time": {"column": "impression_time"},
            "domain": {"sql": '"context"."region"'},
            "click": "clicked",
            "category": "category",
        },
    ),
    "ads": (
        ads,
        "ads_{day:%Y%m%d}.csv.gz",
        {
            "user": "device_id",
            "item": "banner_id",
            "time": {"column": "hour", "format": "%y%m%d%H"},
            "domain": "platform",
            "click": "click",
            "category": "site_category",
        },
    ),
    "ratings": (
        ratings,
        "{day}.parquet",
        {
            "user": "userId",
            "item": "movieId",
            "time": {"column": "timestamp", "unit": "ms"},
            "domain": "platform",
            "click": {"sql": '"rating" >= 4'},
            "convert": None,
            "category": None,
        },
    ),
    "shop": (
        shop,
        "{day}.parquet",
        {
            "user": "customerId",
            "item": "product_id",
            "time": {"column": "shown_at"},
            "domain": "country",
            "click": "clicked",
            "convert": "ordered",
            "category": "category",
            "price": "price",
            "request": "request_id",
            "position": "position",
        },
    ),
    "plain": (
        plain,
        "{day}.csv",
        {
            "user": "user_id",
            "item": "item_id",
            "time": {"column": "shown_at"},
            "domain": "region",
            "click": "click",
            "price": "price",
            "request": None,
        },
    ),
    "german": (
        german,
        "{day}.csv",
        {
            "user": "user_id",
            "item": "item_id",
            "time": {"column": "shown_at", "format": "%d.%m.%Y %H:%M"},
            "click": "click",
            "request": None,
        },
    ),
    "tagged": (
        tagged,
        "{day}.parquet",
        {
            "user": "user_id",
            "item": "item_id",
            "domain": "region",
            "click": "clicked",
            "request": None,
            "position": None,
        },
    ),
    "bare": (
        bare,
        "{day}.parquet",
        {
            "user": "user_id",
            "item": "items",
            "click": "list_clicked",
            "domain": {"sql": "'all'"},
            "category": None,
        },
    ),
    "zeros": (
        zeros,
        "{day}.parquet",
        {"user": "user_id", "item": "item_id", "time": {"column": "shown_at", "unit": "ms"}},
    ),
    "deep": (
        deep,
        "{day}.parquet",
        {"user": "user_id", "time": {"sql": '"event"."at"', "unit": "ms"}, "domain": "region"},
    ),
}


def _proposed(folder: Path, write: Write) -> Proposal:
    return propose([write(folder / "logs")], folder)


@pytest.mark.few(2)
@pytest.mark.parametrize("log", KNOWN)
def test_each_log_is_proposed_as_it_is_meant(tmp_path: Path, log: str) -> None:
    write, name, roles = KNOWN[log]
    found = _proposed(tmp_path, write)
    assert {guess.role: guess.value for guess in found.guesses if guess.role in roles} == roles
    assert found.files.template == f"logs/{name}"
    assert list(found.files.days) == DAYS


@pytest.mark.few(1)
@pytest.mark.parametrize("log", KNOWN)
def test_what_is_proposed_is_a_configuration(tmp_path: Path, log: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(_proposed(tmp_path, KNOWN[log][0]).text(), encoding="utf-8")
    config = load_config(file, env={})
    assert (config.reference.first, config.reference.last) == (DAYS[0], DAYS[1])
    assert config.columns.user == KNOWN[log][2]["user"]


def test_roles_that_no_column_gives_are_left_out(tmp_path: Path) -> None:
    text = _proposed(tmp_path, ratings).text()
    assert "convert:" not in text and "category:" not in text
    lacking = "convert, category, price, request, position, propensity"
    assert f"  # No column is one for: {lacking}.\n" in text


def test_a_log_of_clicks_alone_has_its_negatives_drawn(tmp_path: Path) -> None:
    def portal(folder: Path) -> Path:
        select = """
            u AS UserID, 'i' || h % 50 AS ItemID, t AS ClickTime, 'r' || h // 50 % 4 AS Region
        """
        return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")

    found = _proposed(tmp_path, portal)
    assert [guess.role for guess in found.questions] == ["click"]
    file = tmp_path / "params.yaml"
    file.write_text(found.text(), encoding="utf-8")
    config = load_config(file, env={})
    assert config.negatives is not None
    assert (config.negatives.per_positive, config.negatives.from_) == (4, "domain_day")


def test_an_answer_goes_before_a_guess(tmp_path: Path) -> None:
    found = _proposed(tmp_path, ads).answered({"domain": "site_category", "item": "banner_id"})
    by_role = {guess.role: guess for guess in found.guesses}
    assert by_role["domain"] == Guess("domain", "site_category", "sure", "as answered")
    assert [guess.role for guess in found.questions] == []


@pytest.mark.parametrize(
    ("answer", "line"),
    [({"scene": "x"}, "there is no such role"), ({"domain": "x"}, "no such column; id, click")],
)
@pytest.mark.few(1)
def test_an_answer_that_names_nothing_is_one_line(
    tmp_path: Path, answer: dict[str, str], line: str
) -> None:
    with pytest.raises(ConfigError, match=line):
        _proposed(tmp_path, ads).answered(answer)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("gone.csv", None, "is not there; name files"),
        ("day.csv", "a,b\n1,2\n", "its name writes no day"),
        ("2026-13-41.csv", "a,b\n1,2\n", "its name writes no day"),
        ("2026-03-02.xlsx", "x", "unknown file type"),
        ("2026-03-02.parquet", "no parquet", "cannot be read together"),
    ],
)
def test_files_that_are_no_days_are_one_line(
    tmp_path: Path, name: str, text: str | None, line: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=line) as refused:
        propose([tmp_path / name], tmp_path)
    assert "\n" not in str(refused.value)


def test_a_folder_without_logs_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Parquet, CSV or JSON lines there"):
        propose([tmp_path], tmp_path)


def test_an_answered_time_is_read_as_it_is_written(tmp_path: Path) -> None:
    def two(folder: Path) -> Path:
        select = """
            'u' || u AS user_id, 'i' || h % 50 AS item_id, t AS shown_at, epoch(t)::BIGINT AS sent,
            strftime(t, '%Y%m%d%H')::BIGINT AS hour,
            {'made': strftime(t, '%d.%m.%Y %H:%M')} AS item,
            (h // 7 % 4 = 0) AS clicked
        """
        return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")

    found = _proposed(tmp_path, two)

    def time(name: str) -> Value:
        return next(g.value for g in found.answered({"time": name}).guesses if g.role == "time")

    assert time("sent") == {"column": "sent", "unit": "s"}
    assert time("hour") == {"column": "hour", "format": "%Y%m%d%H"}
    assert time("item.made") == {"sql": '"item"."made"', "format": "%d.%m.%Y %H:%M"}
    assert "#   sent: " not in found.answered({"time": "sent"}).text()


@pytest.mark.parametrize(
    ("select", "columns"),
    [
        ("['i' || h % 40, 'i' || h % 30] AS list_id", {"list_id_2": "list_id"}),
        (
            "{'Items': ['i' || h % 40, 'i' || h % 30]} AS a, {'items': [h % 3, h % 4]} AS b",
            {"a_Items": "a.Items", "b_items": "b.items"},
        ),
        (
            "{'id': ['i' || h % 40, 'i' || h % 30]} AS items, 'r' || x AS id",
            {"items_id": "items.id"},
        ),
    ],
)
@pytest.mark.few(1)
def test_a_list_whose_name_is_taken_gets_another(
    tmp_path: Path, select: str, columns: dict[str, str]
) -> None:
    def lists(folder: Path) -> Path:
        rows = f"'u' || u AS user_id, t AS shown_at, {select}"
        return _written(folder, rows, "%Y-%m-%d.parquet", "FORMAT parquet")

    explode = _proposed(tmp_path, lists).explode
    assert explode is not None
    assert explode.columns == columns


def test_a_column_that_lists_would_make_is_one_line_with_its_file(tmp_path: Path) -> None:
    def lists(folder: Path) -> Path:
        rows = "'u' || u AS user_id, t AS shown_at, ['i' || h % 40, 'j'] AS items, x AS list_id"
        return _written(folder, rows, "%Y-%m-%d.parquet", "FORMAT parquet")

    with pytest.raises(SourceError, match=r"2026-03-02.parquet: has the column 'list_id'"):
        _proposed(tmp_path, lists)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name",
    [
        "a\0b",
        "a\nb: [",
        "a\x85b",
        "\U0001f600",
        "a: #'\"b",
    ],
)
def test_any_sign_in_names_and_values_can_be_read_again(tmp_path: Path, name: str) -> None:
    column = Column(f"{name} 2", "VARCHAR", 9, 9, 2, 0, 0, None, None, 0.5, (f"v{name}",), False)
    found = _proposed(tmp_path, plain)
    guesses = tuple(
        replace(g, value=name, why=f"such as {name}", others=(name,)) if g.role == "user" else g
        for g in found.guesses
    )
    text = replace(found, columns=(column, *found.columns), guesses=guesses).text("Asia/Shanghai")
    assert "2 values, such as v" in text
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    config = load_config(file, env={})
    assert (config.columns.user, config.timezone) == (name, "Asia/Shanghai")


def test_the_sample_is_of_the_whole_day_and_keeps_requests_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "SAMPLE_ROWS", 3_000)
    file = tmp_path / "2026-03-02.csv"
    file.write_text("n,request\n" + "".join(f"{n},{n // 5}\n" for n in range(20_000)))
    with columns.sampled([file]) as con:
        found = con.execute("SELECT n::INT, request FROM sample").fetchall()
    assert 2_000 <= len(found) <= 3_000
    assert max(n for n, _ in found) > 10_000
    assert len({request for _, request in found}) == len(found) // 5


def test_what_an_item_has_several_of_is_no_category(tmp_path: Path) -> None:
    def pages(folder: Path) -> Path:
        select = """
            'u' || u AS user_id, 'i' || h % 50 AS item_id, t AS shown_at,
            (h // 7 % 4 = 0)::INT AS click, 'c' || h // 50 % 6 AS site_category
        """
        return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")

    found = {guess.role: guess.value for guess in _proposed(tmp_path, pages).guesses}
    assert found["domain"] == "site_category"
    assert found["category"] is None


def test_an_item_is_no_user_where_nothing_is_called_one(tmp_path: Path) -> None:
    def views(folder: Path) -> Path:
        select = """
            'k' || u AS cookie, 'i' || h % 50 AS item_id, t AS shown_at,
            (h // 7 % 4 = 0)::INT AS click, ['n', 's'][1 + h // 50 % 2] AS region
        """
        return _written(folder, select, "%Y-%m-%d.parquet", "FORMAT parquet")

    found = {guess.role: guess for guess in _proposed(tmp_path, views).guesses}
    assert (found["user"].value, found["item"].value) == ("cookie", "item_id")


@pytest.mark.parametrize("name", ["all.csv", "all.jsonl", "all.parquet"])
def test_files_of_many_days_are_read_by_their_times(tmp_path: Path, name: str) -> None:
    frame = pd.concat([impressions(FIRST + timedelta(days=n), 300) for n in range(4)])
    path = tmp_path / "logs" / name
    path.parent.mkdir()
    if name.endswith("parquet"):
        frame.to_parquet(path, index=False)
    elif name.endswith("csv"):
        frame.to_csv(path, index=False)
    else:
        frame.assign(event_time=frame.event_time.astype(str)).to_json(
            path, orient="records", lines=True
        )
    proposal = propose([path.parent], tmp_path)
    assert list(proposal.files.days) == [FIRST + timedelta(days=n) for n in range(4)]
    (tmp_path / "params.yaml").write_text(proposal.text())
    config = load_config(tmp_path / "params.yaml", env={})
    assert (config.source.uri, config.source.day_from) == (f"logs/{name}", "time")
    assert arrived(config, FIRST + timedelta(days=3))
    assert not arrived(config, FIRST + timedelta(days=4))
