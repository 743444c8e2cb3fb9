"""Where the lake's files lie: in a folder, or in an object store behind a cache on disk.

Data files never change once they are written, and have names of their own for ever, which hold the
SHA-256 of their bytes: what is read is what was written. Files of earlier releases have their size
alone to go by.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from driftune.checksums import sha256_of
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError, LakeError
from driftune.io import replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# How clients dress up what they say: colours, arrows, layers of their own.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m|↳")
_DRESS = re.compile(
    r"Kernel error -> |Generic \w+ error |HTTP error error sending request client error "
    r"| in [\d.]+\ws(?:, after \d+ retries)?(?:, max_retries \d+)?(?:, retry_timeout \d+s)?"
)
_ANSWER = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", re.DOTALL)
_CHECKSUM = re.compile(r"-([0-9a-f]{64})\.")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class StoredFile:
    """A data file of the lake: its name in it (``day=…/…``), bytes, seconds since 1970."""

    name: str
    size: int
    modified: float

    @property
    def day(self) -> str:
        """Its day (ISO)."""
        return self.name.split("/")[0].removeprefix("day=")


@dataclass(frozen=True)
class LakeFolder:
    """A lake in a folder."""

    folder: Path
    options: dict[str, str] | None = None
    properties: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """What deltalake opens."""
        return str(self.folder)

    @property
    def place(self) -> Path:
        """The folder of the data files."""
        return self.folder

    def read(self, name: str, size: int) -> Path:
        """The path of a data file.

        Raises:
            LakeDamageError: when it is missing or does not hold what was written.
        """
        if problem := self.damage({name: size}):
            raise LakeDamageError(problem)
        return self.folder / name

    def damage(self, files: Mapping[str, int], *, deep: bool = True) -> str | None:
        """What is wrong with data files (names with their bytes), None where nothing is.

        Without ``deep`` their bytes are not read.
        """
        for name, size in files.items():
            path = self.folder / name
            found = path.stat().st_size if path.exists() else None
            problem = _wrong(str(path), size, found) or (
                _changed(path, str(path)) if deep else None
            )
            if problem:
                return problem
        return None

    def add(self, finished: Path, name: str) -> None:
        """Move a finished file in under a name.

        Raises:
            LakeError: when it cannot be written.
        """
        try:
            _move(finished, self.folder / name)
        except OSError as error:
            raise LakeError(f"{self.folder / name} cannot be written ({error})") from None

    def drop(self, name: str) -> None:
        """Remove a data file; one that is gone is no error."""
        (self.folder / name).unlink(missing_ok=True)

    def files(self) -> list[StoredFile]:
        """All data files, also those that no version names, in order."""
        return sorted(_under(self.folder).values(), key=lambda file: file.name)

    def log(self) -> Iterator[str]:
        """The commits of the log as they were written, oldest first."""
        for path in sorted((self.folder / "_delta_log").glob("*.json")):
            yield path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class LakeBucket:
    """A lake in an object store; what is read of it lies in ``cache``, too."""

    url: str
    cache: Path
    # A log of hundreds of small objects is slow to read: one checkpoint for each ten commits.
    properties: dict[str, str] = field(
        default_factory=lambda: {"delta.checkpointInterval": "10"}, hash=False
    )

    def __str__(self) -> str:
        return self.url

    @property
    def options(self) -> dict[str, str]:
        """Options of deltalake's client besides the environment, which both clients read."""
        found = {"max_retries": os.environ.get("AWS_MAX_ATTEMPTS", "4")}
        endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        if endpoint is not None and not self.url.startswith("gs:"):
            found |= {"aws_endpoint": endpoint}
            found |= {"allow_http": "true"} if urlsplit(endpoint).scheme == "http" else {}
        return found

    @property
    def place(self) -> Path:
        """The folder of the data files that were read."""
        return self.cache

    def read(self, name: str, size: int) -> Path:
        """The path of a data file in the cache, where it is put unless it is there.

        Raises:
            LakeDamageError: when the store lacks it, or it does not hold what was written.
            LakeError: when the store cannot be read, or the cache not be written.
        """
        path = self.cache / name
        if path.exists() and path.stat().st_size == size and _changed(path, name) is None:
            # Says that it is in use: prune drops what nobody has read for long.
            with suppress(OSError):
                os.utime(path)
            return path
        with self._store() as (files, root), replacing(path) as part:
            try:
                files.get_file(f"{root}/{name}", str(part))
            except FileNotFoundError:
                raise LakeDamageError(f"{self.url}/{name} is missing") from None
            shown = f"{self.url}/{name}"
            problem = _wrong(shown, size, part.stat().st_size) or _changed(part, shown, name)
            if problem:
                raise LakeDamageError(problem)
        return path

    def damage(self, files: Mapping[str, int], *, deep: bool = True) -> str | None:
        """What is wrong with data files (names with their bytes) in the store, None if nothing is.

        With ``deep`` those that the cache lacks are fetched, for their bytes to be read.

        Raises:
            LakeError: when the store cannot be read.
        """
        there: dict[str, int] = {}
        with self._store() as (store, root):
            for part in sorted({name.split("/")[0] for name in files}):
                there |= {file.name: file.size for file in _listed(store, root, part)}
        for name, size in files.items():
            if problem := _wrong(f"{self.url}/{name}", size, there.get(name)):
                return problem
        for name, size in files.items() if deep else ():
            try:
                self.read(name, size)
            except LakeDamageError as error:
                return str(error)
        return None

    def add(self, finished: Path, name: str) -> None:
        """Put a finished file into the store under a name; it ends up in the cache.

        Raises:
            LakeError: when the store does not take it.
        """
        with self._store() as (files, root):
            files.put_file(str(finished), f"{root}/{name}")
            _move(finished, self.cache / name)

    def drop(self, name: str) -> None:
        """Remove a data file from store and cache; one that is gone is no error.

        Raises:
            LakeError: when the store does not let it go.
        """
        (self.cache / name).unlink(missing_ok=True)
        with self._store() as (files, root):
            try:
                files.rm_file(f"{root}/{name}")
            except FileNotFoundError:
                return

    def files(self) -> list[StoredFile]:
        """All data files of store and cache, also those that no version names, in order.

        Raises:
            LakeError: when the store cannot be listed.
        """
        with self._store() as (files, root):
            stored = {file.name: file for file in _listed(files, root)}
        return sorted((_under(self.cache) | stored).values(), key=lambda file: file.name)

    def log(self) -> Iterator[str]:
        """The commits of the log as they were written, oldest first.

        Raises:
            LakeError: when the store cannot be read.
        """
        with self._store() as (files, root):
            texts = files.cat(sorted(files.glob(f"{root}/_delta_log/*.json")) or [])
        for name in sorted(texts):
            yield texts[name].decode()

    @contextmanager
    def _store(self) -> Iterator[tuple["AbstractFileSystem", str]]:
        """The store's client, and the lake's name in it; what goes wrong there is one line."""
        try:
            import fsspec

            # Other processes write there as well: a listing is never an old one.
            files, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
            yield files, root.rstrip("/")
        except LakeError:
            raise
        except ImportError as error:
            raise LakeError(f"lake: {self.url} needs the extra objects ({error})") from None
        except Exception as error:
            # Each store's client has errors of its own.
            raise LakeError(f"the lake {self.url} cannot be reached ({reason(error)})") from None


