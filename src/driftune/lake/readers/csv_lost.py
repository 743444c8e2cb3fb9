"""CSV in which a line hides where the lines end: those lines apart from the others."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from driftune.lake.readers.csv_dialect import Dialect
from driftune.lake.readers.lines import BLOCK, figures, written
from driftune.lake.readers.plain_text import PlainText
from driftune.lake.readers.unreadable import Unreadable

_RETURN = "has a CR within it"
_QUOTE = "has a quote that is not closed, or text behind one"


def without_lost_lines(
    text: PlainText, dialect: Dialect, folder: Path
) -> tuple[PlainText, Unreadable] | None:
    """A copy of a file with blank lines in the place of those that hide where lines end.

    That is a record with a CR that is not quoted, and a line whose quote is not closed where a
    value may end: after it, lines are taken for new records again. None where no line is such.
    """
    if text.end == "\r":
        return None
    with text.path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
        found = list(_lost(data, dialect))
        if not found:
            return None
        path = written(folder / f"{text.file.sha256[:16]}.found", _blanked(data, found))
        numbers, problems, texts = [], [], []
        line, counted = text.before + 1, 0
        for start, end, problem in found:
            line += _feeds(data, counted, start)
            counted = start
            for number, each in enumerate(data[start:end].rstrip(b"\r\n").split(b"\n")):
                numbers.append(line + number)
                problems.append(problem)
                texts.append(each.rstrip(b"\r").decode(errors="backslashreplace"))
    lost = Unreadable(
        np.array(numbers, np.int64), np.array(problems, object), np.array(texts, object)
    )
    now = figures(path)
    return replace(text, path=path, lines=now.lines, blank=now.blank), lost.without_blank()


def _lost(data: mmap.mmap, dialect: Dialect) -> Iterator[tuple[int, int, str]]:
    """Where records that hide the end of lines begin and end, in bytes, and what is wrong."""
    quote, escape, delimiter = (
        re.escape(sign.encode()) for sign in (dialect.quote, dialect.escape, dialect.delimiter)
    )
    escaped = rb"%b%b" % (quote, quote) if quote == escape else rb"%b." % escape
    quoted = rb"%b(?:[^%b%b]++|%b)*+%b" % (quote, quote, escape, escaped, quote) if quote else b""

    def record(within: bytes) -> bytes:
        plain = rb"[^%b%b%b][^%b%b]*+" % (within, delimiter, quote, within, delimiter)
        value = b"(?:%b)?+" % b"|".join(filter(None, (quoted, plain)))
        return rb"%b(?:%b%b)*+" % (value, delimiter, value)

    end = re.escape(dialect.end.encode())
    good = re.compile(rb"(?:%b%b)*+(?:%b\Z)?+" % (record(rb"\r\n"), end, record(rb"\r\n")), re.S)
    returned = re.compile(rb"%b(?:\n|\Z)" % record(rb"\n"), re.S)
    place = 0
    while match := good.match(data, place):
        start = match.end()
        if start >= len(data):
            return
        bad = returned.match(data, start)
        place = bad.end() if bad else data.find(b"\n", start) + 1 or len(data)
        yield start, place, _RETURN if bad else _QUOTE


def _blanked(data: mmap.mmap, found: list[tuple[int, int, str]]) -> Iterator[bytes]:
    """The file, of the records found the line ends alone."""
    before = 0
    for start, end, _ in [*found, (len(data), len(data), "")]:
        for place in range(before, start, BLOCK):
            yield data[place : min(place + BLOCK, start)]
        ends = re.findall(rb"\r?\n", data[start:end])
        yield b"".join(ends)
        before = end


def _feeds(data: mmap.mmap, start: int, end: int) -> int:
    """Line feeds between two places."""
    return sum(
        data[place : min(place + BLOCK, end)].count(b"\n") for place in range(start, end, BLOCK)
    )
