"""How the columns of a day differ from those of the day before it: kept, reported, cast."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeError
from driftune.intake.identities import Recast, identities, is_changed, misread, recast
from driftune.io import read_json, write_sealed
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier
from driftune.lake.evolution import Change, Evolution
from driftune.lake.kept import Kept, kept_columns
from driftune.lake.loading import Loaded

ACCEPT = "deliver it as before, or accept it by quality.severity: {column_lossy: warning}"


def evolve(con: Connection, config: Config, day: date, loaded: Loaded) -> Evolution:
    """Compare the columns of ``raw`` with those of the newest day before it.

    What no role names is kept in the lake, and new when the day before lacked it. A column that
    identifies something and has another type is cast to the one before where no value is lost by
    it; where one is, or names would no longer be those of the days before, that is critical: its
    rows would name other users, items or domains than they did.
    """
    types, rows = loaded.types, loaded.rows
    kept = tuple(kept_columns(con, config, types, lambda: _spellings(config, day)))
    changes = [*_missing(config, types, rows), *_mixed(con, loaded)]
    before = next(_records(config, day), None)
    if before is None:
        return Evolution(types, {}, tuple(changes), kept)
    changes += [*_new(con, config, types, before, kept), *_gone(config, types, before, rows)]
    untyped = loaded.has_text
    casts = {}
    for name in identities(config):
        was, now = before.get(name) or _older(config, day, name), types.get(name)
        if was is None or now is None or not is_changed(was, now):
            continue
        if untyped and now == "VARCHAR":
            found = misread(con, name, was, config.quality.max_rejected_share)
        else:
            found = recast(con, config, name, was, now, day)
        if found is None:
            continue
        changes.append(_recast(con, name, was, now, found))
        if found.target and (found.few or not found.lost):
            casts[name] = found.target
    # Text files say no types: what was known of them stays known.
    was_of = {name.lower(): kind for name, kind in before.items()} if untyped else {}
    known = {name: was_of.get(name.lower(), kind) for name, kind in types.items()}
    return Evolution({**known, **casts}, casts, tuple(changes), kept)


def kept_changes(con: Connection, loaded: Loaded, kept: Iterable[Kept]) -> list[Change]:
    """Kept columns that were delivered in another type than the lake holds.

    What rows in quarantine hold does not count.
    """
    accepted = "SELECT row_id FROM parsed ANTI JOIN broken USING (row_id)"
    found = []
    for column in kept:
        if not column.moved:
            continue
        value = identifier(column.source)
        ((lost, file, example),) = con.execute(
            f"SELECT count(*), any_value(_driftune_file), left(any_value({value}::VARCHAR), 60) "
            f"FROM raw WHERE {column.lost} "
            f"AND _driftune_id IN ({accepted})"
        ).fetchall()
        said = f"Column '{column.source}' keeps its type: the lake holds it as {column.kind}"
        if lost:
            where = f"{said}, and '{example}' in {file} does not fit"
            sentence = f"{where}; {ACCEPT}, then it is null."
            found.append(Change.of("column_lossy", sentence, lost))
        elif not loaded.is_text:
            found.append(Change.of("column_type", f"{said}; every value was cast to that.", 0))
    return found


def record_columns(config: Config, day: date, types: dict[str, str]) -> None:
    """Keep the types of an accepted day's columns for the days that follow."""
    write_sealed(Workspace(config).columns(day), {"types": types})


def read_columns(config: Config, day: date) -> dict[str, str]:
    """The types of an accepted day's columns; none where there is no record of them.

    Raises:
        LakeError: when the record is damaged.
    """
    path = Workspace(config).columns(day)
    try:
        found = read_json(path) if path.exists() else {}
        # Earlier releases kept nothing else in it: a column may be called types.
        types = found.get("types", found)
        return dict(found if isinstance(types, str) else types)
    except (ValueError, TypeError, AttributeError):
        raise LakeError(
            f"{path}: the record of the day's columns is damaged; take the day in again: driftune "
            f"run --day {day}; or delete the file, then days before it say which types columns have"
        ) from None


