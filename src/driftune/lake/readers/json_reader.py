"""JSON lines: every scalar as the text that was written, what is nested as JSON text."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake.duck import Connection, identifier, is_out_of_room, literal, one_row, plain_name
from driftune.lake.readers.encodings import not_utf8
from driftune.lake.readers.json_nested import structured
from driftune.lake.readers.json_numbers import restore_numbers
from driftune.lake.readers.lines import line_count
from driftune.lake.readers.parsed import Parsed, write_parsed
from driftune.lake.readers.part import Part, check_names, not_of_format
from driftune.lake.readers.plain_text import PlainText, plain_text
from driftune.lake.readers.unreadable import (
    Unreadable,
    check_end,
    keep_unreadable,
    refusal,
    too_many,
)
from driftune.lake.source import SourceFile


def read_jsonl(
    con: Connection,
    config: Config,
    file: SourceFile,
    table: str,
    folder: Path,
    ids: Collection[str],
    looked_into: Collection[str],
) -> Part:
    """Read a file of JSON lines; a line that is no row goes to the table ``unreadable``.

    ``ids``: columns that name something, whose numbers keep their writing. ``looked_into``:
    columns of expressions, in lower case, which see what is nested with its structure. ``folder``
    takes the rows, and what must be unpacked before; ``table`` names what is made on the way.

    Raises:
        SourceError: for a damaged file, text that is not UTF-8, keys that differ only in case, or
            more lines than ``quality.max_rejected_share`` that cannot be read.
    """
    text = plain_text(file, folder, "utf-8", is_counted=False)
    path, unreadable = text.path, 0
    target = folder / f"{table}.parquet"
    try:
        columns, parsed = _read(con, file, path, target)
    except duckdb.Error as error:
        if is_out_of_room(error):
            raise
        path, broken = _sorted_out(con, config, text, table, folder, error)
        try:
            columns, parsed = _read(con, file, path, target)
        except duckdb.Error as again:
            raise not_of_format(file, again) from None
        keep_unreadable(con, file, broken)
        unreadable = len(broken.lines)
    objects = _objects(path)
    parsed = restore_numbers(con, objects, parsed, columns, ids, target)
    wanted = [name for name in columns if name.lower() in looked_into]
    nested = structured(con, objects, parsed.relation, wanted)
    relation = parsed.relation
    if nested:
        replaced = ", ".join(f"{sql} AS {identifier(name)}" for name, (sql, _) in nested.items())
        relation = f"(SELECT * REPLACE ({replaced}) FROM {relation})"
    kinds = {name: nested[name][1] if name in nested else "VARCHAR" for name in columns}
    return Part(file, relation, kinds, parsed.rows, unreadable)


def _read(con: Connection, file: SourceFile, path: Path, target: Path) -> tuple[list[str], Parsed]:
    """Read the rows, every column as text; returns the columns' names, and the rows.

    Raises:
        duckdb.Error: for a line that is no object.
        SourceError: for keys that differ only in case, or no row at all.
    """
    objects = _objects(path)
    first = con.execute(f"SELECT json_keys(json) FROM {objects} LIMIT 1").fetchall()
    others = con.execute(
        f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {objects} ORDER BY key"
    ).fetchall()
    columns = list(dict.fromkeys([*(first[0][0] if first else []), *(key for (key,) in others)]))
    if not columns:
        other = f"SELECT 1 FROM {objects} WHERE json_type(json) <> 'OBJECT' LIMIT 1"
        if con.execute(other).fetchall():
            raise SourceError(
                f"{file.uri}: is not of JSON lines (its first line is no object); "
                "deliver one object a line"
            )
        raise SourceError(f"{file.uri}: the file holds no rows; deliver it again")
    check_names(file, columns)
    kinds = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    scan = (
        f"read_json({literal(plain_name(path))}, hive_partitioning=false, "
        f"format='newline_delimited', records=true, columns={{{kinds}}})"
    )
    return columns, write_parsed(con, scan, columns, target)


def _objects(path: Path) -> str:
    return f"read_ndjson_objects({literal(plain_name(path))}, hive_partitioning=false)"


def _sorted_out(
    con: Connection,
    config: Config,
    text: PlainText,
    table: str,
    folder: Path,
    error: Exception,
) -> tuple[Path, Unreadable]:
    """A copy of the file with the lines that are objects, and the others.

    Raises:
        SourceError: when too many are none, or not UTF-8.
    """
    lines = (
        f"read_csv({literal(plain_name(text.path))}, auto_detect=false, hive_partitioning=false, "
        "header=false, columns={'line': 'VARCHAR'}, delim='\x1f', quote='', escape='', nullstr='', "
        "max_line_size=16777216)"
    )
    try:
        con.execute(f"CREATE TEMP TABLE {table}_lines AS SELECT line FROM {lines}")
    except duckdb.Error as fault:
        if is_out_of_room(fault):
            raise
        if "utf-8" in str(fault).lower() or "unicode" in str(fault).lower():
            raise not_utf8(text.file, text.path) from None
        raise not_of_format(text.file, error) from None
    con.execute(
        f"""
        CREATE TEMP TABLE {table}_broken AS
        SELECT number, line, CASE WHEN NOT json_valid(line) THEN 'is no JSON'
               WHEN json_type(line) <> 'OBJECT' THEN 'is no object'
               WHEN len(json_keys(line)) > len(list_distinct(json_keys(line)))
               THEN 'has a key twice' END AS problem
        FROM (SELECT rowid + 1 AS number, line FROM {table}_lines
              WHERE trim(line, chr(32) || chr(9) || chr(13)) <> '')
        WHERE problem IS NOT NULL
        """
    )
    found = con.execute(f"FROM {table}_broken ORDER BY number LIMIT 1").fetchall()
    if not found:
        raise not_of_format(text.file, error)
    (last, problem), *_ = con.execute(
        f"SELECT number, problem FROM {table}_broken ORDER BY number DESC LIMIT 1"
    ).fetchall()
    check_end(replace(text, lines=line_count(text.path)), last, problem)
    rows, broken = one_row(
        con,
        f"SELECT (SELECT count(*) FROM {table}_lines WHERE trim(line) <> ''), "
        f"(SELECT count(*) FROM {table}_broken)",
    )
    if too_many(config, rows - broken, broken):
        (number, line, problem), *_ = found
        raise refusal(text.file, rows - broken, broken, number, problem, line)
    good = folder / f"{text.file.sha256[:16]}.objects"
    folder.mkdir(parents=True, exist_ok=True)
    con.execute(
        f"COPY (SELECT line FROM {table}_lines WHERE line IS NOT NULL AND rowid + 1 NOT IN "
        f"(SELECT number FROM {table}_broken) ORDER BY rowid) TO {literal(str(good))} "
        "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f')"
    )
    broken_lines = con.execute(f"FROM {table}_broken ORDER BY number").fetchnumpy()
    return good, Unreadable(
        broken_lines["number"], broken_lines["problem"], np.asarray(broken_lines["line"], object)
    )
