"""Fetch: the day's files by URL template, their hashes, and their columns."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from driftune.config import Config
from driftune.errors import SourceError, SourceUnavailableError
from driftune.lake.duck import connect, first_line, literal
from driftune.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SUFFIXES = {
    "parquet": (".parquet",),
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class SourceFile:
    """One fetched file: its original URL, a local path, its content hash and its columns.

    ``types`` are DuckDB's types of the columns, in their order; ``modified`` is the local file's
    time of modification (nanoseconds since 1970).
    """

    uri: str
    path: Path
    format: str
    size: int
    sha256: str
    modified: int
    columns: tuple[str, ...]
    types: tuple[str, ...]

    def scan(self, *, row_numbers: bool = False) -> str:
        """Return the DuckDB table function that reads this file.

        ``row_numbers``: of Parquet, with the column ``file_row_number`` (from 0).
        """
        path = literal(_plain(self.path))
        if self.format == "parquet":
            return f"read_parquet({path}{', file_row_number=true' if row_numbers else ''})"
        if self.format == "csv":
            return f"read_csv({path}, header=true, all_varchar=true)"
        return f"read_json({path}, format='newline_delimited', sample_size=-1)"


@dataclass(frozen=True)
class Fetched:
    """The files of one day."""

    day: date
    files: tuple[SourceFile, ...]

    @property
    def content(self) -> str:
        """SHA-256 over the files' hashes; names and order do not matter."""
        joined = "\n".join(sorted(file.sha256 for file in self.files))
        return hashlib.sha256(joined.encode()).hexdigest()

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
        SourceError: when no file is there, or one is empty or unreadable.
    """
    filesystem, found = _find(config, day)
    if not found:
        uri = config.source_uri(day)
        raise SourceError(
            f"{day}: no file at {_shown(config, Path(uri)) if '://' not in uri else uri}; "
            "check source.uri, or wait until the day's logs have arrived"
        )
    local = "file" in _protocols(filesystem)
    files = []
    for number, name in enumerate(found):
        path = Path(name) if local else scratch / f"{number:04d}-{Path(name).name}"
        shown = _shown(config, path) if local else redact(filesystem.unstrip_protocol(name))
        try:
            if not local:
                _copy(filesystem, name, path)
            before = path.stat()
            if before.st_size == 0:
                raise SourceError(f"{shown}: the file is empty (0 bytes); deliver it again")
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            raise SourceUnavailableError(
                f"{shown}: was there a moment ago and is gone; deliver it again, then run the day"
            ) from None
        except OSError as error:
            raise SourceUnavailableError(f"{shown}: cannot be read ({error})") from None
        kind = _format(config.source.format, path, shown)
        bare = SourceFile(shown, path, kind, before.st_size, digest, before.st_mtime_ns, (), ())
        files.append(_described(bare))
    return Fetched(day, tuple(files))


def _copy(filesystem: "AbstractFileSystem", name: str, target: Path) -> None:
    """Copy a remote file.

    Raises:
        FileNotFoundError: when it is gone.
        OSError: when it cannot be read, whatever its store's client says of that.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filesystem.open(name, "rb") as remote, target.open("wb") as copy:
            shutil.copyfileobj(remote, copy, 1 << 20)
    except OSError:
        raise
    except Exception as error:
        raise OSError(redact(first_line(error))) from None


def arrived(config: Config, day: date) -> bool:
    """Whether any file of the day is there.

    Raises:
        SourceError: when the source cannot be opened or listed.
    """
    return bool(_find(config, day)[1])


def _find(config: Config, day: date) -> tuple["AbstractFileSystem", list[str]]:
    """The source's file system, and the names of the day's files in it."""
    import fsspec

    uri = config.source_uri(day)
    try:
        filesystem, pattern = fsspec.core.url_to_fs(uri)
        # A folder's name may hold glob signs: a file of exactly this name goes first.
        found = [pattern] if filesystem.isfile(pattern) else filesystem.glob(pattern)
        return filesystem, sorted(name for name in found if filesystem.isfile(name))
    except (ImportError, ValueError) as error:
        raise SourceError(f"{uri}: cannot be opened ({error}); check source.uri") from None
    except Exception as error:
        # Each store's client has errors of its own.
        reason = redact(first_line(error))
        raise SourceUnavailableError(f"{uri}: cannot be listed ({reason})") from None


def _shown(config: Config, path: Path) -> str:
    return str(path.relative_to(config.root) if path.is_relative_to(config.root) else path)


def _protocols(filesystem: "AbstractFileSystem") -> tuple[str, ...]:
    protocol = getattr(filesystem, "protocol", ())
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _plain(path: Path) -> str:
    # DuckDB expands glob signs in file names; a bracket class of one sign matches itself only.
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def _format(configured: str, path: Path, shown: str) -> str:
    if configured != "auto":
        return configured
    name = path.name.lower()
    packed = next((suffix for suffix in _COMPRESSED if name.endswith(suffix)), "")
    for kind, suffixes in _SUFFIXES.items():
        if name.removesuffix(packed).endswith(suffixes) and not (packed and kind == "parquet"):
            return kind
    raise SourceError(f"{shown}: unknown file type; set source.format to parquet, csv or jsonl")


def _described(file: SourceFile) -> SourceFile:
    with connect() as con:
        try:
            rows = con.execute(f"DESCRIBE SELECT * FROM {file.scan()}").fetchall()
        except duckdb.Error as error:
            raise SourceError(
                f"{file.uri}: cannot be read as {file.format} ({first_line(error)}); "
                "deliver the file again or set source.format"
            ) from None
    return replace(file, columns=tuple(row[0] for row in rows), types=tuple(row[1] for row in rows))
