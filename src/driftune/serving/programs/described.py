"""What a manifest says of a bundle's programs, and each program's file of itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple, TypedDict

from driftune.io import JsonObject


class Made(NamedTuple):
    """A program in a bundle: its file's path in it, and the largest difference of a score to that
    of the scorer among the rows tried, None where it is as it was."""

    path: str
    differs: float | None


@dataclass(frozen=True)
class Input:
    """An input of a program: its name, its type as PyTorch calls it, and its shape after the rows,
    which come first."""

    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """What the input ``slots`` has for a domain's rows, and the version that serves it there."""

    slot: int
    champion: int


@dataclass(frozen=True)
class Schema:
    """What the encoder makes of a row: fields with their sizes, and numbers, in their order."""

    fingerprint: str
    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A program: where its file lies in the bundle, its part, and the hash of what it is of."""

    path: str
    part: str
    of: str


@dataclass(frozen=True)
class Programs:
    """The programs of a bundle, which differ in their format alone.

    ``slots``: by domains' names; all others have slot 0, the base. ``tolerance``: how far a score
    may be from the scorer's. ``files``: by format.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    slots: Mapping[str, Slot]
    encoder: Schema
    tolerance: float
    files: Mapping[str, File]

    @property
    def names(self) -> list[str]:
        """The names of the inputs."""
        return [each.name for each in self.inputs]

    def with_files(self, files: Mapping[str, File]) -> "Programs":
        """The same, of these files."""
        return replace(self, files=dict(files))

    def as_json(self) -> JsonObject:
        """As the manifest has it."""
        found: JsonObject = json.loads(json.dumps(asdict(self)))
        return found


class _Schema(TypedDict):
    fingerprint: str
    fields: list[str]
    sizes: list[int]
    numbers: list[str]


class _Input(TypedDict):
    name: str
    type: str
    shape: list[int]


class ProgramsSaid(TypedDict):
    """The same as the manifest's file has it."""

    inputs: list[_Input]
    outputs: list[str]
    slots: dict[str, dict[str, int]]
    encoder: _Schema
    tolerance: float
    files: dict[str, dict[str, str]]


def programs_of(said: ProgramsSaid) -> Programs:
    """Read what a manifest says.

    Raises:
        KeyError, TypeError, ValueError: when it lacks something.
    """
    schema = said["encoder"]
    return Programs(
        tuple(Input(each["name"], each["type"], tuple(each["shape"])) for each in said["inputs"]),
        tuple(said["outputs"]),
        {name: Slot(**each) for name, each in said["slots"].items()},
        Schema(
            schema["fingerprint"],
            tuple(schema["fields"]),
            tuple(schema["sizes"]),
            tuple(schema["numbers"]),
        ),
        float(said["tolerance"]),
        {name: File(**each) for name, each in said["files"].items()},
    )
