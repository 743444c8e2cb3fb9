"""Logs that differ in everything: of each how it is written, and what params.yaml says of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.schemas.events import KINDS, events, lists_of

Params = dict[str, Any]
# Domains of a few rows, see many_domains.
SMALL = 500


@dataclass(frozen=True)
class Schema:
    """A log: how a day is written, and its params.yaml, or the answers that ``init`` is given.

    ``domains``: names of those that get a verdict; ``small``: so many others are too small for
    one. ``reference``: so many days are pre-training's; ``later``: so many follow, on the last of
    which there is history enough for a verdict. ``drawn``: the log has clicks alone.
    """

    name: str
    write: Callable[[Path, date], pd.DataFrame]
    domains: tuple[str, ...]
    params: Params = field(default_factory=dict)
    answers: dict[str, str] | None = None
    reference: int = 2
    later: int = 1
    drawn: bool = False
    small: int = 0


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _instant(when: pd.Timestamp) -> str:
    return when.isoformat()


def parquet_lists(folder: Path, day: date) -> pd.DataFrame:
    """Lists of Parquet side by side."""
    frame = events(day)
    given = lists_of(frame).assign(scene=lambda f: "s" + f["domain"].astype(str))
    given[["user", "time", "scene", "item", "click"]].to_parquet(folder / f"{day}.parquet")
    return frame


def json_arrays(folder: Path, day: date) -> pd.DataFrame:
    """Arrays of JSON lines, and the ids that were clicked."""
    frame = events(day)
    rows = [
        {
            "visitor": f"v{row.user}",
            "ts": int(row.time.timestamp() * 1000),
            "site": f"site-{row.domain}",
            "shown": [f"i{item}" for item in row.item],
            "clicks": [f"i{i}" for i, k in zip(row.item, row.click, strict=True) if k],
        }
        for row in lists_of(frame).itertuples()
    ]
    _jsonl(folder / f"{day}.jsonl", rows)
    return frame


def suffixes(folder: Path, day: date) -> pd.DataFrame:
    """Texts with the label behind each id, tabs between columns, times of twelve hours."""
    frame = events(day)
    lists = lists_of(frame)
    given = pd.DataFrame(
        {
            "user_id": [f"U{user}" for user in lists["user"]],
            "time": lists["time"].dt.strftime("%m/%d/%Y %I:%M:%S %p"),
            "section": [("home", "local")[number] for number in lists["domain"]],
            "impressions": [
                " ".join(f"N{i}-{k}" for i, k in zip(row.item, row.click, strict=True))
                for row in lists.itertuples()
            ],
        }
    )
    given.to_csv(folder / f"{day}.tsv", sep="\t", index=False)
    return frame


def structs(folder: Path, day: date) -> pd.DataFrame:
    """Structs in a list within a struct, and the domain in another one."""
    frame = events(day)
    rows = [
        {
            "reader": f"r{row.user}",
            "impression_time": _instant(row.time),
            "context": {"region": ("north", "south")[row.domain], "device": "web"},
            "articles": [
                {"article_id": f"a{i}", "category": KINDS[kind], "clicked": bool(k)}
                for i, kind, k in zip(row.item, row.kind, row.click, strict=True)
            ],
        }
        for row in lists_of(frame).itertuples()
    ]
    _jsonl(folder / f"{day}.jsonl", rows)
    return frame


def places(folder: Path, day: date) -> pd.DataFrame:
    """Texts side by side, and the places that were clicked, as a list that begins at 0."""
    frame = events(day)
    lists = lists_of(frame)
    given = pd.DataFrame(
        {
            "user": lists["user"],
            "at": lists["time"].map(_instant),
            "country": [("DE", "FR")[number] for number in lists["domain"]],
            "hotels": ["|".join(map(str, items)) for items in lists["item"]],
            "prices": ["|".join(map(str, prices)) for prices in lists["price"]],
            "clicked": [json.dumps([n for n, k in enumerate(row) if k]) for row in lists["click"]],
        }
    )
    given.to_csv(folder / f"{day}.csv", index=False)
    return frame


def clicks_alone(folder: Path, day: date) -> pd.DataFrame:
    """A log of clicks."""
    frame = events(day, rows=3200).query("click == 1")
    given = pd.DataFrame(
        {
            "UserID": "u" + frame["user"].astype(str),
            "ItemID": "i" + frame["item"].astype(str),
            "ClickTime": frame["time"],
            "Region": "r" + frame["domain"].astype(str),
        }
    )
    given.to_parquet(folder / f"{day}.parquet")
    return frame


def whole_numbers(folder: Path, day: date) -> pd.DataFrame:
    """Nothing but numbers: ids, domains, seconds since 1970."""
    frame = events(day)
    given = frame[["user", "item", "domain", "click"]].assign(
        user=lambda f: 9_000_000_000_000_000_000 + f["user"].astype("uint64"),
        ts=frame["time"].astype("datetime64[s]").astype("int64"),
    )
    given.to_parquet(folder / f"{day}.parquet")
    return frame


def texts(folder: Path, day: date) -> pd.DataFrame:
    """Ids of any writing, with a category and a price, but nothing of the user."""
    frame = events(day)
    given = pd.DataFrame(
        {
            "user": [f"ü {user:04d} " for user in frame["user"]],
            "item": [f"0{item:03d}" for item in frame["item"]],
            "shown_at": frame["time"].map(_instant),
            "page": np.array(["a,b", '"c"'])[frame["domain"]],
            "click": frame["click"],
            "kind": np.array(KINDS)[frame["kind"]],
            "price": frame["price"],
        }
    )
    given.to_csv(folder / f"{day}.csv", index=False)
    return frame


def bare(folder: Path, day: date, domains: int = 1, rows: int = 1600) -> pd.DataFrame:
    """User, item, time and click, and the domain as a number."""
    frame = events(day, rows=rows, domains=domains)
    columns = ["user", "item", "time", "domain", "click", "price"]
    frame[columns].to_parquet(folder / f"{day}.parquet")
    return frame


def many_domains(folder: Path, day: date) -> pd.DataFrame:
    """Domains of a few rows, and one that is large."""
    frame = events(day, rows=6400, domains=750)
    frame["domain"] = frame["domain"].where(frame["list"] % 3 > 0, 0)
    assert frame["domain"].nunique() == SMALL + 1, frame["domain"].nunique()
    columns = ["user", "item", "time", "domain", "click", "price"]
    frame[columns].to_parquet(folder / f"{day}.parquet")
    return frame


def dialect(folder: Path, day: date) -> pd.DataFrame:
    """CSV as no other: signs, encoding, a line before the header, times, words for null."""
    frame = events(day)
    given = pd.DataFrame(
        {
            "kunde": [f"K{user}" for user in frame["user"]],
            "artikel": [f"Ä{item}" for item in frame["item"]],
            "zeit": frame["time"].dt.strftime("%d.%m.%Y %H:%M:%S"),
            "ort": np.array(["Köln; Süd", "Weiß"])[frame["domain"]],
            "klick": np.array(["nein", "ja"])[frame["click"]],
            "preis": [f"{price:.2f}".replace(".", ",") for price in frame["price"]],
        }
    )
    given.loc[::7, "preis"] = "n/a"
    text = "# Export\n" + given.to_csv(sep=";", quotechar="'", index=False)
    (folder / f"{day}.csv").write_bytes(text.encode("cp1252"))
    return frame


_BARE: Params = {"user": "user", "item": "item", "time": {"column": "time"}, "click": "click"}
_LISTED: Params = {"user": "user", "item": "item", "time": {"column": "time"}}
PERIOD = "CASE WHEN hour(time) < 12 THEN 'morning' ELSE 'evening' END"
BAND = "CASE WHEN price < 40 THEN 'cheap' ELSE 'dear' END"


def _bare(name: str, domains: tuple[str, ...], domain: Any, **more: Any) -> Schema:
    params = {"source": {"uri": "logs/{day}.parquet"}, "columns": {**_BARE, "domain": domain}}
    params |= more.pop("params", {})
    return Schema(name, more.pop("write", bare), domains, params, **more)


SCHEMAS = (
    Schema(
        "lists of Parquet",
        parquet_lists,
        ("s0", "s1"),
        {
            "source": {"uri": "logs/{day}.parquet", "explode": {"columns": ["item", "click"]}},
            "columns": {**_LISTED, "domain": "scene", "click": "click"},
        },
    ),
    Schema(
        "arrays of JSON and clicked ids",
        json_arrays,
        ("site-0", "site-1"),
        {
            "source": {
                "uri": "logs/{day}.jsonl",
                "explode": {"columns": {"item": "shown"}, "clicked": {"ids": "clicks"}},
            },
            "columns": {
                "user": "visitor",
                "item": "item",
                "time": {"column": "ts", "unit": "ms"},
                "domain": "site",
            },
        },
    ),
    Schema("ids with labels behind them", suffixes, ("home", "local"), answers={}),
    Schema("nested structs", structs, ("north", "south"), answers={}),
    Schema(
        "texts and clicked places",
        places,
        ("DE", "FR"),
        {
            "source": {
                "uri": "logs/{day}.csv",
                "explode": {
                    "columns": {"hotel": "hotels", "price": "prices"},
                    "separator": {"hotels": "|", "prices": "|"},
                    "clicked": {"at": "clicked", "first": 0},
                },
            },
            "columns": {
                "user": "user",
                "item": "hotel",
                "time": {"column": "at"},
                "domain": "country",
                "price": "price",
            },
        },
    ),
    Schema("clicks alone", clicks_alone, ("r0", "r1"), answers={"domain": "Region"}, drawn=True),
    Schema(
        "ids that are whole numbers",
        whole_numbers,
        ("0", "1"),
        {
            "source": {"uri": "logs/{day}.parquet"},
            "columns": {
                "user": "user",
                "item": "item",
                "time": {"column": "ts", "unit": "s"},
                "domain": "domain",
                "click": "click",
            },
        },
    ),
    Schema("ids that are texts", texts, ("a,b", '"c"'), answers={"domain": "page"}),
    _bare("one domain", ("all",), {"sql": "'all'"}, reference=3),
    _bare("a domain by the hour", ("morning", "evening"), {"sql": PERIOD}),
    _bare("a domain by price", ("cheap", "dear"), {"sql": BAND}),
    _bare("two days, and two more", ("0",), "domain", reference=1, later=3),
    _bare(
        "labels that come late",
        ("0",),
        "domain",
        reference=3,
        params={"gate": {"label_delay_hours": 24}},
    ),
    _bare("many domains", ("0",), "domain", write=many_domains, small=SMALL, reference=3),
    Schema(
        "a dialect of CSV",
        dialect,
        ("Köln; Süd", "Weiß"),
        {
            "source": {
                "uri": "logs/{day}.csv",
                "csv": {
                    "delimiter": ";",
                    "quote": "'",
                    "encoding": "cp1252",
                    "header": 2,
                    "null": ["n/a"],
                },
            },
            "columns": {
                "user": "kunde",
                "item": "artikel",
                "time": {"column": "zeit", "format": "%d.%m.%Y %H:%M:%S"},
                "domain": "ort",
                "click": {"sql": "klick = 'ja'"},
                "price": {"sql": "replace(preis, ',', '.')::DOUBLE"},
            },
        },
    ),
)