LakeStore = LakeFolder | LakeBucket


def store_of(config: Config) -> LakeStore:
    """Where the lake of a configuration lies."""
    workspace = Workspace(config)
    if config.lake is None:
        return LakeFolder(workspace.lake)
    if "://" in config.lake:
        return LakeBucket(config.lake.rstrip("/"), workspace.lake_cache)
    return LakeFolder((config.root / config.lake).resolve())


def reason(error: Exception) -> str:
    """What a client says of an error, in one line."""
    if answer := _ANSWER.search(str(error)):
        return ": ".join(answer.groups())
    text = _DRESS.sub("", " ".join(_COLOURS.sub(" ", str(error)).split()))
    text = text or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"


def _wrong(shown: str, size: int, found: int | None) -> str | None:
    if found is None:
        return f"{shown} is missing"
    return None if found == size else f"{shown} has {found:,} bytes instead of {size:,}"


def _changed(path: Path, shown: str, name: str | None = None) -> str | None:
    """What is wrong with the bytes of a file by the checksum in its name; None without one."""
    said = _CHECKSUM.search(name or path.name)
    if said is None or said[1] == sha256_of(path):
        return None
    return f"{shown} holds other bytes than were written (its SHA-256 differs)"


def has_checksum(name: str) -> bool:
    """Whether a data file's name says what its bytes are; those of earlier releases do not."""
    return _CHECKSUM.search(name) is not None


def _move(finished: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        finished.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Of another disk, such as where staging has its own.
        with replacing(target) as part:
            shutil.copyfile(finished, part)
        finished.unlink()


def _under(folder: Path) -> dict[str, StoredFile]:
    found = {}
    for path in folder.glob("day=*/*.parquet"):
        try:
            now = path.stat()
        except FileNotFoundError:
            continue
        name = path.relative_to(folder).as_posix()
        found[name] = StoredFile(name, now.st_size, now.st_mtime)
    return found


def _listed(files: "AbstractFileSystem", root: str, part: str = "") -> Iterator[StoredFile]:
    """The data files in the store, of one partition or all."""
    try:
        listed = files.find(f"{root}/{part}" if part else root, detail=True)
    except FileNotFoundError:
        return
    for path, found in listed.items():
        name = path.removeprefix(f"{root}/")
        if name.startswith("day=") and name.endswith(".parquet"):
            yield StoredFile(name, int(found["size"]), _modified(found))


def _modified(found: Mapping[str, str | int | datetime | None]) -> float:
    """When an object was written; one whose store does not say counts as new."""
    for name in ("LastModified", "mtime", "updated"):
        written = found.get(name)
        if isinstance(written, datetime):
            return written.timestamp()
    return time.time()
