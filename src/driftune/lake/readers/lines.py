"""Lines of plain text, as bytes: counted, numbered, and their ends made alike."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO

import numpy as np

BLOCK = 1 << 22
# Pieces that a core's cache holds are counted faster.
_COUNTED = 1 << 18
_FEED, _RETURN = b"\n\r"
_BLANK = re.compile(rb"\n[ \t\r\v\f]*(?=\n)|\n[ \t\r\v\f]+\Z")


@dataclass(frozen=True)
class Figures:
    """A file's lines, the ``blank`` ones, the ``end`` of each, whether the last one has none
    (``open_end``), and whether some have another (``mixed``)."""

    lines: int
    blank: int
    end: str
    open_end: bool
    mixed: bool


def figures(path: Path) -> Figures:
    """Count lines and blank lines, and see whether some end in CR LF and others in LF."""
    feeds = both = returns = blank = start = 0
    previous, last = -1, b"\n"
    with path.open("rb") as stream:
        for block in blocks(stream, _COUNTED):
            signs = np.frombuffer(block, np.uint8)
            ends = np.flatnonzero(signs == _FEED)
            gaps = np.diff(ends, prepend=previous - start)
            blank += int(np.count_nonzero(gaps == 1))
            if b"\r" in block or last == b"\r":
                returns += block.count(b"\r")
                before = np.concatenate([np.frombuffer(last, np.uint8), signs])[ends]
                both += int(np.count_nonzero(before == _RETURN))
                blank += int(np.count_nonzero((gaps == 2) & (before == _RETURN)))
            feeds += len(ends)
            if len(ends):
                previous = start + int(ends[-1])
            start += len(block)
            last = block[-1:]
    if not feeds:
        open_end = last not in (b"\r", b"\n")
        return Figures(returns + open_end, 0, "\r", open_end, False)
    end = "\r\n" if both == feeds else "\n"
    open_end = last != b"\n"
    return Figures(feeds + open_end, blank, end, open_end, 0 < both < feeds)


def line_count(path: Path) -> int:
    """The physical lines of a file."""
    return figures(path).lines


def line_numbers(path: Path, positions: np.ndarray, end: str) -> np.ndarray:
    """The lines (from 1) that begin at the given bytes (from 0), in order.

    ``end``: what ends each line of the file.
    """
    sign = ord(end[-1])
    found, before, start = np.ones(len(positions), np.int64), 0, 0
    with path.open("rb") as stream:
        for block in blocks(stream):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == sign)
            here = (positions >= start) & (positions <= start + len(block))
            within = np.searchsorted(ends, positions[here] - start, side="left")
            found[here] = 1 + before + within
            before += len(ends)
            start += len(block)
    return found


def feed_lines(path: Path) -> int:
    """The lines of a file, each of which ends in a line feed, but perhaps the last one."""
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in blocks(stream)) + has_open_end(path)


def blank_lines(path: Path) -> int:
    """Of these lines, those that hold nothing but blanks, tabs and the like."""
    found, before = 0, b"\n"
    with path.open("rb") as stream:
        for block in whole_lines(stream):
            found += sum(1 for _ in _BLANK.finditer(before + block))
            before = b"\n" if block else before
    return found


def has_open_end(path: Path) -> bool:
    """Whether the last line of a file has no line end."""
    with path.open("rb") as stream:
        if not stream.seek(0, os.SEEK_END):
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def line_feeds(path: Path, quote: bytes) -> Iterator[bytes]:
    """The file with CR LF as LF, except within quotes, where it is part of a value."""
    quoted = False
    with path.open("rb") as stream:
        for block in whole_lines(stream):
            pieces = block.split(quote) if quote else [block]
            for number, piece in enumerate(pieces):
                outside = quoted == (number % 2 == 1)
                pieces[number] = piece.replace(b"\r\n", b"\n") if outside else piece
            quoted ^= len(pieces) % 2 == 0
            yield quote.join(pieces)


def whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks that end with a line, so that none ends between a CR and its LF."""
    rest = b""
    for block in blocks(stream):
        whole, end, rest = (rest + block).rpartition(b"\n")
        yield whole + end
    yield rest


def blocks(stream: BinaryIO | GzipFile, size: int = BLOCK) -> Iterator[bytes]:
    """What is left of a stream, in pieces of ``size`` bytes."""
    while block := stream.read(size):
        yield block


def written(target: Path, content: Iterable[bytes]) -> Path:
    """Write a file; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        for block in content:
            stream.write(block)
    return target
