"""Values in the profiles of days that no row of the day has any more."""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path

from pydantic import JsonValue

from driftune.config import Config
from driftune.lake.duck import Connection, connect, identifier
from driftune.lake.table import Lake
from driftune.quality.profile import columns_of

Changed = Callable[[Path, JsonValue], JsonValue]


def forgetting(config: Config, users: Sequence[str], days: Collection[str]) -> Changed:
    """A function of a record's path and content that takes out of the profiles of ``days`` (ISO
    8601) the values, items and users that only rows of ``users`` have in the lake."""
    columns = {each.name: each.staged for each in columns_of(config)}
    view = Lake.of(config)

    def changed(path: Path, record: JsonValue) -> JsonValue:
        is_profile = path.parent.name == "profiles" and path.stem in days
        if not (is_profile and isinstance(record, dict)):
            return record
        day, profiles = date.fromisoformat(path.stem), record.get("columns")
        held = day in view.files and view.damage(day, deep=False) is None
        if not (isinstance(profiles, dict) and held):
            return record
        with connect(reach=[view.place], memory=config.resources.memory) as con:
            types = view.types(con)
            con.execute("CREATE TEMP TABLE theirs AS SELECT unnest(?::VARCHAR[]) AS id", [[*users]])
            rows = f"(FROM {view.whole_relation(con, [day])} WHERE user_id NOT IN (FROM theirs))"

            def known(column: str | None, values: Collection[str]) -> set[str]:
                return _known(con, rows, column if column in types else None, values)

            kept = {
                name: _without(profile, columns.get(name), known)
                for name, profile in profiles.items()
            }
        return {**record, "columns": kept}

    return changed


def _without(
    profile: JsonValue,
    column: str | None,
    known: Callable[[str | None, Collection[str]], set[str]],
) -> JsonValue:
    """A column's profile without what is not ``known`` to be in the lake."""
    if not isinstance(profile, dict):
        return profile
    kept = dict(profile)
    for part in ("values", "top"):
        if isinstance(given := profile.get(part), dict):
            there = known(column, given)
            kept[part] = {value: rows for value, rows in given.items() if value in there}
    for part, owner in (("items", "item_id"), ("users", "user_id")):
        if isinstance(given := profile.get(part), dict):
            owners = known(owner, given)
            texts = {value for value in given.values() if isinstance(value, str)}
            there = known(column, texts) if texts else set()
            kept[part] = {
                name: value
                for name, value in given.items()
                if name in owners and (not isinstance(value, str) or value in there)
            }
    return kept


def _known(con: Connection, rows: str, column: str | None, values: Collection[str]) -> set[str]:
    """Those of the values that a column of the rows has, as text."""
    if column is None or not values:
        return set()
    text = f"{identifier(column)}::VARCHAR"
    query = f"SELECT DISTINCT {text} FROM {rows} WHERE {text} IN (SELECT unnest($1::VARCHAR[]))"
    return {value for (value,) in con.execute(query, [list(values)]).fetchall()}
