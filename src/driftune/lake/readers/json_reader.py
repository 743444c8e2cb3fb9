"""JSON lines: every scalar as the text that was written, what is nested as JSON text."""

from collections.abc import Collection
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake import roles
from driftune.lake.derived import derived
from driftune.lake.duck import Connection, identifier, is_out_of_room, literal, plain_name
from driftune.lake.readers.json_lines import sort_out
from driftune.lake.readers.json_nested import structured
from driftune.lake.readers.json_numbers import restore_numbers
from driftune.lake.readers.lines import blank_lines, feed_lines
from driftune.lake.readers.parsed import Parsed, write_parsed
from driftune.lake.readers.part import Part, check_names, empty_part, not_of_format
from driftune.lake.readers.plain_text import plain_text
from driftune.lake.readers.unreadable import keep_unreadable
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
        SourceError: for a damaged file, text that is not UTF-8, or keys that differ only in case.
        TooManyUnreadableError: when more of its lines than ``quality.max_rejected_share`` cannot
            be read.
    """
    text = plain_text(file, folder, "utf-8", is_counted=False)
    path, unreadable = text.path, 0
    target = folder / f"{table}.parquet"
    try:
        columns, parsed = _read(con, config, file, path, target)
    except duckdb.Error as error:
        if is_out_of_room(error):
            raise
        path, broken = sort_out(con, config, text, table, folder, error)
        try:
            columns, parsed = _read(con, config, file, path, target)
        except duckdb.Error as again:
            raise not_of_format(file, again) from None
        keep_unreadable(con, file, broken)
        unreadable = len(broken.lines)
    if parsed is None:
        return empty_part(file)
    _account(file, text.path, parsed.rows + unreadable)
    objects = _objects(path)
    made = derived(config, columns)
    parsed = restore_numbers(con, objects, parsed, columns, made, ids, target)
    wanted = [name for name in columns if name.lower() in looked_into]
    named = roles.mentioned(config, ("user", "item", "request"))
    explode = config.source.explode
    if explode is not None:
        # Elements are texts, as scalars are: their types come from the roles.
        named |= {path.split(".")[0].lower() for path in explode.sources}
    nested = structured(con, objects, parsed.relation, wanted, named)
    relation = parsed.relation
    if nested:
        replaced = ", ".join(f"{sql} AS {identifier(name)}" for name, (sql, _) in nested.items())
        relation = f"(SELECT * REPLACE ({replaced}) FROM {relation})"
    kinds = {name: nested[name][1] if name in nested else "VARCHAR" for name in columns}
    return Part(file, relation, kinds, parsed.rows, unreadable, parsed.derived)


def _read(
    con: Connection, config: Config, file: SourceFile, path: Path, target: Path
) -> tuple[list[str], Parsed | None]:
    """Read the rows, every column as text; returns the columns' names, and the rows if any.

    Raises:
        duckdb.Error: for a line that is no object.
        SourceError: for keys that differ only in case, or lines none of which has a key.
    """
    objects = _objects(path)
    first = con.execute(f"SELECT json_keys(json) FROM {objects} LIMIT 1").fetchall()
    # What is no object has no keys, and is told by a null.
    found = "CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) ELSE [NULL] END"
    others = con.execute(f"SELECT DISTINCT unnest({found}) AS key FROM {objects} ORDER BY key")
    keys = [key for (key,) in others.fetchall()]
    if None in keys and len(keys) > 1:
        raise duckdb.InvalidInputException("a line is no object")
    named = dict.fromkeys([*(first[0][0] if first else []), *keys])
    columns = [key for key in named if key is not None]
    if "" in columns:
        raise SourceError(f"{file.uri}: has a key without a name; deliver it with one")
    if not columns:
        other = f"SELECT 1 FROM {objects} WHERE json_type(json) <> 'OBJECT' LIMIT 1"
        if con.execute(other).fetchall():
            raise SourceError(
                f"{file.uri}: is not of JSON lines (its first line is no object); "
                "deliver one object a line"
            )
        if first:
            needed = next(iter(roles.delivered_columns(config).items()), None)
            lacks = (
                f"; column '{needed[0]}' ({needed[1]} in params.yaml) is missing" if needed else ""
            )
            raise SourceError(f"{file.uri}: no line of it has a key{lacks}; deliver it again")
        return [], None
    check_names(file, columns)
    kinds = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    scan = (
        f"read_json({literal(plain_name(path))}, hive_partitioning=false, "
        f"format='newline_delimited', records=true, columns={{{kinds}}})"
    )
    return columns, write_parsed(con, scan, columns, derived(config, columns), target)


def _account(file: SourceFile, path: Path, found: int) -> None:
    """See that every line that holds something is a row or unreadable.

    Raises:
        SourceError: when some are not: rows would vanish.
    """
    lines = feed_lines(path)
    # Few files have blank lines, and those are counted slowly.
    if found != lines and found != (lines := lines - blank_lines(path)):
        raise SourceError(
            f"{file.uri}: {lines:,} of its lines hold something, but {found:,} were read as rows; "
            "none is used; see to its line ends, and deliver it again"
        )


def _objects(path: Path) -> str:
    return f"read_ndjson_objects({literal(plain_name(path))}, hive_partitioning=false)"
