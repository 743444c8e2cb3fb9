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
    feeds = both = returns = blank = 0
    last = b"\n"
    with path.open("rb") as stream:
        for block in blocks(stream):
            feeds += block.count(b"\n")
            if b"\r" in block or last[-1:] == b"\r":
                both += block.count(b"\r\n") + (last[-1:] == b"\r" and block[:1] == b"\n")
            returns += block.count(b"\r") if b"\r" in block else 0
            blank += _blank_lines(last[-2:] if last == b"\n\r" else last[-1:], block)
            last = (last + block)[-2:]
    if not feeds:
        open_end = last[-1:] not in (b"\r", b"\n")
        return Figures(returns + open_end, 0, "\r", open_end, False)
    mixed = 0 < both < feeds
    open_end = last[-1:] != b"\n"
    end = "\r\n" if both == feeds else "\n"
    return Figures(feeds + open_end, blank, end, open_end, mixed)


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


def _blank_lines(before: bytes, block: bytes) -> int:
    """Lines without a sign that end in a block, by what stands before it."""
    block = before + block
    if b"\n\n" not in block and not (b"\r" in block and b"\n\r\n" in block):
        return 0
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
    gaps = np.diff(ends)
    second = np.frombuffer(block, np.uint8)[ends[:-1] + 1]
    return int((gaps == 1).sum() + ((gaps == 2) & (second == 13)).sum())


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


def blocks(stream: BinaryIO | GzipFile) -> Iterator[bytes]:
    """What is left of a stream, piece by piece."""
    while block := stream.read(BLOCK):
        yield block


def written(target: Path, content: Iterable[bytes]) -> Path:
    """Write a file; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        for block in content:
            stream.write(block)
    return target
