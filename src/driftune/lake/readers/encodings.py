"""Encodings of text: what is not UTF-8 is told by its first line, with what it looks like."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from driftune.errors import SourceError
from driftune.lake.readers.lines import blocks, whole_lines, written
from driftune.lake.source import SourceFile

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What text that is not UTF-8 is most often in, and is looked for.
_USUAL = ["cp1252", "latin_1", "cp1250", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr"]


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


def with_escapes(path: Path, target: Path) -> tuple[Path, list[int]]:
    """A copy of text with line feeds, in which bytes that are not UTF-8 are escapes.

    Returns its path, and the lines (from 1) that have such.
    """
    foreign: list[int] = []

    def lines() -> Iterator[bytes]:
        before = 0
        with path.open("rb") as stream:
            for raw in whole_lines(stream):
                block = raw.replace(b"\r\n", b"\n")
                escaped = block.decode(errors="backslashreplace").encode()
                if escaped != block:
                    pairs = zip(block.split(b"\n"), escaped.split(b"\n"), strict=True)
                    changed = (n for n, (one, other) in enumerate(pairs, 1) if one != other)
                    foreign.extend(before + number for number in changed)
                yield escaped
                before += block.count(b"\n")

    return written(target, lines()), foreign


def decoded(file: SourceFile, path: Path, folder: Path, encoding: str) -> Path:
    """The file in UTF-8 without a byte order mark.

    Raises:
        SourceError: when it begins as text of another encoding, or is none of the configured one.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    mark = next((sign for sign in _BOMS if start.startswith(sign)), b"")
    looks = _BOMS.get(mark) or _wide(start)
    utf8 = looks == "utf-8" or codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    if utf8 and looks and looks != "utf-8":
        raise SourceError(f"{file.uri}: is not UTF-8; it looks like {looks}: {_mend(file, looks)}")
    target = folder / f"{file.sha256[:16]}.utf8"
    if not utf8:
        return written(target, _recoded(file, path, encoding))
    if not mark:
        return path
    with path.open("rb") as stream:
        stream.seek(len(mark))
        return written(target, blocks(stream))


def _recoded(file: SourceFile, path: Path, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream:
            first = True
            for block in blocks(stream):
                text = decoder.decode(block)
                yield (text.removeprefix("\ufeff") if first else text).encode()
                first = False
            yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise SourceError(
            f"{file.uri}: is not in source.csv.encoding: {encoding} ({error}); correct that, or "
            "deliver it again"
        ) from None


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
        for block in whole_lines(stream):
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
