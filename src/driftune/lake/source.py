"""Fetch: the day's files by URL template, and their hashes."""

import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.errors import SourceError, SourceUnavailableError
from driftune.lake.duck import first_line
from driftune.lake.finding import (
    Found,
    find,
    find_files,
    format_of,
    partitions_of,
    shown,
    shown_uri,
)
from driftune.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger("driftune")

# Days before the logs' day that a side table's newest files are looked for on.
_TABLE_DAYS = 62


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
class FetchedTable:
    """A side table's files; ``undated``: those of no day, which may have changed since."""

    name: str
    files: tuple[SourceFile, ...]
    undated: bool

    @property
    def content(self) -> str:
        """SHA-256 over the table's name and its files' hashes; their names and order do not
        matter."""
        marks = [self.name, *sorted(file.sha256 for file in self.files)]
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()


@dataclass(frozen=True)
class Fetched:
    """The files of one day; ``ignored``: names beside them that are no logs; ``tables``: the side
    tables that its rows are joined with."""

    day: date
    files: tuple[SourceFile, ...]
    ignored: tuple[str, ...] = ()
    tables: tuple[FetchedTable, ...] = ()

    @property
    def content(self) -> str:
        """SHA-256 over the files' hashes; names and order do not matter.

        Values that paths give for columns do, and side tables of a day, but not those that are as
        they are now: the day is the same delivery, whatever they have become.
        """
        marks = [
            " ".join([file.sha256, *(f"{k}={v!r}" for k, v in sorted(file.partitions.items()))])
            for file in self.files
        ]
        marks = [*sorted(marks), *(each.content for each in self.tables if not each.undated)]
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()

    @property
    def undated(self) -> str:
        """SHA-256 over the side tables that are as they are now; empty where there are none."""
        marks = [each.content for each in self.tables if each.undated]
        return hashlib.sha256("\n".join(marks).encode()).hexdigest() if marks else ""

    @property
    def delivery(self) -> str:
        """SHA-256 over all that was fetched: ``content``, and the tables that are as they are
        now."""
        if not self.undated:
            return self.content
        return hashlib.sha256(f"{self.content} {self.undated}".encode()).hexdigest()

    @property
    def every(self) -> tuple[SourceFile, ...]:
        """The day's files, and those of its side tables."""
        return (*self.files, *(file for each in self.tables for file in each.files))

    def check_unchanged(self) -> None:
        """See that the files are still those that were fetched.

        Raises:
            SourceUnavailableError: when one is gone or was written to meanwhile.
        """
        for file in self.every:
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
    """Find the day's files and its side tables; remote ones are copied into ``scratch``.

    Raises:
        SourceError: when no file is there, or one is empty or cannot be opened.
    """
    found = find(config, day)
    files = _of_time(config, found, day) if found.names and _is_by_time(config, day) else []
    if not found.names:
        uri = config.source_uri(day)
        beside = f" but {', '.join(found.ignored[:3])}" if found.ignored else ""
        raise SourceError(
            f"{day}: no file at {shown_uri(config, uri)}{beside}; "
            "check source.uri, or wait until the day's logs have arrived"
        )
    if found.ignored:
        names = ", ".join(Path(name).name for name in found.ignored[:3])
        log.info("%s: %d files beside the logs are ignored: %s", day, len(found.ignored), names)
    if not _is_by_time(config, day):
        for path, said in _brought(config, found, scratch):
            kind = format_of(config.source.format, path.name, said)
            files.append(hashed(path, said, kind, partitions_of(config, said)))
    tables = [fetch_table(config, name, day, scratch / "tables" / name) for name in config.tables]
    return Fetched(day, tuple(files), found.ignored, tuple(tables))


def _is_by_time(config: Config, day: date) -> bool:
    """Whether the day's rows are those of its time in files that hold many days."""
    # reference.uri always names the day.
    inside = config.reference.first <= day <= config.reference.last
    return config.source.day_from == "time" and not (inside and config.reference.uri)


def _of_time(config: Config, found: Found, day: date) -> list[SourceFile]:
    """The day's parts of files that hold many days.

    Raises:
        SourceError: when none has a row of the day.
    """
    # It reads files, as what is fetched here is read.
    from driftune.lake.many_days import parted_files, span

    every = parted_files(config, found)
    files = [file for each in every for file in each.days.get(day, ())]
    if not files:
        uri = shown_uri(config, config.source_uri(day))
        raise SourceError(
            f"{day}: no row of {uri} is of this day by columns.time (source.day_from), it holds "
            f"{span(every)}; check columns.time and timezone, or wait until the day's rows arrive"
        )
    return files


def fetch_table(config: Config, name: str, day: date, scratch: Path) -> FetchedTable:
    """Find a side table's files, those of the newest day up to the logs' where it is the latest.

    Raises:
        SourceError: when none is there, or one is empty or cannot be opened.
    """
    table, key = config.tables[name], f"tables.{name}"
    looks_back = table.as_of != "day" and not table.is_undated
    first = 1 if table.as_of == "day_before" else 0
    days = [day - timedelta(days=back) for back in range(first, _TABLE_DAYS if looks_back else 1)]
    # Days of a month may have one name.
    for uri in dict.fromkeys(config.table_uri(name, each) for each in days):
        found = find_files(config, uri, table.uri, f"{key}.uri")
        if found.names:
            break
    else:
        said = shown_uri(config, config.table_uri(name, days[0]))
        since = f" or of the {len(days) - 1} days before" if looks_back else ""
        raise SourceError(
            f"{day}: no file at {said}{since}, which {key} names; deliver the table, or correct "
            f"{key}.uri; the lake is unchanged"
        )
    files = []
    for path, said in _brought(config, found, scratch):
        kind = format_of(table.format, path.name, said, f"{key}.format")
        files.append(hashed(path, said, kind, {}))
    return FetchedTable(name, tuple(files), table.is_undated)


def _brought(config: Config, found: Found, scratch: Path) -> Iterator[tuple[Path, str]]:
    """Local paths of what was found, remote files as copies, and what messages call each."""
    for number, name in enumerate(found.names):
        yield bring(config, found, name, scratch / f"{number:04d}-{Path(name).name}")


def name_of(config: Config, found: Found, name: str) -> str:
    """What messages call a file that was found."""
    if found.is_local:
        return shown(config, Path(name))
    return redact(found.filesystem.unstrip_protocol(name))


def bring(config: Config, found: Found, name: str, copy: Path) -> tuple[Path, str]:
    """The local path of a file, of a remote one that of its ``copy``, and what messages call it.

    Raises:
        SourceUnavailableError: when it cannot be read.
    """
    said = name_of(config, found, name)
    if found.is_local:
        return Path(name), said
    _copy(found.filesystem, name, copy, said)
    return copy, said


def arrived(config: Config, day: date) -> bool:
    """Whether any file of the day is there, or of files of many days a row of it.

    Raises:
        SourceError: when the source cannot be opened or listed, or a file of many days be read.
    """
    found = find(config, day)
    if not found.names or not _is_by_time(config, day):
        return bool(found.names)
    from driftune.lake.many_days import parted_files

    return any(day in file.days for file in parted_files(config, found))


def hashed(path: Path, said: str, kind: str, partitions: dict[str, str | None]) -> SourceFile:
    """A fetched file with the hash of its bytes.

    Raises:
        SourceError: when it is gone, empty or unreadable.
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
    return SourceFile(said, path, kind, before.st_size, digest, before.st_mtime_ns, partitions)


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
