"""Delivered files as the corpus writes them, and what must come out of them."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

ROWS = 12


@dataclass(frozen=True)
class Case:
    """A file and its ``values`` in ``column`` of the staged day, in order; or, in their place, the
    words of the line that must be said. ``quarantined``: reasons of rows that are none."""

    name: str
    file: str
    content: bytes | pa.Table
    column: str = "user_id"
    values: list[Any] | None = None
    says: str = ""
    quarantined: dict[str, int] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def rows(day: date, number: int = ROWS, **changed: list[Any]) -> list[dict[str, Any]]:
    """Plain rows of a day, with some columns changed or added."""
    plain = [
        {
            "user_id": f"u{row % 5}",
            "item_id": f"i{row % 7}",
            "event_time": f"{day} {(8 + row) % 24:02d}:00:00",
            "scene": "home",
            "region": ("north", "south")[row % 2],
            "category": "sushi",
            "price": "9.5",
            "click": str(row % 2),
            "ordered": "0",
        }
        for row in range(number)
    ]
    return [row | {key: of[n] for key, of in changed.items()} for n, row in enumerate(plain)]


def csv_text(lines: list[dict[str, Any]], delimiter: str = ",", end: str = "\n") -> str:
    """CSV that quotes where RFC 4180 asks for it; None is an empty value."""

    def value(text: Any) -> str:
        if text is None:
            return ""
        special = any(sign in text for sign in (delimiter, '"', "\n", "\r")) or text == ""
        return '"' + text.replace('"', '""') + '"' if special else text

    listed = [list(lines[0]), *(list(line.values()) for line in lines)]
    return "".join(delimiter.join(map(value, line)) + end for line in listed)


def json_text(lines: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def zstd(data: bytes) -> bytes:
    """Packed bytes."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def table(lines: list[dict[str, Any]], **columns: pa.Array) -> pa.Table:
    """Rows as an Arrow table, with typed columns in the place of some."""
    plain = {name: pa.array([line[name] for line in lines]) for name in lines[0]}
    return pa.table(plain | columns)


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes | pa.Table]] = {
    "csv": lambda lines: csv_text(lines).encode(),
    "tsv": lambda lines: csv_text(lines, "\t").encode(),
    "semicolon.csv": lambda lines: csv_text(lines, ";", "\r\n").encode(),
    "csv.gz": lambda lines: gzip.compress(csv_text(lines, "|").encode(), mtime=0),
    "csv.zst": lambda lines: zstd(csv_text(lines).encode()),
    "jsonl": lambda lines: json_text(lines).encode(),
    "json.gz": lambda lines: gzip.compress(json_text(lines).encode(), mtime=0),
    "parquet": table,
}
