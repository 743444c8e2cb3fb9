"""What a file is by its first bytes, where its name or the configuration says something else."""

import json
import re

from driftune.errors import SourceError
from driftune.lake.finding import packing_of
from driftune.lake.source import SourceFile

_PARQUET = b"PAR1"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# What files of other kinds than text begin with, and what to do about them.
_OTHERS = {
    _PARQUET: ("Parquet", "set source.format: parquet, or end its name with .parquet"),
    _GZIP: ("compressed by gzip", "end its name with .gz"),
    _ZSTD: ("compressed by zstd", "end its name with .zst"),
    b"PK\x03\x04": ("a ZIP archive or a workbook", "unpack it, or export it"),
}
_PAGES = re.compile(rb"<(html[\s>]|!doctype\s|\?xml\s)", re.IGNORECASE)
_OBJECT = re.compile(rb'\{\s*"[^"]*"\s*:')
_BOM = b"\xef\xbb\xbf"
_BEGINNING = 4096


def check_kind(file: SourceFile) -> None:
    """See that a file does not begin as one of another kind does.

    What is compressed is looked at when it is unpacked.

    Raises:
        SourceError: naming what it looks like.
    """
    try:
        with file.path.open("rb") as stream:
            start = stream.read(_BEGINNING)
    except OSError:
        # Its reader says so, with what became of it.
        return
    if packing_of(file.path.name) or not start:
        return
    if file.format == "parquet":
        packed = next((kind for sign, kind in _OTHERS.items() if start.startswith(sign)), None)
        if packed is None and _is_text(start):
            packed = ("text", "set source.format: csv or jsonl, or end its name so")
        if packed is not None and not start.startswith(_PARQUET):
            raise _refused(file, *packed)
        return
    for sign, (kind, remedy) in _OTHERS.items():
        if start.startswith(sign):
            raise _refused(file, kind, remedy)
    text = start.removeprefix(_BOM).lstrip()
    if _PAGES.match(text):
        raise _refused(file, "a page of HTML or XML", "it may be what a store says of an error")
    if file.format == "csv" and _is_object(text):
        raise _refused(file, "JSON lines", "set source.format: jsonl, or end its name with .jsonl")


def _is_object(text: bytes) -> bool:
    """Whether the first line is a JSON object as a whole, or the beginning of one.

    A first value of CSV that is an object has others behind it.
    """
    line, newline, _ = text.partition(b"\n")
    if line.strip() == b"{" or (not newline and len(text) > _BEGINNING // 2):
        return _OBJECT.match(text) is not None
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _is_text(start: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n" for byte in start)


def _refused(file: SourceFile, kind: str, remedy: str) -> SourceError:
    return SourceError(f"{file.uri}: is {kind}, not {file.format}; {remedy}; or deliver it again")
