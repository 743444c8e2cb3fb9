"""Find: the names of a day's files, and what lies beside them that is no log."""

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from driftune.config import Config
from driftune.errors import SourceError, SourceUnavailableError
from driftune.lake import roles
from driftune.lake.duck import first_line
from driftune.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

FORMATS = {
    "parquet": (".parquet",),
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
COMPRESSED = (".gz", ".zst")
# What Hive and Spark write for a null.
_NULL = "__HIVE_DEFAULT_PARTITION__"
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Found:
    """The day's files by their names in a file system, and those ``ignored`` beside them."""

    filesystem: "AbstractFileSystem"
    names: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine's file systems."""
        return "file" in protocols(self.filesystem)


def protocols(filesystem: "AbstractFileSystem") -> tuple[str, ...]:
    """The protocols of a file system, such as ``file``."""
    protocol = getattr(filesystem, "protocol", ())
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def find(config: Config, day: date) -> Found:
    """Find the day's files by ``source.uri``; see ``find_files``.

    Raises:
        SourceError: as ``find_files`` does.
    """
    return find_files(config, config.source_uri(day), config.source.uri, "source.uri")


def find_files(config: Config, uri: str, template: str, key: str) -> Found:
    """Find files by a URL or path, of the ``template`` that ``key`` in params.yaml gives.

    Names that begin with ``_`` or ``.``, or lie in such a folder, are what engines leave beside
    the data: they are ignored, unless the template itself names them.

    Raises:
        SourceError: when the source cannot be opened or listed, or a name is that of a folder or
            of a link to nothing.
    """
    import fsspec

    try:
        filesystem, pattern = fsspec.core.url_to_fs(uri)
        # A folder's name may hold glob signs: a file of exactly this name goes first.
        if filesystem.isfile(pattern):
            return Found(filesystem, (pattern,), ())
        entries: dict[str, dict[str, str]] = filesystem.glob(pattern, detail=True)
    except (ImportError, ValueError) as error:
        reason, said = redact(first_line(error)), shown_uri(config, uri)
        raise SourceError(f"{said}: cannot be opened ({reason}); check {key}") from None
    except Exception as error:
        # Each store's client has errors of its own.
        reason = redact(first_line(error))
        said = shown_uri(config, uri)
        raise SourceUnavailableError(f"{said}: cannot be listed ({reason})") from None
    if not entries and "file" in protocols(filesystem) and Path(pattern).is_symlink():
        entries = {pattern: {}}
    if "file" in protocols(filesystem) and "**" in pattern:
        _check_folders(config, "/".join(_fixed(pattern)), key)
    ignored = {name for name in entries if _is_of_table(name, pattern)}
    names = sorted(set(entries) - ignored)
    place = _Place(config, filesystem, pattern, template, key)
    files = [name for name in names if place.is_file(name, entries[name])]
    beside = [name for name in sorted(ignored) if entries[name].get("type") != "directory"]
    return Found(filesystem, tuple(files), tuple(beside))


def shown(config: Config, path: Path) -> str:
    """A local path as messages name it: relative to the folder of params.yaml where it is below."""
    return str(path.relative_to(config.root) if path.is_relative_to(config.root) else path)


def shown_uri(config: Config, uri: str) -> str:
    """A URL or local path as messages name it: without logins and secrets."""
    return redact(uri) if "://" in uri else shown(config, Path(uri))


def format_of(configured: str, name: str, shown_name: str, key: str = "source.format") -> str:
    """The format of a file: as ``key`` in params.yaml says, else by its ending.

    Raises:
        SourceError: when the ending says none.
    """
    if configured != "auto":
        return configured
    name = name.lower()
    packed = packing_of(name)
    for kind, suffixes in FORMATS.items():
        if name.removesuffix(packed).endswith(suffixes) and not (packed and kind == "parquet"):
            return kind
    raise SourceError(f"{shown_name}: unknown file type; set {key} to parquet, csv or jsonl")


def packing_of(name: str) -> str:
    """The ending that says how a file is compressed; empty where none does."""
    return next((suffix for suffix in COMPRESSED if name.lower().endswith(suffix)), "")


def partitions_of(config: Config, shown_name: str) -> dict[str, str | None]:
    """Values of the ``key=value`` parts of a file's path that are columns.

    Those are what ``source.partitions`` names; where it is null, what a role names. Of a path below
    the folder of params.yaml the folders above it say nothing.

    Raises:
        SourceError: when the path lacks one of ``source.partitions``.
    """
    parts = dict(part.split("=", 1) for part in shown_name.split("/")[:-1] if "=" in part)
    wanted = config.source.partitions
    if wanted is None:
        wanted = [column for column in roles.delivered_columns(config) if column in parts]
    for column in wanted:
        if column not in parts:
            raise SourceError(
                f"{shown_name}: its path has no part '{column}=…'; correct source.uri or "
                "source.partitions"
            )
    return {column: None if parts[column] == _NULL else unquote(parts[column]) for column in wanted}


def _check_folders(config: Config, root: str, key: str) -> None:
    """See that every folder below one can be looked into.

    Raises:
        SourceUnavailableError: for one that cannot; its files would go unseen.
    """

    def refuse(error: OSError) -> None:
        said = shown(config, Path(str(error.filename)))
        raise SourceUnavailableError(f"{said}: cannot be listed ({error.strerror})")

    for folder, inner, _ in os.walk(root, onerror=refuse):
        for name in inner:
            path = Path(folder) / name
            if path.is_symlink() and not name.startswith(("_", ".")):
                raise SourceError(
                    f"{shown(config, path)}: is a link to a folder, which {key} does not go "
                    "into; link its files"
                )


def _is_of_table(name: str, pattern: str) -> bool:
    """Whether a name has a hidden part, and the template asks for none of that kind."""
    fixed = len(_fixed(pattern))
    named = {part[:1] for part in pattern.split("/")[fixed:]}
    return any(part[:1] in {"_", "."} - named for part in name.split("/")[fixed:])


def _fixed(pattern: str) -> list[str]:
    """The leading parts of a template that hold no glob sign."""
    parts = pattern.split("/")
    first = next((n for n, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    return parts[:first]


@dataclass(frozen=True)
class _Place:
    """Where files are looked for: a ``pattern`` in a file system, of the ``template`` that ``key``
    in params.yaml gives."""

    config: Config
    filesystem: "AbstractFileSystem"
    pattern: str
    template: str
    key: str

    def is_file(self, name: str, entry: dict[str, str]) -> bool:
        """Whether a found name is a file to read; a folder that a deeper search goes into is not.

        Raises:
            SourceError: for a folder whose files the template does not reach, or a link to
                nothing.
        """
        filesystem = self.filesystem
        is_local = "file" in protocols(filesystem)
        said = shown(self.config, Path(name)) if is_local else redact(name)
        if entry.get("type") == "directory" or filesystem.isdir(name):
            if is_local and Path(name).is_symlink():
                raise SourceError(
                    f"{said}: is a link to a folder, which {self.key} does not go into; link its "
                    "files"
                )
            if "**" in self.pattern or not filesystem.ls(name, detail=False):
                return False
            deeper = f"{self.template}/*" if _GLOB.search(self.pattern) is None else "…/**/*"
            raise SourceError(
                f"{said}: is a folder, and {self.key} takes files; to read the files in it, end "
                f"{self.key} with {deeper}"
            )
        if filesystem.isfile(name):
            return True
        path = Path(name)
        if path.is_symlink():
            gone = f"{said}: is a link to {path.readlink()}, which is not there"
            raise SourceError(f"{gone}; deliver it again")
        raise SourceError(f"{said}: is no file; take it out of the day's folder")
