"""How the columns of a day differ from those of the day before it: kept, reported, cast."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from driftune.config import Config
from driftune.files import read_json, write_json
from driftune.logs import roles
from driftune.logs.duck import identifier
from driftune.logs.source import Fetched
from driftune.workspace import Workspace

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_KINDS = {kind: "BIGINT" for name in _WHOLE for kind in (name, f"U{name}")}
_KINDS |= {"FLOAT": "DOUBLE", "DOUBLE": "DOUBLE", "VARCHAR": "VARCHAR"}


@dataclass(frozen=True)
class Change:
    """What is different, as a check of the day: ``rows`` have it."""

    rule: str
    severity: str
    sentence: str
    rows: int


@dataclass(frozen=True)
class Evolution:
    """Changes of a day's columns, and the casts by which values read as they did before."""

    types: dict[str, str]
    casts: dict[str, str]
    changes: tuple[Change, ...]

    def relation(self) -> str:
        """``raw`` with the casts."""
        if not self.casts:
            return "raw"
        replaced = ", ".join(
            f"TRY_CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
            for name, kind in self.casts.items()
        )
        return f"(SELECT * REPLACE ({replaced}) FROM raw) AS raw"


def without_missing(config: Config, fetched: Fetched) -> Config:
    """The configuration without the optional roles whose column no file has: they are null."""
    delivered = {name for file in fetched.files for name in file.columns}
    gone = {
        name: None
        for name in roles.OPTIONAL
        if isinstance(role := getattr(config.columns, name), str) and role not in delivered
    }
    return config.model_copy(update={"columns": config.columns.model_copy(update=gone)})


def evolve(con: Any, config: Config, fetched: Fetched, types: dict[str, str]) -> Evolution:
    """Compare the columns of ``raw`` with those of the newest day before that was taken in.

    What no role names is new when the day before lacked it. A column that identifies something
    and has another kind of type is cast to the one before where no value is lost by it; where one
    is, that is critical: its rows would name other users, items or domains than they did.
    """
    changes = [*_missing(con, config, types)]
    before = _earlier(config, fetched.day)
    if before is None:
        return Evolution(types, {}, tuple(changes))
    new = [name for name in types if name not in before]
    for name in new:
        ((rows,),) = con.execute(f"SELECT count({identifier(name)}) FROM raw").fetchall()
        kind = types[name]
        sentence = f"No column is new: '{name}' ({kind}) is; a role in params.yaml makes use of it."
        changes.append(Change("column_new", "warning", sentence, rows))
    casts, text = {}, any(file.format == "csv" for file in fetched.files)
    for name in () if text else _identities(config):
        was, now = before.get(name), types.get(name)
        target = None if was is None or now is None else _target(was, now)
        if target is None:
            continue
        change = _cast(con, name, str(was), str(now), target)
        changes.append(change)
        if change.severity != "critical":
            casts[name] = target
    # Text files say no types: what was known of them stays known.
    kept = {name: before.get(name, kind) if text else kind for name, kind in types.items()}
    return Evolution({**kept, **casts}, casts, tuple(changes))


def record_columns(config: Config, day: date, types: dict[str, str]) -> None:
    """Keep the types of an accepted day's columns for the days that follow."""
    write_json(Workspace(config).columns(day), types)


def _earlier(config: Config, day: date) -> dict[str, str] | None:
    """The types of the newest day before whose record can be read."""
    workspace = Workspace(config)
    folder = workspace.columns(day).parent
    days = sorted(path.stem for path in folder.glob("*.json") if path.stem < day.isoformat())
    for name in reversed(days):
        with suppress(ValueError):
            found = read_json(workspace.columns(date.fromisoformat(name)))
            if isinstance(found, dict):
                return found
    return None


def _missing(con: Any, config: Config, types: dict[str, str]) -> list[Change]:
    optional = {name: getattr(config.columns, name) for name in roles.OPTIONAL}
    lacking = {name: role for name, role in optional.items() if isinstance(role, str)}
    if all(role in types for role in lacking.values()):
        return []
    ((rows,),) = con.execute("SELECT count(*) FROM raw").fetchall()
    return [
        Change(
            "column_missing",
            "warning",
            f"Every optional column is there: '{role}' (columns.{name}) is not; it is null.",
            rows,
        )
        for name, role in lacking.items()
        if role not in types
    ]


def _identities(config: Config) -> list[str]:
    """Columns whose values name something: what they read as must stay what it was."""
    columns = config.columns
    named = [columns.user, columns.item, columns.category, columns.request]
    named += columns.domain if isinstance(columns.domain, list) else [columns.domain]
    return [each for each in named if isinstance(each, str)] + config.features.categorical


def _target(was: str, now: str) -> str | None:
    """The type to cast to; None where values read the same in both."""
    before, after = _KINDS.get(was), _KINDS.get(now)
    if before is None or after is None or before == after:
        return None
    # An id that became a number with a fraction reads as 7.0 where it was 7.
    return "BIGINT" if after == "DOUBLE" else None if before == "VARCHAR" else before


def _cast(con: Any, name: str, was: str, now: str, target: str) -> Change:
    column = identifier(name)
    lost = f"TRY_CAST(TRY_CAST({column} AS {target}) AS {now}) IS DISTINCT FROM {column}"
    rows, file, value = con.execute(
        f"SELECT count(*), any_value(_driftune_file), any_value({column}::VARCHAR) "
        f"FROM raw WHERE {lost}"
    ).fetchone()
    what = f"was {was} and is {now}"
    if rows:
        where = f"in {file} it {what}, and '{value}' does not fit"
        sentence = f"Column '{name}' keeps its type: {where}."
        return Change("column_type", "critical", sentence, rows)
    ((rows,),) = con.execute(f"SELECT count({column}) FROM raw").fetchall()
    sentence = f"Column '{name}' keeps its type: it {what}; every value was cast to {target}."
    return Change("column_type", "warning", sentence, rows)
