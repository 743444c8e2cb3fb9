"""Numbers of rows as the lake has them, and as the encoder standardises them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftune.errors import RowsError
from driftune.serving.roles import Role
from driftune.serving.texts import Column, codes_of, whole


def as_numbers(column: Column, role: Role) -> tuple[np.ndarray, np.ndarray]:
    """Each value as float64, (rows,), NaN where it is none, and which rows hold something that is
    no number, (rows,) bool.

    NaN and infinities count as missing: the encoder takes them so, where such rows are let in.

    Raises:
        RowsError: for a type that holds no numbers.
    """
    values = whole(column)
    kind, rows = values.type, len(values)
    wrong = np.zeros(rows, dtype=bool)
    if pa.types.is_null(kind):
        return np.full(rows, np.nan), wrong
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        numbers, wrong = _of_texts(values)
    elif pa.types.is_decimal(kind):
        encoded = values.dictionary_encode()
        each = [float(value) for value in encoded.dictionary.to_pylist()]
        numbers = _taken(encoded, each)
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        plain = values.cast(pa.uint8()) if pa.types.is_boolean(kind) else values
        numbers = plain.to_numpy(zero_copy_only=False).astype(np.float64)
    else:
        raise RowsError(f"column {role.said} comes as {kind}, which holds no numbers")
    return np.where(np.isfinite(numbers), numbers, np.nan), wrong


def logarithm(values: np.ndarray) -> np.ndarray:
    """The signed logarithm of each number, float64 of the same shape; NaN where there is none.

    By the C library's, as DuckDB has it: numpy's own may differ in the last bit.
    """
    sizes = pc.ln(pa.array((1.0 + np.abs(values)).ravel())).to_numpy(zero_copy_only=False)
    found: np.ndarray = np.sign(values) * sizes.reshape(values.shape)
    return found


def standardised(
    values: np.ndarray, means: np.ndarray, scales: np.ndarray, clip: float
) -> np.ndarray:
    """Numbers (rows, numbers) on the encoder's scale, float32; a missing one is the mean, 0."""
    scaled = np.clip((values - means) / scales, -clip, clip)
    found: np.ndarray = np.where(np.isnan(values), 0.0, scaled).astype(np.float32)
    return found


def _of_texts(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    encoded = values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    each = [_number(text) for text in texts]
    bad = [text.strip() != "" and not np.isfinite(n) for text, n in zip(texts, each, strict=True)]
    return _taken(encoded, each), _taken(encoded, [float(one) for one in bad]) == 1


def _number(text: str) -> float:
    """What DuckDB's cast takes of a text: ASCII, and no 1_000."""
    try:
        return float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def _taken(encoded: pa.DictionaryArray, each: list[float]) -> np.ndarray:
    taken: np.ndarray = np.array([*each, np.nan])[codes_of(encoded, len(each))]
    return taken
