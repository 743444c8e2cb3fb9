"""Ids as the lake writes them: a delivered value as text, exactly as DuckDB casts it.

What reads otherwise than the lake has it would be another user, item or domain without anybody
seeing it, so that a type whose texts cannot be told to be the same is refused.
"""

import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftune.errors import RowsError
from driftune.serving.roles import Role

Column: TypeAlias = pa.ChunkedArray | pa.Array
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
# What DuckDB's trim takes off: the separators of Unicode's category Zs.
SPACES = " \u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class Coded(NamedTuple):
    """Texts of rows: ``codes`` (rows,) int64 are places in ``values``, −1 is null."""

    codes: np.ndarray
    values: list[str]


def coded(text: pa.Array) -> Coded:
    """The texts of rows by their different values."""
    encoded = text.dictionary_encode()
    return Coded(codes_of(encoded, -1), encoded.dictionary.to_pylist())


def codes_of(encoded: pa.DictionaryArray, null: int) -> np.ndarray:
    """The places of values in their dictionary, (rows,) int64; ``null`` of those that are null."""
    places = encoded.indices
    if places.null_count:
        places = places.fill_null(null)
    found: np.ndarray = places.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def whole(column: Column) -> pa.Array:
    """A column in one piece, dictionaries as the values that they stand for."""
    found = column
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        found = pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], found.type)
    if pa.types.is_dictionary(found.type):
        return found.dictionary_decode()
    return found


def as_text(column: Column, role: Role) -> pa.Array:
    """The text of each value as the lake would have it, (rows,) strings; null stays null.

    Raises:
        RowsError: for a type whose texts are not those of the lake, or may not be.
    """
    values = whole(column)
    kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    if _is_text(kind):
        text = values.cast(pa.string())
        return _each(text, _uuid) if role.kind == "UUID" else text
    if pa.types.is_integer(kind):
        return _of_whole(values, role)
    if pa.types.is_floating(kind) and not pa.types.is_float16(kind):
        return _of_float(values, role)
    if pa.types.is_boolean(kind) and role.kind in ("", "BOOLEAN", "VARCHAR"):
        return values.cast(pa.string())
    if pa.types.is_decimal(kind):
        return _of_decimal(values, role)
    if pa.types.is_date(kind) and role.kind in ("", "DATE"):
        return _each(values.cast(pa.date32()), lambda day: day.isoformat())
    if _is_moment(kind) and role.kind in ("", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"):
        return _each(values.cast(pa.timestamp("us")), _moment)
    raise _unlike(values, role)


def is_empty(column: Column) -> bool:
    """Whether no row has a value."""
    return column.null_count == len(column)


def _of_whole(values: pa.Array, role: Role) -> pa.Array:
    if _family(role.kind) == "DOUBLE":
        return _each(values, lambda value: float_text(float(value)))
    scale = _scale(role.kind)
    if scale is not None:
        return _each(values, lambda value: format(Decimal(value), f".{scale}f"))
    if _family(role.kind) == "whole" or role.kind == "" or role.whole:
        return values.cast(pa.string())
    raise _unlike(values, role)


def _of_float(values: pa.Array, role: Role) -> pa.Array:
    if role.kind == "DOUBLE" and not pa.types.is_float64(values.type):
        raise _unlike(values, role)
    if role.kind == "FLOAT":
        return _each_float(values.cast(pa.float32()), _float32_text)
    if role.kind == "DOUBLE":
        return _each_float(values, float_text)
    # Whole numbers with nulls come as floats from many a data frame.
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    known = _family(role.kind) == "whole" or role.whole or is_empty(values)
    exact = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 2.0**53)
    if not known or not exact.all():
        raise _unlike(values, role)
    return values.cast(pa.int64()).cast(pa.string())


def _of_decimal(values: pa.Array, role: Role) -> pa.Array:
    scale = _scale(role.kind)
    scaleless = values.type.scale == 0
    if scale is None and scaleless and (_family(role.kind) == "whole" or role.whole):
        scale = 0
    if role.kind == "":
        scale = values.type.scale
    if scale is None or values.type.scale > scale:
        raise _unlike(values, role)
    return _each(values, lambda value: format(value, f".{scale}f"))


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_moment(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is None and kind.unit != "ns"


def _family(kind: str) -> str:
    if kind.removeprefix("U") in _WHOLE:
        return "whole"
    return {"FLOAT": "DOUBLE"}.get(kind, kind)


def _scale(kind: str) -> int | None:
    """The digits after the point of a decimal type of DuckDB."""
    if not kind.startswith("DECIMAL("):
        return None
    return int(kind.rstrip(")").rsplit(",", 1)[1])


def float_text(value: float) -> str:
    """A double as DuckDB writes it: the shortest digits that say it, and the sign of NaN."""
    return repr(value) if value == value or math.copysign(1, value) > 0 else "-nan"


def _float32_text(value: float) -> str:
    short = np.float32(value)
    if not np.isfinite(short) or not short:
        return float_text(float(short))
    text = np.format_float_scientific(short, unique=True, trim="-", exp_digits=2)
    # By its shortest digits: the float next to 0.0001 is a little less than it.
    if -4 <= int(text.partition("e")[2]) < 16:
        return np.format_float_positional(short, unique=True, trim="0")
    return text


def _moment(value: np.datetime64) -> str:
    text = str(value)
    return text.rstrip("0") if "." in text else text


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text)) if len(text) == 36 else text
    except ValueError:
        return text


def _each(values: pa.Array, text: Callable[..., str]) -> pa.Array:
    """A text for each value, made once for each different one."""
    encoded = values.dictionary_encode()
    texts = pa.array([text(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return texts.take(encoded.indices)


def _each_float(values: pa.Array, text: Callable[[float], str]) -> pa.Array:
    """A text for each float: different NaN are one to Arrow's dictionaries."""
    given = values.to_pylist()
    return pa.array([None if value is None else text(value) for value in given], pa.string())


def _unlike(values: pa.Array, role: Role) -> RowsError:
    known = role.kind or "no type"
    example = next((value for value in values.slice(0, 1000).to_pylist() if value is not None), "")
    return RowsError(
        f"column {role.said} comes as {values.type} ({str(example)[:40]!r}), and the lake knows it "
        f"as {known}: whether both name the same cannot be told; give it as the logs do, or as text"
    )
