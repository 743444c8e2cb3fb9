"""Fetch: the day's files by URL template, and their hashes."""

import hashlib
import logging
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.errors import SourceError, SourceUnavailableError
from driftune.lake.duck import first_line
from driftune.lake.finding import find, format_of, partitions_of, shown
from driftune.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger("driftune")


@dataclass(frozen=True)
class SourceFile:
    """One fetched file: its original URL, a local path and its content hash.

    ``modified`` is the local file's time of modification (nanoseconds since 1970); ``partitions``
    the values that its path gives for columns (``source.partitions``).
    """

    uri: str
    path: Path
    format: str
    size: int
    sha256: str
    modified: int
    partitions: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetched:
    """The files of one day; ``ignored``: names beside them that are no logs."""

    day: date
    files: tuple[SourceFile, ...]
    ignored: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """SHA-256 over the files' hashes; names and order do not matter.

        Values that paths give for columns do.
        """
        marks = [
            " ".join([file.sha256, *(f"{k}={v!r}" for k, v in sorted(file.partitions.items()))])
            for file in self.files
        ]
        return hashlib.sha256("\n".join(sorted(marks)).encode()).hexdigest()

    def check_unchanged(self) -> None:
        """See that the files are still those that were fetched.

        Raises:
            SourceUnavailableError: when one is gone or was written to meanwhile.
        """
        for file in self.files:
            try:
                now = file.path.stat()
            except OSError:
                now = None
            if now is None or (now.st_size, now.st_mtime_ns) != (file.size, file.modified):
                what = "gone" if now is None else "written to"
                raise SourceUnavailableError(
                    f"{file.uri}: was {what} while the day was taken in; the lake is unchanged; "
                    "run the day again when its files are complete"
                )


def fetch(config: Config, day: date, scratch: Path) -> Fetched:
    """Find the day's files; remote ones are copied into ``scratch``.

    Raises:
        SourceError: when no file is there, or one is empty or cannot be opened.
    """
    found = find(config, day)
    if not found.names:
        uri = config.source_uri(day)
        beside = f" but {', '.join(found.ignored[:3])}" if found.ignored else ""
        raise SourceError(
            f"{day}: no file at {shown(config, Path(uri)) if '://' not in uri else uri}{beside}; "
            "check source.uri, or wait until the day's logs have arrived"
        )
    if found.ignored:
        names = ", ".join(Path(name).name for name in found.ignored[:3])
        log.info("%s: %d files beside the logs are ignored: %s", day, len(found.ignored), names)
    files = []
    for number, name in enumerate(found.names):
        path = Path(name) if found.is_local else scratch / f"{number:04d}-{Path(name).name}"
        said = (
            shown(config, path)
            if found.is_local
            else redact(found.filesystem.unstrip_protocol(name))
        )
        if not found.is_local:
            _copy(found.filesystem, name, path, said)
        files.append(_hashed(config, path, said))
    return Fetched(day, tuple(files), found.ignored)


def arrived(config: Config, day: date) -> bool:
    """Whether any file of the day is there.

    Raises:
        SourceError: when the source cannot be opened or listed.
    """
    return bool(find(config, day).names)


def _hashed(config: Config, path: Path, said: str) -> SourceFile:
    """A fetched file with the hash of its bytes.

    Raises:
        SourceError: when it is gone, empty, unreadable or of unknown type.
    """
    try:
        before = path.stat()
        if before.st_size == 0:
            raise SourceError(f"{said}: the file is empty (0 bytes); deliver it again")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise _gone(said) from None
    except OSError as error:
        raise SourceUnavailableError(f"{said}: cannot be read ({error})") from None
    kind = format_of(config.source.format, path.name, said)
    values = partitions_of(config, said)
    return SourceFile(said, path, kind, before.st_size, digest, before.st_mtime_ns, values)


def _copy(filesystem: "AbstractFileSystem", name: str, target: Path, said: str) -> None:
    """Copy a remote file.

    Raises:
        SourceUnavailableError: when it cannot be read, whatever its store's client says of that.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filesystem.open(name, "rb") as remote, target.open("wb") as copy:
            shutil.copyfileobj(remote, copy, 1 << 20)
    except FileNotFoundError:
        raise _gone(said) from None
    except Exception as error:
        reason = redact(first_line(error))
        raise SourceUnavailableError(f"{said}: cannot be read ({reason})") from None


def _gone(said: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{said}: was there a moment ago and is gone; deliver it again, then run the day"
    )
