"""CSV: every value as the text that was written, every line of the file accounted for."""

import re
from collections.abc import Collection
from dataclasses import replace
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake.derived import derived
from driftune.lake.duck import Connection, identifier, is_out_of_room, literal, one_row, plain_name
from driftune.lake.readers.csv_dialect import Dialect, find_dialect
from driftune.lake.readers.csv_lost import without_lost_lines
from driftune.lake.readers.encodings import not_utf8
from driftune.lake.readers.lines import line_numbers
from driftune.lake.readers.parsed import Parsed, write_parsed
from driftune.lake.readers.part import Part, check_names, empty_part, not_of_format
from driftune.lake.readers.plain_text import PlainText, plain_text
from driftune.lake.readers.unreadable import (
    TooManyUnreadableError,
    Unreadable,
    check_end,
    keep_unreadable,
    refusal,
    too_many,
)
from driftune.lake.source import SourceFile

_COUNTS = re.compile(r"Number of Columns: (\d+) Found: (\d+)")


def read_csv(
    con: Connection,
    config: Config,
    file: SourceFile,
    table: str,
    folder: Path,
    wanted: Collection[str],
) -> Part:
    """Read a CSV file; a line that is no row goes to the table ``unreadable``.

    ``wanted``: columns of which the header has some. ``folder`` takes the rows, and what must be
    unpacked or recoded before; ``table`` names what DuckDB notes of the file.

    Raises:
        SourceError: for a damaged file, or one of another encoding.
        TooManyUnreadableError: when more of its lines than ``quality.max_rejected_share`` cannot
            be read.
    """
    options = config.source.csv
    text = plain_text(file, folder, options.encoding, options.quote)
    if not text.lines:
        return empty_part(file)
    dialect = find_dialect(text, options, wanted)
    check_names(file, dialect.names)
    if not dialect.has_plain_header:
        text = text.without(dialect.skipped, dialect.skipped_blank, folder)
        dialect = replace(dialect, skipped=0, skipped_blank=0)
    try:
        parsed, broken = _attempt(con, config, text, dialect, table, folder)
    except _LostLinesError as error:
        found = without_lost_lines(text, dialect, folder)
        if found is None:
            raise
        rest, lost = found
        try:
            parsed, broken = _attempt(con, config, rest, dialect, f"{table}_found", folder)
        except _LostLinesError:
            first = f"the first of them may be line {lost.lines[0]}, which {lost.problems[0]}"
            raise SourceError(f"{error}; {first}") from None
        broken = _with_lost(config, text, parsed.rows, broken, lost)
    unreadable = len(broken.lines)
    if unreadable:
        keep_unreadable(con, file, broken)
    columns = dict.fromkeys(dialect.names, "VARCHAR")
    return Part(file, parsed.relation, columns, parsed.rows, unreadable, parsed.derived)


class _LostLinesError(SourceError):
    """A file of which nobody can tell where its lines end."""


def _attempt(
    con: Connection, config: Config, text: PlainText, dialect: Dialect, table: str, folder: Path
) -> tuple[Parsed, Unreadable]:
    """The rows, and the lines that are none.

    Raises:
        SourceError: when the file cannot be read.
        TooManyUnreadableError: when too many lines are no rows.
    """
    scan = (
        f"read_csv({literal(plain_name(text.path))}, {dialect.options}, store_rejects=true, "
        f"rejects_limit=0, rejects_table='{table}_faults', rejects_scan='{table}_scans')"
    )
    try:
        made = derived(config, dialect.names)
        parsed = write_parsed(con, scan, dialect.names, made, folder / f"{table}.parquet")
    except duckdb.Error as error:
        if is_out_of_room(error):
            raise
        if "invalid state" in str(error):
            raise _LostLinesError(
                f"{text.file.uri}: a quote that is not closed, or a CR within a line, hides where "
                "its lines end; none of its rows is used; deliver it again or set source.csv"
            ) from None
        raise not_of_format(text.file, error) from None
    broken = _broken_lines(con, config, text, f"{table}_faults", parsed.rows)
    _account(con, text, dialect, parsed.relation, parsed.rows + len(broken.lines))
    return parsed, broken


def _with_lost(
    config: Config, text: PlainText, rows: int, broken: Unreadable, lost: Unreadable
) -> Unreadable:
    """The lines that are no rows, with those that hid where others end.

    Raises:
        TooManyUnreadableError: when there are too many.
    """
    pairs = zip(broken, lost, strict=True)
    every = Unreadable(*(np.concatenate(pair) for pair in pairs))
    order = np.argsort(every.lines)
    every = Unreadable(*(values[order] for values in every))
    check_end(text, int(lost.lines[-1]), lost.problems[-1])
    if too_many(config, rows, len(order)):
        first = int(every.lines[0]), every.problems[0], every.texts[0]
        raise refusal(text.file, rows, len(order), *first)
    return every


