"""Text files as plain UTF-8: unpacked to their end and checksum, decoded, their lines counted."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from driftune.errors import SourceError
from driftune.lake.finding import packing_of
from driftune.lake.readers.encodings import decoded
from driftune.lake.readers.lines import BLOCK, blocks, figures, has_open_end, line_feeds, written
from driftune.lake.source import SourceFile


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
            rest = iter(lambda: stream.read(BLOCK).encode("latin-1"), b"")
            path = written(folder / f"{self.file.sha256[:16]}.rows", rest)
        left = self.lines - lines, self.blank - blank
        return PlainText(self.file, path, *left, self.end, self.open_end, lines)


def plain_text(
    file: SourceFile, folder: Path, encoding: str, quote: str = "", *, is_counted: bool = True
) -> PlainText:
    """Make a text file readable; it is copied into ``folder`` where it is not so as it lies.

    ``quote`` is the sign within which a line end belongs to the value. Where lines need not be
    counted (``is_counted``), they and their ends are not looked at.

    Raises:
        SourceError: for a damaged packed file, or text of another encoding.
    """
    packed = packing_of(file.path.name)
    path = file.path
    if packed:
        path = written(folder / f"{file.sha256[:16]}.plain", _unpacked(file, packed))
    path = decoded(file, path, folder, encoding)
    if not is_counted:
        return PlainText(file, path, 0, 0, "\n", has_open_end(path))
    found = figures(path)
    if found.mixed:
        path = written(folder / f"{file.sha256[:16]}.lines", line_feeds(path, quote.encode()))
        found = figures(path)
    return PlainText(file, path, found.lines, found.blank, found.end, found.open_end)


def _unpacked(file: SourceFile, packed: str) -> Iterator[bytes]:
    """The bytes of a packed file, verified to its end.

    Raises:
        SourceError: where it breaks off, or its checksum is another.
    """
    try:
        if packed == ".gz":
            with gzip.open(file.path, "rb") as stream:
                yield from blocks(stream)
            return
        import pyarrow as pa

        with pa.CompressedInputStream(pa.OSFile(str(file.path)), "zstd") as stream:
            while block := stream.read(BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{file.uri}: is damaged or breaks off ({' '.join(str(error).split())}); "
            "none of its rows is used; deliver it again"
        ) from None