def _records(config: Config, day: date) -> Iterator[dict[str, str]]:
    """The types of the days before that have a record, newest first.

    Raises:
        LakeError: when one is damaged: ids and values could take another form than they had.
    """
    folder = Workspace(config).columns(day).parent
    for name in sorted((path.stem for path in folder.glob("*.json")), reverse=True):
        with suppress(ValueError):
            if (before := date.fromisoformat(name)) < day:
                yield read_columns(config, before)


def _spellings(config: Config, day: date) -> set[str]:
    """Every name that a column had on a day before."""
    return {name for types in _records(config, day) for name in types}


def _older(config: Config, day: date, name: str) -> str | None:
    """The type that a column had on the newest day before that had it."""
    return next((types[name] for types in _records(config, day) if name in types), None)


def _missing(config: Config, types: dict[str, str], rows: int) -> list[Change]:
    optional = {name: getattr(config.columns, name) for name in roles.OPTIONAL}
    lacking = {name: role for name, role in optional.items() if isinstance(role, str)}
    return [
        Change.of(
            "column_missing",
            f"Every optional column is there: '{role}' (columns.{name}) is not; it is null.",
            rows,
        )
        for name, role in lacking.items()
        if role not in types
    ]


def _new(
    con: Connection,
    config: Config,
    types: dict[str, str],
    before: dict[str, str],
    kept: tuple[Kept, ...],
) -> list[Change]:
    names = {column.source: column.name for column in kept}
    spelt = {name.lower(): name for name in before}
    found = []
    for name in [name for name in types if name not in before]:
        ((rows,),) = con.execute(f"SELECT count({identifier(name)}) FROM raw").fetchall()
        if other := spelt.get(name.lower()):
            said = f"Columns keep their spelling: '{name}' was '{other}' on the day before"
            found.append(Change.of("column_case", f"{said}; it is the same column.", rows))
            continue
        where = f"kept in the lake as {names[name]}; " if name in names else ""
        said = f"No column is new: '{name}' ({types[name]}) is; "
        found.append(
            Change.of("column_new", f"{said}{where}a role in params.yaml makes use of it.", rows)
        )
    return found


def _gone(config: Config, types: dict[str, str], before: dict[str, str], rows: int) -> list[Change]:
    """Columns that the day before had, no role names, and no file has any more."""
    named, there = roles.needed_columns(config), {name.lower() for name in types}
    return [
        Change.of(
            "column_missing",
            f"Every column is there: '{name}' is not any more; it is null.",
            rows,
        )
        for name in before
        if name.lower() not in there and name not in named
    ]


def _mixed(con: Connection, loaded: Loaded) -> list[Change]:
    """Columns that files of this day deliver in types that have nothing in common."""
    found = []
    for column in loaded.together.mixed:
        ((rows,),) = con.execute(f"SELECT count({identifier(column.column)}) FROM raw").fetchall()
        each = " and ".join(f"{kind} in {uri}" for uri, kind in column.kinds)
        sentence = f"Column '{column.column}' has one type: it is {each}; it is taken as text."
        found.append(Change.of("column_mixed", sentence, rows))
    return found


def _recast(con: Connection, name: str, was: str, now: str, found: Recast) -> Change:
    what = f"Column '{name}' keeps its type: it was {was} and is {now}"
    if found.few and found.lost:
        said = f"Column '{name}' keeps its form: it was {was}, and '{found.example}' {found.where}"
        return Change.of(
            "column_type", f"{said} is none; such values keep their writing.", found.lost
        )
    if found.lost:
        where = f"{what}, and '{found.example}' {found.where} does not fit"
        return Change.of("column_lossy", f"{where}; {ACCEPT}.", found.lost)
    ((rows,),) = con.execute(f"SELECT count({identifier(name)}) FROM raw").fetchall()
    how = f"every value was cast to {found.target}" if found.target else "every value reads as then"
    return Change.of("column_type", f"{what}; {how}.", rows)
