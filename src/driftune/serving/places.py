"""Places of bundles: a folder, or one of an object store by its URL, with the same few verbs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from driftune.errors import BundleError
from driftune.io import replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class Place(Protocol):
    """A folder of files, named by their paths in it (``/`` between the parts).

    Every method raises a ``BundleError`` of one line when the place cannot be reached or written.
    """

    def names(self) -> dict[str, int]:
        """The files in it and below, with their sizes in bytes; none where there is no folder."""

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where it is not there."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""

    def drop(self, name: str) -> None:
        """Remove a file; one that is gone is no error."""


@dataclass(frozen=True)
class Folder:
    """A folder on this machine, or that is mounted."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> dict[str, int]:
        """See ``Place``."""
        found = {}
        with self._told():
            for path in sorted(self.path.rglob("*")):
                with suppress(FileNotFoundError):
                    if path.is_file():
                        found[path.relative_to(self.path).as_posix()] = path.stat().st_size
        return found

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        with self._told():
            try:
                return (self.path / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, data: bytes) -> None:
        """See ``Place``."""
        with self._told(), replacing(self.path / name) as part:
            part.write_bytes(data)

    def drop(self, name: str) -> None:
        """See ``Place``."""
        with self._told():
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BundleError(f"{self.path}: {error.strerror or error}") from None


@dataclass(frozen=True)
class Bucket:
    """A folder of an object store; ``url`` is one that fsspec opens, such as ``s3://…``."""

    url: str

    def __str__(self) -> str:
        return self.url

    def names(self) -> dict[str, int]:
        """See ``Place``."""
        with self._store() as (files, root):
            try:
                listed = files.find(root, detail=True)
            except FileNotFoundError:
                return {}
        return {path.removeprefix(f"{root}/"): int(found["size"]) for path, found in listed.items()}

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        with self._store() as (files, root):
            try:
                data: bytes = files.cat_file(f"{root}/{name}")
            except FileNotFoundError:
                return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """See ``Place``; a store shows an object when it has all of it."""
        with self._store() as (files, root):
            files.pipe_file(f"{root}/{name}", data)

    def drop(self, name: str) -> None:
        """See ``Place``."""
        with self._store() as (files, root), suppress(FileNotFoundError):
            files.rm_file(f"{root}/{name}")

    def tag(self, name: str) -> str | None:
        """What changes whenever a file does: its ETag, or else time and size; None without it."""
        with self._store() as (files, root):
            try:
                found = files.info(f"{root}/{name}")
            except FileNotFoundError:
                return None
        told = [found.get(each) for each in ("ETag", "etag", "md5Hash")]
        named = next((str(each) for each in told if each), None)
        written = [found.get(each) for each in ("LastModified", "mtime", "created", "size")]
        return named or " ".join(map(str, written))

    def put(self, path: Path, name: str) -> None:
        """Upload a file."""
        with self._store() as (files, root):
            files.put_file(str(path), f"{root}/{name}")

    def get(self, name: str, path: Path) -> None:
        """Download a file.

        Raises:
            BundleError: when it is not there.
        """
        with self._store() as (files, root), replacing(path) as part:
            try:
                files.get_file(f"{root}/{name}", str(part))
            except FileNotFoundError:
                raise BundleError(f"{self.url}/{name}: is not there") from None

    @contextmanager
    def _store(self) -> Iterator[tuple["AbstractFileSystem", str]]:
        """The store's client, and the folder's name in it; what goes wrong there is one line."""
        try:
            import fsspec

            # Other processes write there as well: a listing is never an old one.
            files, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
            yield files, root.rstrip("/")
        except BundleError:
            raise
        except ImportError as error:
            raise BundleError(f"{self.url}: needs fsspec and its client ({error})") from None
        except Exception as error:
            # Each store's client has errors of its own.
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise BundleError(f"{self.url}: cannot be reached ({reason})") from None


def is_url(place: str | Path) -> bool:
    """Whether it is an address of an object store, and no path."""
    return "://" in str(place)


def place_of(place: str | Path) -> Folder | Bucket:
    """The place that a path or an address names."""
    return Bucket(str(place).rstrip("/")) if is_url(place) else Folder(Path(place))


def below(place: str | Path, name: str) -> str:
    """The path or address of a file or folder in a place."""
    return f"{str(place).rstrip('/')}/{name}" if is_url(place) else str(Path(place) / name)
