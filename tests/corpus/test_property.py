"""Any table of text arrives as it was written, in whatever format it is delivered."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftune.config import Config
from driftune.config.source import CsvOptions
from driftune.lake.duck import identifier
from driftune.lake.loading import load
from driftune.lake.source import fetch

# What formats give a meaning to, more often than chance would have it.
from tests.anywhere import anywhere
from tests.conftest import FIRST, World

SIGNS = st.sampled_from(
    [*",;|\t\"'\\\n\r #{}[]:", "\r\n", '""', "\n\n", "\ufeff", "\u2028", "\x85"]
)
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
WORDS = st.sampled_from(["", "NULL", "\\N", "null", "007", "1e5", "1.10", "TRUE", "nan", "{}"])
TEXT = WORDS | ANY | st.lists(SIGNS | ANY, max_size=4).map("".join)
# Blanks around a column's name are no part of it. Ids have readers of their own.
NAME = st.sampled_from(["user_id", "item_id"]) | TEXT.map(str.strip).filter(bool)


@dataclass(frozen=True)
class Table:
    """Rows of texts and nulls under their columns' names, and how they are written."""

    names: list[str]
    rows: list[list[str | None]]
    delimiter: str
    null: str

    def csv(self, end: str) -> bytes:
        """CSV: a null is not quoted, a text that reads as one is."""
        special = (self.delimiter, '"', "\n", "\r", "\ufeff")

        def value(text: str | None) -> str:
            if text is None:
                return self.null
            quoted = text in ("", self.null) or any(sign in text for sign in special)
            return '"' + text.replace('"', '""') + '"' if quoted else text

        lines = [self.names, *self.rows]
        return "".join(self.delimiter.join(map(value, line)) + end for line in lines).encode()

    def jsonl(self) -> bytes:
        """JSON lines; each key is there in the first line, later ones leave nulls out."""
        objects = [dict(zip(self.names, row, strict=True)) for row in self.rows]
        kept = [
            {name: text for name, text in line.items() if not number or text is not None}
            for number, line in enumerate(objects)
        ]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept).encode()

    def parquet(self) -> pa.Table:
        """The columns as Arrow has them."""
        columns = zip(*self.rows, strict=True)
        return pa.table([pa.array(column, pa.string()) for column in columns], self.names)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    # A row of one null would be a blank line.
    names = draw(st.lists(NAME, min_size=2, max_size=4, unique_by=str.lower))
    row = st.lists(st.none() | TEXT, min_size=len(names), max_size=len(names))
    rows = draw(st.lists(row, min_size=1, max_size=5))
    return Table(names, rows, draw(st.sampled_from(",;|\t")), draw(st.sampled_from(["", "\\N"])))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration whose day is a folder of files."""
    return World(tmp_path_factory.mktemp("any"), source={"uri": "logs/{day}/*"}).config


# Line ends in names and in the first value, where a reader looks for those of the file.
@example(Table(["a\rb", "c"], [["1", "2"], ["3", "4"]], ",", ""))
@example(Table(["a", ",\n\n,"], [[None, None]], ",", ""))
@example(Table(["a", ",\n,"], [[None, "\r"], ["\r\n", "b"]], ",", ""))
@settings(max_examples=30)
@given(table=tables())
def test_any_table_of_text_arrives(
    config: Config, tmp_path_factory: pytest.TempPathFactory, table: Table
) -> None:
    scratch = tmp_path_factory.mktemp("table")
    (scratch / f"{FIRST}").mkdir()
    csv = CsvOptions(delimiter=table.delimiter, null=[table.null])
    source = config.source.model_copy(update={"uri": f"{scratch}/{{day}}/*", "csv": csv})
    written = {
        "a.csv": table.csv("\n"),
        "b.csv": table.csv("\r\n"),
        "c.csv.gz": gzip.compress(table.csv("\n"), mtime=0),
        "d.jsonl": table.jsonl(),
    }
    for name, content in written.items():
        (scratch / f"{FIRST}" / name).write_bytes(content)
    pq.write_table(table.parquet(), scratch / f"{FIRST}" / "e.parquet")
    arrived = read(config.model_copy(update={"source": source}), table.names, scratch / "plain")
    assert arrived == dict.fromkeys([*written, "e.parquet"], table.rows)


def read(config: Config, names: list[str], folder: Path) -> dict[str, list[list[str | None]]]:
    """The rows of the day's files in their order."""
    columns = ", ".join(map(identifier, names))
    found: dict[str, list[list[str | None]]] = {}
    with anywhere() as con:
        load(con, config, fetch(config, FIRST, folder), folder)
        assert not con.execute("FROM unreadable").fetchall()
        query = f"SELECT _driftune_file, {columns} FROM raw ORDER BY _driftune_id"
        for file, *row in con.execute(query).fetchall():
            found.setdefault(Path(file).name, []).append(list(row))
    return found
