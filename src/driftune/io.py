"""Files that appear whole or not at all, and JSON that says itself whether it is whole."""

import hashlib
import json
import math
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

# What JSON may hold.
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
JsonObject: TypeAlias = dict[str, Json]
Value = TypeVar("Value")
_SEAL = ("sealed", "sha256")
_DIGITS = 64


class DamagedFileError(ValueError):
    """A file holds something else than was written to it. The message does not name the file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the place of ``path`` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it becomes ``path``, unless that is there.

    Of several that make the file at once the first one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def finite(value: Any) -> Any:
    """The value with every NaN and infinity in it replaced by None, as JSON needs it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def json_text(value: Any) -> str:
    """``value`` as ``write_json`` writes it."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, default=str)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically; NaN is refused."""
    write_text(path, json_text(value))


def write_sealed(path: Path, value: Mapping[str, Value]) -> None:
    """Write a JSON object with its checksum in it: of records that decide."""
    # Without an indent Python's own encoder is ten times as fast.
    plain = json.dumps(value, sort_keys=True, allow_nan=False, default=str)
    write_json(path, sealed(json.loads(plain)))


def read_json(path: Path) -> Any:
    """Read a JSON file; an object that was sealed comes without its checksum.

    Raises:
        ValueError: when it is no JSON, or does not fit its checksum.
    """
    return unsealed(json.loads(path.read_text(encoding="utf-8")))


def sealed(value: JsonObject) -> JsonObject:
    """A JSON object with its own checksum in it.

    Two keys, so that damage to one of them does not make it look like an object without.
    """
    return {**value, "sealed": True, "sha256": _digest(value)}


def unsealed(value: Json) -> Json:
    """A JSON value as it was before ``sealed``; one that has no checksum is returned as it is.

    Raises:
        DamagedFileError: when it does not fit its checksum.
    """
    if not isinstance(value, dict) or not _is_sealed(value):
        return value
    plain = {name: part for name, part in value.items() if name not in _SEAL}
    if value.get("sealed") is not True or value.get("sha256") != _digest(plain):
        raise DamagedFileError("its values do not fit its checksum")
    return plain


def _is_sealed(value: JsonObject) -> bool:
    said = value.get("sha256")
    return value.get("sealed") is True or (isinstance(said, str) and len(said) == _DIGITS)


def _digest(plain: JsonObject) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
