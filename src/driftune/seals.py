"""Seals: a JSON object that holds its own checksum, so that it is replaced in one step."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_SEAL = ("sealed", "sha256")
_DIGITS = 64


class DamagedFileError(ValueError):
    """A file holds something else than was written to it. The message does not name the file."""


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its own checksum in it.

    Two keys, so that damage to one of them does not make it look like an object without.
    """
    plain = json.loads(json.dumps(value, allow_nan=False, default=str))
    return {**value, "sealed": True, "sha256": _digest(plain)}


def unsealed(value: Any) -> Any:
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


def _is_sealed(value: Mapping[str, Any]) -> bool:
    said = value.get("sha256")
    return value.get("sealed") is True or (isinstance(said, str) and len(said) == _DIGITS)


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
