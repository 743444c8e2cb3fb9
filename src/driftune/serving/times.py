"""Times of rows: their instants, and the hour that the project's clock shows at each."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftune.errors import RowsError
from driftune.serving.roles import Time
from driftune.serving.texts import Column, codes_of, whole

MISSING = np.iinfo(np.int64).min
_LARGEST = np.iinfo(np.int64).max
_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# Clocks are set at quarters of an hour.
_QUARTER = 900_000_000
_EPOCH = datetime(1970, 1, 1)
_MICRO = timedelta(microseconds=1)
# Microseconds since 1970 that are taken for times: whose local time every zone can tell.
_FIRST, _END = ((datetime(year, 1, 1) - _EPOCH) // _MICRO for year in (2, 9999))


def instants(column: Column, time: Time, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970 of each row, (rows,) int64, ``MISSING`` where none is given, and
    which rows hold what is no time, (rows,) bool: also what is before the year 2 or after 9998,
    such as milliseconds where the logs have seconds.

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
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        found, wrong = _scaled(_units(values), _per_unit(kind))
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        return found if zoned else _on_wall(found, zone), wrong
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


def _on_wall(local: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Instants of local times without an offset.

    Of a time that comes twice it is the later one; a skipped one goes on from before the shift: of
    both, the offset is the smaller one.
    """
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
    kind = values.type
    factor = _MICROS.get(time.unit)
    if pa.types.is_integer(kind):
        return _scaled(_units(values), Fraction(1, 1000) if factor is None else Fraction(factor))
    if pa.types.is_floating(kind) and factor is not None:
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            micros = np.rint(numbers * factor)
        sound = (micros >= _FIRST) & (micros < _END)
        given = ~np.asarray(pc.is_null(values))
        return np.where(sound, np.where(sound, micros, 0).astype(np.int64), MISSING), given & ~sound
    if _is_text(kind):
        return _each(values, lambda text: _of_number(text, factor))
    raise RowsError(
        f"column {time.role.said} comes as {kind}, which is no number of columns.time.unit: "
        f"{time.unit}"
    )


def _units(values: pa.Array) -> pa.Array:
    """Times as the whole numbers that they are kept as, signed."""
    kind = values.type
    if pa.types.is_date32(kind):
        values = values.cast(pa.int32())
    if pa.types.is_uint64(kind):
        # What an int64 cannot hold is no time in any unit; neither is its smallest number.
        large = pc.greater(values, pa.scalar(_LARGEST, kind))
        small = pc.if_else(large, pa.scalar(0, kind), values).cast(pa.int64())
        return pc.if_else(large, pa.scalar(MISSING, pa.int64()), small)
    return values.cast(pa.int64())


def _per_unit(kind: pa.DataType) -> Fraction:
    """Microseconds in a unit of a date or a timestamp."""
    if pa.types.is_date32(kind):
        return Fraction(86_400_000_000)
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    return Fraction(1, 1000) if unit == "ns" else Fraction(_MICROS[unit])


def _scaled(units: pa.Array, factor: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds of whole numbers of a unit, without their fractions, and which are no times."""
    given = ~np.asarray(pc.is_null(units))
    numbers = np.array(pc.fill_null(units, 0).to_numpy(zero_copy_only=False))
    sound = (numbers >= math.ceil(_FIRST / factor)) & (numbers < math.floor(_END / factor))
    sound &= numbers != MISSING
    numbers[~sound] = 0
    parts = np.abs(numbers) // factor.denominator * np.sign(numbers)
    return np.where(given & sound, parts * factor.numerator, MISSING), given & ~sound


def _of_number(text: str, factor: int | None) -> int:
    number = Decimal(text.strip())
    if not abs(number) < _LARGEST:
        raise ValueError(f"{text} is no time")
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
            moment = micros(text)
            if not _FIRST <= moment < _END:
                raise ValueError(f"{text} is no time")
            found.append(moment)
            wrong.append(False)
        except (ValueError, ArithmeticError):
            found.append(MISSING)
            wrong.append(True)
    codes = codes_of(encoded, len(found))
    return np.array([*found, MISSING], dtype=np.int64)[codes], np.array([*wrong, False])[codes]


def _formatted(text: str, given: str) -> datetime:
    return datetime.strptime(text, given.replace("%-", "%"))


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
