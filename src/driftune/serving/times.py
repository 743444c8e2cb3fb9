"""Times of rows: their instants, and the hour that the project's clock shows at each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftune.errors import RowsError
from driftune.serving.roles import Time
from driftune.serving.texts import Column, codes_of, whole

MISSING = np.iinfo(np.int64).min
_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# Clocks are set at quarters of an hour.
_QUARTER = 900_000_000
_EPOCH = datetime(1970, 1, 1)
_MICRO = timedelta(microseconds=1)


def instants(column: Column, time: Time, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970 of each row, (rows,) int64, ``MISSING`` where none is given, and
    which rows hold what is no time, (rows,) bool.

    Raises:
        RowsError: for a type that holds no times of the unit.
    """
    values = whole(column)
    kind, rows = values.type, len(values)
    if pa.types.is_null(kind):
        return np.full(rows, MISSING), np.zeros(rows, dtype=bool)
    if time.format is not None:
        return _parsed(values, lambda text: _formatted(text, str(time.format)), zone)
    if time.unit != "timestamp":
        return _since_1970(values, time)
    if pa.types.is_date(kind):
        return _on_wall(values.cast(pa.timestamp("us")), zone), np.zeros(rows, dtype=bool)
    if pa.types.is_timestamp(kind):
        micros = _whole_micros(values)
        found = _micros(micros) if kind.tz is not None else _on_wall(micros, zone)
        return found, np.zeros(rows, dtype=bool)
    if _is_text(kind):
        return _parsed(values, datetime.fromisoformat, zone)
    raise RowsError(f"column {time.role.said} comes as {kind}, which is no time of columns.time")


def hours(micros: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """The hour (0 to 23) that the clock of the zone shows at each instant, (rows,) int64."""
    quarters, place = np.unique(micros // _QUARTER, return_inverse=True)
    offsets = [
        (_EPOCH + int(quarter) * _QUARTER * _MICRO).replace(tzinfo=UTC).astimezone(zone).utcoffset()
        for quarter in quarters
    ]
    ahead = np.array([offset // _MICRO if offset else 0 for offset in offsets], dtype=np.int64)
    local = micros + ahead[place] if len(micros) else micros
    found: np.ndarray = local // 3_600_000_000 % 24
    return found


def _on_wall(values: pa.Array, zone: ZoneInfo) -> np.ndarray:
    """Instants of local times without an offset.

    Of a time that comes twice it is the later one; a skipped one goes on from before the shift: of
    both, the offset is the smaller one.
    """
    local = _micros(values)
    there = local != MISSING
    quarters, place = np.unique(local[there] // _QUARTER, return_inverse=True)
    behind = []
    for quarter in quarters:
        wall = (_EPOCH + int(quarter) * _QUARTER * _MICRO).replace(tzinfo=zone)
        both = [wall.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
        behind.append(min(both) // _MICRO)
    local[there] -= np.array(behind, dtype=np.int64)[place]
    return local


def _since_1970(values: pa.Array, time: Time) -> tuple[np.ndarray, np.ndarray]:
    kind, rows = values.type, len(values)
    factor = _MICROS.get(time.unit)
    if pa.types.is_integer(kind):
        whole_numbers = pc.fill_null(values.cast(pa.int64()), MISSING).to_numpy()
        there = whole_numbers != MISSING
        scaled = np.abs(whole_numbers) // 1000 * np.sign(whole_numbers)
        found = scaled if factor is None else whole_numbers * factor
        return np.where(there, found, MISSING), np.zeros(rows, dtype=bool)
    if pa.types.is_floating(kind) and factor is not None:
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        given, sound = ~np.asarray(pc.is_null(values)), np.isfinite(numbers)
        micros = np.rint(np.where(sound, numbers, 0) * factor).astype(np.int64)
        return np.where(sound, micros, MISSING), given & ~sound
    if _is_text(kind):
        return _each(values, lambda text: _of_number(text, factor))
    raise RowsError(
        f"column {time.role.said} comes as {kind}, which is no number of columns.time.unit: "
        f"{time.unit}"
    )


def _of_number(text: str, factor: int | None) -> int:
    number = Decimal(text.strip())
    return int(number) // 1000 if factor is None else int((number * factor) // 1)


def _parsed(
    values: pa.Array, read: Callable[[str], datetime], zone: ZoneInfo
) -> tuple[np.ndarray, np.ndarray]:
    if not _is_text(values.type):
        raise RowsError(f"times come as {values.type}, and columns.time.format reads texts")

    def micros(text: str) -> int:
        moment = read(text.strip())
        if moment.tzinfo is None:
            both = [moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
            return (moment - _EPOCH - min(each or timedelta() for each in both)) // _MICRO
        return (moment - _EPOCH.replace(tzinfo=UTC)) // _MICRO

    return _each(values, micros)


def _each(values: pa.Array, micros: Callable[[str], int]) -> tuple[np.ndarray, np.ndarray]:
    encoded = values.cast(pa.string()).dictionary_encode()
    found, wrong = [], []
    for text in encoded.dictionary.to_pylist():
        try:
            found.append(micros(text))
            wrong.append(False)
        except (ValueError, OverflowError, InvalidOperation):
            found.append(MISSING)
            wrong.append(True)
    codes = codes_of(encoded, len(found))
    return np.array([*found, MISSING])[codes], np.array([*wrong, False])[codes]


def _formatted(text: str, given: str) -> datetime:
    return datetime.strptime(text, given.replace("%-", "%"))


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _whole_micros(values: pa.Array) -> pa.Array:
    """Timestamps without what is below a microsecond, which is dropped."""
    if values.type.unit != "ns":
        return values.cast(pa.timestamp("us", values.type.tz))
    nanos = values.cast(pa.int64())
    return pc.divide(nanos, 1000).cast(pa.timestamp("us", values.type.tz))


def _micros(values: pa.Array) -> np.ndarray:
    return np.array(pc.fill_null(values.cast(pa.int64()), MISSING).to_numpy(zero_copy_only=False))
