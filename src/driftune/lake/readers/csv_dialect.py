"""How a CSV file is written: found once, from its header or the configuration, for all its rows."""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from driftune.config.source import CsvOptions
from driftune.errors import SourceError
from driftune.lake.duck import literal
from driftune.lake.readers.plain_text import PlainText

_DELIMITERS = (",", "\t", ";", "|")
# A header of more lines than this is none.
_HEADER_LINES = 100
# Bytes of the longest line. To read in pieces of that size, not of more, takes half the memory.
_LONGEST = 1 << 24


@dataclass(frozen=True)
class Dialect:
    """``names`` of the columns in their order, and how many values the first line has (``width``);
    the first ``skipped`` lines hold no rows, and ``skipped_blank`` of them nothing at all.

    ``has_plain_header``: the rows begin at the first line or behind one. DuckDB skips records, not
    lines, and a quoted name may hold line ends, of which it takes a CR for one, too.
    """

    end: str
    width: int
    delimiter: str
    quote: str
    escape: str
    nulls: tuple[str, ...]
    names: tuple[str, ...]
    skipped: int
    skipped_blank: int
    has_plain_header: bool

    @property
    def options(self) -> str:
        """The dialect as arguments of DuckDB's ``read_csv``."""
        kinds = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.names)
        nulls = ", ".join(map(literal, self.nulls))
        # Said, as it is told else from the first line end, which may lie within quotes.
        end = self.end.replace("\r", r"\r").replace("\n", r"\n")
        return (
            f"auto_detect=false, hive_partitioning=false, header=false, skip={self.skipped}, "
            f"columns={{{kinds}}}, new_line='{end}', delim={literal(self.delimiter)}, "
            f"quote={literal(self.quote)}, escape={literal(self.escape)}, nullstr=[{nulls}], "
            f"allow_quoted_nulls=false, max_line_size={_LONGEST}, buffer_size={_LONGEST}"
        )


def find_dialect(text: PlainText, options: CsvOptions, wanted: Collection[str]) -> Dialect:
    """Find how a file is written; what the configuration says is not asked.

    The delimiter is the sign by which the header has most of the ``wanted`` columns; where the
    configuration names them, the one by which the first line has as many values.

    Raises:
        SourceError: when the file has no header.
    """
    delimiters = [options.delimiter] if options.delimiter else _DELIMITERS
    found, errors = [], []
    for delimiter in delimiters:
        try:
            found.append(_with_delimiter(text, options, delimiter))
        except SourceError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    lower = {name.lower() for name in wanted}

    def fit(dialect: Dialect) -> tuple[bool, int, int]:
        known = sum(name.lower() in lower for name in dialect.names)
        return dialect.width == len(dialect.names), known, dialect.width

    return max(found, key=fit)


def _with_delimiter(text: PlainText, options: CsvOptions, delimiter: str) -> Dialect:
    record, lines, blank = _first_record(text, options, delimiter)
    names: Sequence[str] = record
    if options.header is False:
        names = [""] * len(record)
    elif isinstance(options.header, list):
        names = options.header
    has_header = names is record
    return Dialect(
        text.end,
        len(record),
        delimiter,
        options.quote,
        options.escape or options.quote,
        tuple(options.null),
        tuple(_named(names)),
        lines if has_header else 0,
        blank if has_header else 0,
        not has_header or (lines <= 1 and not any("\r" in name for name in record)),
    )


def _first_record(
    text: PlainText, options: CsvOptions, delimiter: str
) -> tuple[list[str], int, int]:
    """The first record (from the header's line on), the lines up to its end, and blank ones.

    Raises:
        SourceError: when there is none.
    """
    before = 0 if isinstance(options.header, list) else max(0, options.header - 1)
    with text.path.open(encoding="utf-8", errors="replace", newline=text.end) as stream:
        lines = list(islice(stream, before + _HEADER_LINES))
        reader = csv.reader(
            lines[before:],
            delimiter=delimiter,
            quotechar=options.quote or None,
            escapechar=options.escape if options.escape != options.quote else None,
            quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        )
        try:
            for record in reader:
                if any(name.strip() for name in record):
                    end = before + reader.line_num
                    return record, end, sum(line in ("\n", "\r\n") for line in lines[:end])
        except csv.Error as error:
            raise _no_header(text, str(error).split(" - ")[0]) from None
    raise _no_header(text, "no line of it has a name")


def _no_header(text: PlainText, why: str) -> SourceError:
    return SourceError(
        f"{text.file.uri}: cannot be read as csv: it has no header ({why}); deliver the file again "
        "or set source.csv"
    )


def _named(header: Sequence[str]) -> list[str]:
    """The columns' names; one without a name is called by its number, as DuckDB does."""
    digits = len(str(len(header) - 1))
    return [name.strip() or f"column{place:0{digits}d}" for place, name in enumerate(header)]
