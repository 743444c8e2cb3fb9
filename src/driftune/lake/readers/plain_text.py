"""Text files as plain UTF-8: unpacked to their end and checksum, decoded, their lines counted."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from driftune.errors import SourceError
from driftune.lake.finding import packing_of
from driftune.lake.source import SourceFile

_BLOCK = 1 << 22
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What text that is not UTF-8 is most often in, and is looked for.
_USUAL = ["cp1252", "latin_1", "cp1250", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr"]


@dataclass(frozen=True)
class PlainText:
    """A text file in UTF-8, without a byte order mark, whose line ends are all alike.

    ``lines``: physical lines, ``blank`` ones of them without a sign; ``end``: the signs that
    end each; ``open_end``: the last one has no line end. The first ``before`` lines of the file are
    not in it.
    """

    file: SourceFile
    path: Path
    lines: int
    blank: int
    end: str
    open_end: bool
    before: int = 0

    def without(self, lines: int, blank: int, folder: Path) -> "PlainText":
        """The text without its first ``lines``, of which some are ``blank``."""
        if not lines:
            return self
        # Every byte is a sign of latin-1.
        with self.path.open(encoding="latin-1", newline=self.end) as stream:
            for _ in range(lines):
                stream.readline()
            rest = iter(lambda: stream.read(_BLOCK).encode("latin-1"), b"")
            path = _written(folder / f"{self.file.sha256[:16]}.rows", rest)
        left = self.lines - lines, self.blank - blank
        return PlainText(self.file, path, *left, self.end, self.open_end, lines)


def plain_text(file: SourceFile, folder: Path, encoding: str, quote: str = "") -> PlainText:
    """Make a text file readable; it is copied into ``folder`` where it is not so as it lies.

    ``quote`` is the sign within which a line end belongs to the value.

    Raises:
        SourceError: for a damaged packed file, or text of another encoding.
    """
    packed = packing_of(file.path.name)
    path = file.path
    if packed:
        path = _written(folder / f"{file.sha256[:16]}.plain", _unpacked(file, packed))
    path = _decoded(file, path, folder, encoding)
    figures = _figures(path)
    if figures.mixed:
        path = _written(folder / f"{file.sha256[:16]}.lines", _line_feeds(path, quote.encode()))
        figures = _figures(path)
    return PlainText(file, path, figures.lines, figures.blank, figures.end, figures.open_end)


def not_utf8(file: SourceFile, path: Path, how_many: str = "") -> SourceError:
    """The error for text that is not UTF-8: its first line that is not, and what it looks like."""
    line, text = _first_broken_line(path)
    looks = _looks_like(text)
    said = f"looks like {looks}" if looks else "is of no encoding that can be told"
    return SourceError(
        f"{file.uri}: line {line} is not UTF-8{how_many}; the file {said}: {_mend(file, looks)}"
    )


def _mend(file: SourceFile, looks: str | None) -> str:
    """What helps against an encoding; JSON lines have no other than UTF-8."""
    if file.format != "csv":
        return "deliver it as UTF-8"
    return f"set source.csv.encoding{f': {looks}' if looks else ''}, or deliver it as UTF-8"


def line_numbers(path: Path, positions: np.ndarray) -> np.ndarray:
    """The lines (from 1) that begin at the given bytes (from 0), in order."""
    found, before, start = np.ones(len(positions), np.int64), 0, 0
    with path.open("rb") as stream:
        for block in _blocks(stream):
            ends = _line_ends(block)
            here = (positions >= start) & (positions <= start + len(block))
            within = np.searchsorted(ends, positions[here] - start, side="left")
            found[here] = 1 + before + within
            before += len(ends)
            start += len(block)
    return found


@dataclass(frozen=True)
class _Figures:
    lines: int
    blank: int
    end: str
    open_end: bool
    mixed: bool


def _figures(path: Path) -> _Figures:
    """Count lines and blank lines, and see whether some end in CR LF and others in LF."""
    feeds = both = returns = blank = 0
    last = b"\n"
    with path.open("rb") as stream:
        for block in _blocks(stream):
            feeds += block.count(b"\n")
            both += block.count(b"\r\n") + (last[-1:] == b"\r" and block[:1] == b"\n")
            returns += block.count(b"\r")
            blank += _blank_lines(last[-2:] if last == b"\n\r" else last[-1:], block)
            last = (last + block)[-2:]
    if not feeds:
        open_end = last[-1:] != b"\r"
        return _Figures(returns + open_end, 0, "\r", open_end, False)
    mixed = 0 < both < feeds
    open_end = last[-1:] != b"\n"
    end = "\r\n" if both == feeds else "\n"
    return _Figures(feeds + open_end, blank, end, open_end, mixed)


def _blank_lines(before: bytes, block: bytes) -> int:
    """Lines without a sign that end in a block, by what stands before it."""
    block = before + block
    if b"\n\n" not in block and b"\n\r\n" not in block:
        return 0
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
    gaps = np.diff(ends)
    second = np.frombuffer(block, np.uint8)[ends[:-1] + 1]
    return int((gaps == 1).sum() + ((gaps == 2) & (second == 13)).sum())


def _line_ends(block: bytes) -> np.ndarray:
    signs = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(signs == 10)
    return ends if len(ends) else np.flatnonzero(signs == 13)


def _unpacked(file: SourceFile, packed: str) -> Iterator[bytes]:
    """The bytes of a packed file, verified to its end.

    Raises:
        SourceError: where it breaks off, or its checksum is another.
    """
    try:
        if packed == ".gz":
            with gzip.open(file.path, "rb") as stream:
                yield from _blocks(stream)
            return
        import pyarrow as pa

        with pa.CompressedInputStream(pa.OSFile(str(file.path)), "zstd") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{file.uri}: is damaged or breaks off ({' '.join(str(error).split())}); "
            "none of its rows is used; deliver it again"
        ) from None


def _decoded(file: SourceFile, path: Path, folder: Path, encoding: str) -> Path:
    """The file in UTF-8 without a byte order mark.

    Raises:
        SourceError: when it begins as text of another encoding, or is none of the configured one.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    mark = next((sign for sign in _BOMS if start.startswith(sign)), b"")
    looks = _BOMS.get(mark) or _wide(start)
    utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    if utf8 and looks and looks != "utf-8":
        raise SourceError(f"{file.uri}: is not UTF-8; it looks like {looks}: {_mend(file, looks)}")
    target = folder / f"{file.sha256[:16]}.utf8"
    if not utf8:
        return _written(target, _recoded(file, path, encoding))
    if not mark:
        return path
    with path.open("rb") as stream:
        stream.seek(len(mark))
        return _written(target, _blocks(stream))


