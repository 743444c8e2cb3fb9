"""The manifest of a bundle: what it holds and what rows must look like, written last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NotRequired, TypedDict, cast

from driftune.errors import BundleError
from driftune.io import (
    DamagedFileError,
    Json,
    JsonObject,
    json_text,
    sealed,
    unsealed,
    write_json,
)
from driftune.serving.parts import Part
from driftune.serving.places import Bucket, Folder, below
from driftune.serving.programs.described import Programs, ProgramsSaid, programs_of
from driftune.serving.roles import Role, Roles, roles_of

FORMAT, NAME = 1, "manifest.json"
PRECISIONS = ("fp32", "bf16")


class ForeignFileError(BundleError):
    """A file called as a manifest is whole, and is none of a bundle."""


@dataclass(frozen=True)
class Domain:
    """A domain that the project knows: its name, the version of its champion (0: the frozen base),
    and the part that holds it; ``problem``: why that version cannot serve, so that the base does.
    """

    name: str
    version: int
    part: str | None
    problem: str | None = None


@dataclass(frozen=True)
class Challenger:
    """An adapter that waits for the gate and never serves: the ``decision`` that it came of, its
    ``day`` (ISO), the ``champion`` version that it is judged against, and the part that holds it;
    ``problem``: why there is none."""

    decision: str
    day: str
    champion: int
    part: str | None
    problem: str | None = None


@dataclass(frozen=True)
class Own:
    """What a recommender of the user's own reads as it was logged: ``columns``, and of the user's
    past the newest ``length`` events, ``history`` of each."""

    columns: tuple[str, ...]
    history: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Counter:
    """A counter: the fields of its ``key``, the columns of numbers that it fills, and what stands
    there for a key without a count."""

    key: tuple[str, ...]
    numbers: tuple[int, ...]
    unseen: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    ``bundle``: the hash of all that it says; ``day``: the last one that its counters have seen;
    ``ends``: the first instant after that day, microseconds since 1970; ``conversions``: whether it
    predicts them; ``precision``: what it computes in, ``fp32`` or ``bf16``; ``other``: whether
    unknown domains are one, called ``other``, and then ``known`` those that are not; ``text``:
    whether the logs are text files, which say no types; ``tables``: the column of rows that holds
    the key of each side table; ``challengers``: those that wait, by the domain's key, None where
    the bundle was exported without them.
    """

    bundle: str
    version: str
    day: date
    ends: int
    data: str
    timezone: str
    backbone: str
    encoder: str
    conversions: bool
    precision: str
    other: bool
    known: frozenset[str]
    text: bool
    roles: Roles
    tables: Mapping[str, Role]
    own: Own | None
    counters: tuple[Counter, ...]
    domains: Mapping[str, Domain]
    parts: Mapping[str, Part]
    programs: Programs | None = None
    challengers: Mapping[str, Challenger] | None = None

    @cached_property
    def keys(self) -> dict[str, str]:
        """The keys of the domains that the project knows, by name."""
        return {each.name: key for key, each in self.domains.items()}

    def part(self, name: str) -> Part:
        """A part by its name.

        Raises:
            BundleError: when there is none.
        """
        if name not in self.parts:
            raise BundleError(f"the manifest names no part {name!r}; export the bundle again")
        return self.parts[name]


def write_manifest(bundle: Path, said: JsonObject) -> None:
    """Write a manifest, atomically, with its own hash in it."""
    write_json(bundle / NAME, sealed({"format": FORMAT, **said}))


def manifest_of(said: JsonObject) -> Manifest:
    """The manifest that ``write_manifest`` would write."""
    return parse_manifest(json_text(sealed({"format": FORMAT, **said})).encode(), NAME)


class Stamp(NamedTuple):
    """What differs once a file was written again."""

    inode: int
    size: int
    modified: int
    changed: int


