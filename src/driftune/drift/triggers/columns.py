"""Columns that triggers name, in the lake: their SQL, and whether they are numbers or categories.

What roles and features name is known from the configuration. Of a column that no role names the
lake knows whether there is one, and its type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftune.config import Config
from driftune.config.triggers import IDS, METHODS, Kind, Measure, Trigger, as_measured, column_kinds
from driftune.errors import ConfigError
from driftune.lake.duck import connect, identifier
from driftune.lake.kept import PREFIX, lake_name
from driftune.lake.table import Lake
from driftune.lake.types import FLOATS, is_number

# Which the lake does not hold: the champion's, from the windows.
PREDICTION = "prediction"
_WORDS = ("VARCHAR", "BOOLEAN")


@dataclass(frozen=True)
class LakeColumn:
    """A column as it is measured: ``sql`` over the lake's rows, ``is_number`` or categories, of
    which all stay apart where it is ``raw``.
    """

    sql: str
    is_number: bool
    raw: bool = False


def lake_columns(
    config: Config, lake: Lake, entries: Sequence[Trigger]
) -> dict[Measure, dict[str, LakeColumn]]:
    """What is read of the lake for these triggers, by name.

    Raises:
        ConfigError: when the lake has no such column, or one that the method does not fit.
    """
    wanted = [entry for entry in entries if entry.signal is None and entry.column != PREDICTION]
    if not wanted:
        return {}
    with connect() as con:
        types = lake.types(con)
    found = {}
    for entry in wanted:
        try:
            if entry.metric is None:
                found[entry.measure] = {entry.what: _column(config, types, entry)}
            else:
                read = {name: _raw(config, types, name) for name in entry.columns}
                found[entry.measure] = read
        except ConfigError as error:
            raise ConfigError(f"{config.source_file}: drift.triggers: {error}") from None
    return found


def _column(config: Config, types: Mapping[str, str], entry: Trigger) -> LakeColumn:
    name, method = entry.what, entry.method
    stored, kind = _found(config, types, name)
    whole = kind == "numerical" and name not in column_kinds(config) and types[stored] not in FLOATS
    if whole and METHODS[method].kinds == {"categorical"}:
        # Whole numbers are codes, too, where the method takes categories alone.
        kind = "categorical"
    measured = as_measured(kind, method)
    if measured is None:
        fits = ", ".join(other for other in METHODS if as_measured(kind, other) is not None)
        raise ConfigError(f"method {method!r} does not fit {name!r}, which is {kind}; write {fits}")
    return _read(stored, is_number=measured == "numerical")


def _raw(config: Config, types: Mapping[str, str], name: str) -> LakeColumn:
    """A column as metrics of one's own read it: labels are numbers, all categories stay apart."""
    if name in IDS:
        return _read(IDS[name], is_number=False, raw=True)
    stored, kind = _found(config, types, name)
    return _read(stored, is_number=kind != "categorical", raw=True)


def _read(stored: str, *, is_number: bool, raw: bool = False) -> LakeColumn:
    cast = "DOUBLE" if is_number else "VARCHAR"
    return LakeColumn(f"rows.{identifier(stored)}::{cast}", is_number, raw)


def _found(config: Config, types: Mapping[str, str], name: str) -> tuple[str, Kind]:
    """What the lake calls a column, and its kind.

    Raises:
        ConfigError: when there is none, or it holds neither numbers nor words.
    """
    known = column_kinds(config)
    if name in known:
        return _stored(config, name), known[name]
    stored = _kept_name(types, name)
    if stored is None:
        raise ConfigError(_unknown(types, known, name))
    if is_number(types[stored]):
        return stored, "numerical"
    if types[stored] not in _WORDS:
        raise ConfigError(
            f"column {name!r} is {types[stored]} in the lake, neither a number nor a word; "
            "name another"
        )
    return stored, "categorical"


def _stored(config: Config, name: str) -> str:
    """What the lake calls a column that a role or feature names."""
    if name in config.features.categorical:
        return f"f_{name}"
    return f"x_{name}" if name in config.features.numerical else name


def _kept_name(types: Mapping[str, str], name: str) -> str | None:
    """What the lake calls a kept column, by its own name or the delivered one; None: none is so."""
    stored = {other.lower(): other for other in types if other.startswith(PREFIX)}
    given = name.lower()
    return stored.get(lake_name(name).lower()) or stored.get(given)


def _unknown(types: Mapping[str, str], known: Mapping[str, str], name: str) -> str:
    kept = [other.removeprefix(PREFIX) for other in types if other.startswith(PREFIX)]
    return f"column {name!r} is none of the lake; there are {', '.join([*known, *sorted(kept)])}"