def _recoded(file: SourceFile, path: Path, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream:
            first = True
            for block in _blocks(stream):
                text = decoder.decode(block)
                yield (text.removeprefix("\ufeff") if first else text).encode()
                first = False
            yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise SourceError(
            f"{file.uri}: is not in source.csv.encoding: {encoding} ({error}); mend that, or "
            "deliver it again"
        ) from None


def _line_feeds(path: Path, quote: bytes) -> Iterator[bytes]:
    """The file with CR LF as LF, except within quotes, where it is part of a value."""
    quoted = False
    with path.open("rb") as stream:
        for block in _whole_lines(stream):
            pieces = block.split(quote) if quote else [block]
            for number, piece in enumerate(pieces):
                outside = quoted == (number % 2 == 1)
                pieces[number] = piece.replace(b"\r\n", b"\n") if outside else piece
            quoted ^= len(pieces) % 2 == 0
            yield quote.join(pieces)


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks that end with a line, so that none ends between a CR and its LF."""
    rest = b""
    for block in _blocks(stream):
        whole, end, rest = (rest + block).rpartition(b"\n")
        yield whole + end
    yield rest


def _blocks(stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _written(target: Path, blocks: Iterator[bytes]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        for block in blocks:
            stream.write(block)
    return target


def _wide(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of plain text is null."""
    half = len(start) // 2
    if half > 8:
        if start[1::2].count(0) > 0.7 * half:
            return "utf-16-le"
        if start[::2].count(0) > 0.7 * half:
            return "utf-16-be"
    return None


def _first_broken_line(path: Path) -> tuple[int, bytes]:
    """The first line (from 1) that is not UTF-8, and the bytes around it."""
    before = 0
    with path.open("rb") as stream:
        for block in _whole_lines(stream):
            try:
                block.decode()
            except UnicodeDecodeError as error:
                start = block.rfind(b"\n", 0, error.start) + 1
                lines = [line for line in block[start:].split(b"\n")[:400] if not line.isascii()]
                return before + block.count(b"\n", 0, error.start) + 1, b"\n".join(lines)
            before += block.count(b"\n")
    return before, b""


def _looks_like(text: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(text, cp_isolation=_USUAL).best()
    if best is None:
        return None
    # Of those that read it alike, the most usual one.
    name = min({best.encoding, *best.could_be_from_charset} & set(_USUAL), key=_USUAL.index)
    return name.replace("_", "-")
