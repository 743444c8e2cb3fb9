"""JSON lines of which some are no objects: those that are, and the others."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from driftune.config import Config
from driftune.lake.duck import Connection, is_out_of_room, literal, one_row, plain_name
from driftune.lake.readers.encodings import not_utf8, with_escapes
from driftune.lake.readers.lines import line_count
from driftune.lake.readers.part import not_of_format
from driftune.lake.readers.plain_text import PlainText
from driftune.lake.readers.unreadable import (
    TooManyUnreadableError,
    Unreadable,
    check_end,
    refusal,
    too_many,
)

_BLANK = "trim(line, chr(32) || chr(9) || chr(11) || chr(12) || chr(13)) = ''"


def sort_out(
    con: Connection, config: Config, text: PlainText, table: str, folder: Path, error: Exception
) -> tuple[Path, Unreadable]:
    """A copy of the file with the lines that are objects, and the others.

    ``error`` is what reading all of them said; ``table`` names what is made on the way.

    Raises:
        SourceError: when too many are none, the file breaks off in one, or none is broken.
    """
    copy, foreign = with_escapes(text.path, folder / f"{text.file.sha256[:16]}.lines")
    try:
        con.execute(f"CREATE TEMP TABLE {table}_lines AS SELECT line FROM {_lines(copy)}")
    except duckdb.Error as fault:
        if is_out_of_room(fault):
            raise
        raise not_of_format(text.file, error) from None
    con.execute(
        f"""
        CREATE TEMP TABLE {table}_broken AS
        SELECT number, line, CASE
                   WHEN list_contains(?::BIGINT[], number) THEN 'is not UTF-8'
                   WHEN NOT json_valid(line) THEN 'is no JSON'
                   WHEN json_type(line) <> 'OBJECT' THEN 'is no object'
                   WHEN len(json_keys(line)) > len(list_distinct(json_keys(line)))
                   THEN 'has a key twice'
               END AS problem
        FROM (SELECT rowid + 1 AS number, line FROM {table}_lines WHERE NOT {_BLANK})
        WHERE problem IS NOT NULL
        """,
        [foreign],
    )
    (lines,) = one_row(con, f"SELECT count(*) FROM {table}_lines WHERE NOT {_BLANK}")
    broken = _broken(con, config, text, table, int(lines), error)
    good = folder / f"{text.file.sha256[:16]}.objects"
    con.execute(
        f"COPY (SELECT line FROM {table}_lines WHERE line IS NOT NULL AND rowid + 1 NOT IN "
        f"(SELECT number FROM {table}_broken) ORDER BY rowid) TO {literal(str(good))} "
        "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f')"
    )
    con.execute(f"DROP TABLE {table}_lines")
    return good, broken


def _broken(
    con: Connection, config: Config, text: PlainText, table: str, lines: int, error: Exception
) -> Unreadable:
    """The lines that are no objects."""
    found = con.execute(f"SELECT number, problem, line FROM {table}_broken ORDER BY number")
    columns = found.fetchnumpy()
    broken = Unreadable(*(np.asarray(columns[name]) for name in ("number", "problem", "line")))
    number = len(broken.lines)
    if not number:
        raise not_of_format(text.file, error)
    check_end(
        replace(text, lines=line_count(text.path)), int(broken.lines[-1]), str(broken.problems[-1])
    )
    if too_many(config, lines - number, number):
        foreign = int((broken.problems == "is not UTF-8").sum())
        if foreign > number / 2:
            said = not_utf8(text.file, text.path, f" ({foreign:,} of {lines:,} lines are not)")
            raise TooManyUnreadableError(str(said), lines - number, number)
        first = int(broken.lines[0]), str(broken.problems[0]), str(broken.texts[0])
        raise refusal(text.file, lines - number, number, *first)
    return broken


def _lines(path: Path) -> str:
    return (
        f"read_csv({literal(plain_name(path))}, auto_detect=false, hive_partitioning=false, "
        "header=false, columns={'line': 'VARCHAR'}, delim='\x1f', quote='', escape='', nullstr='', "
        "new_line='\\n', max_line_size=16777216)"
    )