def _broken_lines(
    con: Connection, config: Config, text: PlainText, faults: str, rows: int
) -> Unreadable:
    """The lines that are no rows.

    A record that runs over several lines, as after a quote that is never closed, is all of them.

    Raises:
        SourceError: when there are too many.
    """
    # DuckDB tells of a line once for each of its faults, and may tell twice of one.
    con.execute(
        f"""
        CREATE TEMP TABLE {faults}_once AS
        SELECT line_byte_position - 1 AS place, any_value(csv_line) AS line,
               any_value(error_message) AS message,
               bool_or(error_type = 'INVALID ENCODING') AS encoding
        FROM {faults} GROUP BY line_byte_position
        """
    )
    lines, foreign = one_row(
        con,
        f"SELECT coalesce(sum(1 + length(trim(line, chr(10))) "
        f"- length(replace(trim(line, chr(10)), chr(10), ''))), 0)::BIGINT, "
        f"count(*) FILTER (encoding) FROM {faults}_once",
    )
    if not lines:
        return Unreadable(*(np.array([], kind) for kind in (np.int64, object, object)))
    refused = too_many(config, rows, lines)
    if refused and foreign > lines / 2:
        said = not_utf8(text.file, text.path, f" ({foreign:,} of {rows + lines:,} lines are not)")
        raise TooManyUnreadableError(str(said), rows, lines)
    found = con.execute(
        f"FROM {faults}_once ORDER BY place" + (" LIMIT 1" if refused else "")
    ).fetchall()
    places = np.array([place for place, *_ in found], np.int64)
    numbers, problems, texts = text.before + line_numbers(text.path, places, text.end), [], []
    for place, line, message, encoding in found:
        delivered = line.rstrip("\r\n")
        if encoding:
            delivered = _bytes_at(text.path, place, delivered.count("\n") + 1)
        texts.append(delivered.split("\n"))
        problems.append("is not UTF-8" if encoding else _worded(message))
    if found:
        check_end(text, int(numbers[-1]) + len(texts[-1]) - 1, problems[-1])
    sizes = [len(each) for each in texts]
    within = np.concatenate([np.arange(size) for size in sizes]) if sizes else places
    broken = Unreadable(
        np.repeat(numbers, sizes) + within,
        np.repeat(np.array(problems, object), sizes),
        np.array([line.rstrip("\r") for each in texts for line in each], object),
    ).without_blank()
    if refused:
        first = int(broken.lines[0]), broken.problems[0], broken.texts[0]
        raise refusal(text.file, rows, lines, *first)
    return broken


def _worded(message: str) -> str:
    """DuckDB's word on a line as a clause after it."""
    if found := _COUNTS.search(message):
        values = "value" if found[2] == "1" else "values"
        return f"has {found[2]} {values}, the header {found[1]} names"
    if "quote" in message.lower():
        return "has a quote that is not closed, or text behind one"
    return f"cannot be read ({message.splitlines()[0].rstrip('.')})"


def _bytes_at(path: Path, place: int, lines: int) -> str:
    """The lines that begin at a byte, their bytes that are no UTF-8 as escapes."""
    with path.open("rb") as stream:
        stream.seek(place)
        delivered = b"".join(islice(stream, lines))
    return delivered.rstrip(b"\r\n").decode(errors="backslashreplace")


def _account(con: Connection, text: PlainText, dialect: Dialect, relation: str, found: int) -> None:
    """See that every line of the file is in a row, broken, blank, or before the rows.

    Raises:
        _LostLinesError: when some are not: rows would vanish.
    """
    wanted = text.lines - dialect.skipped - (text.blank - dialect.skipped_blank)
    if found == wanted:
        return
    feeds = " + ".join(
        f"coalesce(length({name}) - length(replace({name}, chr(10), '')) "
        f"- len(list_filter(string_split({name}, chr(10))[2:-2], "
        "lambda line: rtrim(line, chr(13)) = '')), 0)"
        for name in map(identifier, dialect.names)
    )
    (within,) = one_row(con, f"SELECT coalesce(sum({feeds}), 0)::BIGINT FROM {relation}")
    if found + within != wanted:
        raise _LostLinesError(
            f"{text.file.uri}: {wanted:,} of its lines hold something, but {found + within:,} were "
            "read as rows; none is used; see to its quotes and line ends, or set source.csv"
        )
