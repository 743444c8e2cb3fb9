"""A user's rows in the lake: rewritten without them, and every old file with them removed."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError
from driftune.intake.commit import replace_day
from driftune.intake.erasures import rewriting
from driftune.intake.turns import turn
from driftune.io import read_json, write_sealed
from driftune.lake.duck import connect, literal, one_row, parquet
from driftune.lake.scratch import scratch
from driftune.lake.store import StoredFile
from driftune.lake.suppressed import note_day, read_suppressed, without
from driftune.lake.table import Lake, open_table, short_hash
from driftune.locks import locked
from driftune.registry.days import rename_content
from driftune.registry.ledger import Ledger
from driftune.retention.spelling import alike


def days_with(config: Config, users: Sequence[str]) -> dict[date, int]:
    """The users' rows in the lake as it is, by day."""
    view = Lake.of(config)
    found = {}
    for day in view.days:
        rows = _rows(view, day, users) if view.damage(day, deep=False) is None else 0
        if rows:
            found[day] = rows
    return found


def erase_rows(
    config: Config, ledger: Ledger, users: Sequence[str], mark: str, *, again: bool = False
) -> int:
    """Rewrite the days that hold rows of the users without them; returns the rows.

    ``again``: the lake may be from before erasures.

    A day at a time and in one transaction each: killed in between, the rest is done by a second
    call. Revisions stay: the days were not delivered anew.

    Raises:
        LakeError: when the lake takes no commit, or a run of a day does not end.
    """
    erased = 0
    for day in days_with(config, users):
        with turn(config, day):
            with rewriting(config, ledger, again=again) as held:
                note_day(held, day, _content(ledger, Lake.of(config), day), mark)
            erased += _rewrite(config, ledger, day, users, mark)
            align(config, ledger)
    # What a run that was killed has rewritten and not told.
    align(config, ledger)
    return erased


def old_files(
    config: Config, users: Sequence[str], *, rewritten: Collection[date] = ()
) -> list[StoredFile]:
    """Files of the lake that hold rows of the users and are not of its newest version.

    One that cannot be read counts: nothing but an old version could name it. ``rewritten``: days
    whose newest files count as old.
    """
    view = Lake.of(config)
    current = {name for day in view.files if day not in rewritten for name in view.files[day]}
    found = []
    for file in view.store.files():
        if file.name in current:
            continue
        try:
            named = _names(view.store.read(file.name, file.size), users)
        except LakeDamageError:
            named = True
        if named:
            found.append(file)
    return found


def copies_with(config: Config, users: Sequence[str]) -> list[Path]:
    """Copies of files of a lake in an object store that hold rows of the users, also of a former
    one.
    """
    cache = Workspace(config).lake_cache
    return [path for path in sorted(cache.rglob("*.parquet")) if _names(path, users)]


def held_ids(config: Config, users: Sequence[str]) -> set[str]:
    """Those of the ids that rows of the lake have, old versions included."""
    view, left = Lake.of(config), set(users)
    for file in reversed(view.store.files()):
        if not left:
            break
        # One that cannot be read tells nothing.
        with suppress(LakeDamageError, duckdb.Error), connect(reach=[view.place]) as con:
            source = _of(view.store.read(file.name, file.size), sorted(left))
            rows = con.execute(f"SELECT DISTINCT user_id {source}", [sorted(left)]).fetchall()
            left -= {user for (user,) in rows}
    return set(users) - left


def spelled_alike(config: Config, users: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of an id and another that rows of the lake have and that is spelled alike."""
    view, found = Lake.of(config), set()
    for file in view.store.files():
        with suppress(LakeDamageError, duckdb.Error), connect(reach=[view.place]) as con:
            path = view.store.read(file.name, file.size)
            found |= set(alike(con, "user_id", parquet(path), users))
    return sorted(found)


def _names(path: Path, users: Sequence[str]) -> bool:
    """Whether a data file holds rows of the users; one that cannot be read may."""
    try:
        with connect(reach=[path]) as con:
            row = con.execute(f"SELECT count(*) {_of(path, users)}", [list(users)]).fetchone()
    except duckdb.Error:
        return True
    return row is None or bool(row[0])


def align(config: Config, ledger: Ledger) -> None:
    """Let ledger and quality record name the content that the lake holds of days that lost rows."""
    held, view = read_suppressed(config), Lake.of(config)
    for name, contents in held.days.items():
        day = date.fromisoformat(name)
        row = ledger.day(day)
        for now in contents.values():
            if row is None or short_hash(now) != view.contents.get(day):
                continue
            if row.content_hash != now:
                # The record first: the ledger is what says that this day is not done yet.
                _rename_content(config, day, row.content_hash, now)
                table = open_table(view.store)
                assert table is not None
                rename_content(
                    ledger,
                    day,
                    row.revision,
                    content_hash=now,
                    lake_version=table.version(),
                    rows=view.rows[day],
                )


def _rename_content(config: Config, day: date, before: str, now: str) -> None:
    path = Workspace(config).quality(day)
    # One that cannot be read lets the day be taken in again.
    with suppress(OSError, ValueError):
        record = read_json(path)
        if record["content_hash"] == before:
            write_sealed(path, {**record, "content_hash": now})


def _rewrite(config: Config, ledger: Ledger, day: date, users: Sequence[str], mark: str) -> int:
    # Nothing is committed meanwhile: what is written here rests on what is read here.
    with scratch(config, day) as folder, locked(Workspace(config).suppressed_lock):
        view = Lake.of(config)
        erased = _rows(view, day, users) if day in view.files else 0
        if not erased:
            return 0
        before = _content(ledger, view, day)
        noted = read_suppressed(config).days[day.isoformat()].values()
        # A day that was delivered anew since it was noted has a content of its own.
        after = without(before, mark) if without(before, mark) in noted else before
        written: dict[Path, int] = {}
        with connect(
            reach=[view.place, folder], memory=config.resources.memory, spill=folder / "spill"
        ) as con:
            for file in view.paths(day):
                target = folder / f"{len(written)}.parquet"
                (rows,) = one_row(
                    con,
                    f"COPY (SELECT * EXCLUDE (gone) FROM (SELECT *, coalesce(user_id IN "
                    f"(SELECT unnest($1::VARCHAR[])), false) AS gone FROM {parquet(file)}) "
                    f"WHERE NOT gone) TO {literal(str(target))} "
                    "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)",
                    [list(users)],
                )
                written[target] = rows
        replace_day(view.store, day, after, written)
        return erased


def _rows(view: Lake, day: date, users: Sequence[str]) -> int:
    total = 0
    with connect(reach=[view.place]) as con:
        for file in view.paths(day):
            ((rows,),) = con.execute(
                f"SELECT count(*) {_of(file, users)}", [list(users)]
            ).fetchall()
            total += rows
    return total


def _of(file: Path, users: Sequence[str]) -> str:
    if len(users) == 1:
        # A plain comparison is held against the file's statistics.
        return f"FROM {parquet(file)} WHERE user_id = $1[1]"
    return f"FROM {parquet(file)} WHERE user_id IN (SELECT unnest($1::VARCHAR[]))"


def _content(ledger: Ledger, view: Lake, day: date) -> str:
    """The whole content hash of what the lake holds of a day."""
    row, short = ledger.day(day), view.contents.get(day)
    if row is not None and short_hash(row.content_hash) == short:
        return str(row.content_hash)
    table = open_table(view.store)
    for entry in [] if table is None else table.history():
        found: Any = entry.get("driftune.content")
        if entry.get("driftune.day") == day.isoformat() and found and short_hash(found) == short:
            return str(found)
    return f"{(short or 0) << 2:016x}"