def stamp_of(bundle: Path) -> Stamp | None:
    """The stamp of a bundle's manifest, without reading it; None where there is none."""
    try:
        found = (bundle / NAME).stat()
    except OSError:
        return None
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def read_manifest(bundle: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises:
        BundleError: in one line, when there is none, or it is damaged or of another format.
    """
    return manifest_in(Folder(bundle))


def manifest_in(place: Folder | Bucket) -> Manifest:
    """Read the manifest of a bundle in a folder or an object store.

    Raises:
        BundleError: as ``read_manifest``; also when the store cannot be reached.
    """
    data = place.read(NAME)
    if data is None:
        raise BundleError(
            f"{below(str(place), NAME)}: is not there; make the bundle: driftune export --to "
            f"{place}"
        )
    return parse_manifest(data, below(str(place), NAME))


def parse_manifest(data: bytes, shown: str) -> Manifest:
    """Read what a manifest's file holds; ``shown``: what messages call it.

    Raises:
        BundleError: in one line, when it is damaged, of another format, or none.
    """
    try:
        raw: Json = json.loads(data.decode("utf-8"))
        said = unsealed(raw)
        if not isinstance(said, dict) or not {"format", "parts"} <= said.keys():
            raise ForeignFileError(
                f"{shown}: is no manifest of a bundle; driftune export writes one"
            )
        if said.get("format") != FORMAT:
            raise BundleError(
                f"{shown}: of format {said.get('format')}, this release reads {FORMAT}; export it "
                "again with this one"
            )
        if said is raw:
            raise DamagedFileError("it lacks its checksum")
        return _manifest(cast(_Said, said), _mark(said))
    except DamagedFileError:
        raise BundleError(f"{shown}: damaged (hash differs); export the bundle again") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{shown}: damaged ({reason}); export the bundle again") from None


class _DomainSaid(TypedDict):
    name: str
    version: int
    part: str | None
    problem: NotRequired[str | None]


class _ChallengerSaid(TypedDict):
    decision: str
    day: str
    champion: int
    part: str | None
    problem: NotRequired[str | None]


class _CounterSaid(TypedDict):
    key: list[str]
    numbers: list[int]
    unseen: list[float]


class _OwnSaid(TypedDict):
    columns: list[str]
    history: list[str]
    length: int


class _Said(TypedDict):
    """A manifest as its file has it."""

    driftune: str
    day: str
    ends: int
    data: str
    timezone: str
    backbone: str
    encoder: str
    conversions: bool
    precision: str
    other: bool
    known: list[str]
    text: bool
    roles: JsonObject
    tables: dict[str, dict[str, str]]
    own: _OwnSaid | None
    counters: list[_CounterSaid]
    domains: dict[str, _DomainSaid]
    parts: dict[str, dict[str, str]]
    programs: NotRequired[ProgramsSaid]
    challengers: NotRequired[dict[str, _ChallengerSaid]]


def _own(said: _OwnSaid | None) -> Own | None:
    if said is None:
        return None
    return Own(tuple(said["columns"]), tuple(said["history"]), int(said["length"]))


def _part(files: Mapping[str, str]) -> Part:
    """A part, none of whose files is outside of its folder.

    Raises:
        ValueError: when one is.
    """
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name!r} is no file of a part")
    return Part(files)


def _precision(said: str) -> str:
    if said not in PRECISIONS:
        raise ValueError(f"precision {said!r} is not known")
    return said


def _mark(said: JsonObject) -> str:
    return str(sealed(said)["sha256"])


def _manifest(said: _Said, mark: str) -> Manifest:
    return Manifest(
        bundle=mark,
        version=str(said["driftune"]),
        day=date.fromisoformat(said["day"]),
        ends=int(said["ends"]),
        data=str(said["data"]),
        timezone=str(said["timezone"]),
        backbone=str(said["backbone"]),
        encoder=str(said["encoder"]),
        conversions=bool(said["conversions"]),
        precision=_precision(said["precision"]),
        other=bool(said["other"]),
        known=frozenset(said["known"]),
        text=bool(said["text"]),
        roles=roles_of(said["roles"]),
        tables={
            name: Role(f"tables.{name}", each["column"], None, each["kind"])
            for name, each in said["tables"].items()
        },
        own=_own(said["own"]),
        counters=tuple(
            Counter(tuple(each["key"]), tuple(each["numbers"]), tuple(each["unseen"]))
            for each in said["counters"]
        ),
        domains={key: Domain(**each) for key, each in said["domains"].items()},
        parts={name: _part(files) for name, files in said["parts"].items()},
        programs=programs_of(said["programs"]) if "programs" in said else None,
        challengers=(
            {key: Challenger(**each) for key, each in said["challengers"].items()}
            if "challengers" in said
            else None
        ),
    )
