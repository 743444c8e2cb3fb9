"""A user's rows outside the lake: encoded days, drift counts, quarantine."""

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

import duckdb

from driftune.checksums import is_whole
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.features.days import hashed
from driftune.io import replacing
from driftune.lake.duck import Connection, connect, identifier, literal, parquet
from driftune.lake.suppressed import words
from driftune.lake.values import identity
from driftune.quality.quarantine import OURS, TEXT, USER
from driftune.retention.spelling import alike
from driftune.retention.texts import NUMBER

_ASKED = "(SELECT unnest($1::VARCHAR[]))"


def encoded_with(config: Config, users: Sequence[str] | None) -> list[Path]:
    """Encoded days that hold rows of the users, whom they know by a hash, or may: damaged ones.

    Without ``users``: all of them.
    """
    found = []
    for path in sorted(Workspace(config).features.glob("*.parquet")):
        if users is None or not is_whole(path):
            found.append(path)
            continue
        with connect(reach=[path]) as con:
            row = con.execute(
                f"SELECT count(*) FROM {parquet(path)} WHERE user_hash IN "
                f"(SELECT {hashed('id')} FROM (SELECT unnest($1::VARCHAR[]) AS id))",
                [list(users)],
            ).fetchone()
        if row and row[0]:
            found.append(path)
    return found


def counted_of(config: Config, days: Collection[date] | None) -> list[Path]:
    """Drift counts drawn from the days, or all."""
    names = None if days is None else {day.isoformat() for day in days}
    kept = sorted(Workspace(config).profiles.glob("*.parquet"))
    return [path for path in kept if names is None or path.name[:10] in names]


def quarantined_with(config: Config, users: Sequence[str]) -> dict[Path, int]:
    """Quarantine files that hold rows of the users, and how many."""
    found = {}
    for path in _quarantines(config):
        with connect(reach=[path], timezone=config.timezone) as con:
            query = f"SELECT count(*) FROM {parquet(path)} WHERE {_theirs(con, config, path)}"
            row = con.execute(query, [list(users)]).fetchone()
        if row and row[0]:
            found[path] = int(row[0])
    return found


def quarantined_ids(config: Config, users: Sequence[str]) -> set[str]:
    """Those of the ids that quarantined rows have."""
    found: set[str] = set()
    for path in _quarantines(config) if users else []:
        with connect(reach=[path], timezone=config.timezone) as con:
            for text in _texts(con, config, path):
                query = f"SELECT DISTINCT {text} FROM {parquet(path)} WHERE {text} IN {_ASKED}"
                found |= {user for (user,) in con.execute(query, [list(users)]).fetchall()}
            if maybe := _words(con, config, path):
                each = f"(SELECT unnest({maybe}) AS word FROM {parquet(path)})"
                query = f"SELECT DISTINCT word FROM {each} WHERE word IN {_ASKED}"
                found |= {user for (user,) in con.execute(query, [list(users)]).fetchall()}
    return found


def quarantined_like(config: Config, condition: str, values: Sequence[str]) -> set[str]:
    """The ids of quarantined rows for which SQL over ``id`` and the parameter ``$1`` holds."""
    found: set[str] = set()
    for path in _quarantines(config):
        with connect(reach=[path], timezone=config.timezone) as con:
            texts = _texts(con, config, path)
            if maybe := _words(con, config, path):
                texts.append(f"unnest({maybe})")
            for text in texts:
                each = f"(SELECT DISTINCT {text} AS id FROM {parquet(path)})"
                query = f"SELECT id FROM {each} WHERE {condition}"
                found |= {user for (user,) in con.execute(query, [list(values)]).fetchall()}
    return found


def quarantined_alike(config: Config, users: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of an id and another that quarantined rows have and that is spelled alike."""
    found = set()
    for path in _quarantines(config):
        with connect(reach=[path], timezone=config.timezone) as con:
            for text in _texts(con, config, path):
                found |= set(alike(con, text, parquet(path), users))
    return sorted(found)


def erase_quarantined(config: Config, path: Path, users: Sequence[str]) -> None:
    """Write a quarantine file anew without the users' rows; one without any rows is removed."""
    with connect(reach=[path.parent], timezone=config.timezone) as con:
        where = _theirs(con, config, path)
        with replacing(path) as part:
            row = con.execute(
                f"COPY (FROM {parquet(path)} WHERE NOT coalesce({where}, false)) "
                f"TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)",
                [list(users)],
            ).fetchone()
    if row and row[0] == 0:
        path.unlink()


def names(path: Path, users: Sequence[str]) -> bool:
    """Whether a Parquet file has one of the ids for a text; bare numbers are not looked for."""
    looked = [user for user in users if not NUMBER.fullmatch(user)]
    with connect(reach=[path]) as con:
        try:
            described = con.execute(f"DESCRIBE FROM {parquet(path)}").fetchall()
            texts = [identifier(name) for name, kind, *_ in described if kind == "VARCHAR"]
            where = " OR ".join(f"{name} IN {_ASKED}" for name in texts) or "false"
            query = f"SELECT 1 FROM {parquet(path)} WHERE {where} LIMIT 1"
            return con.execute(query, [looked] if texts else []).fetchone() is not None
        except duckdb.Error:
            return False


def is_of(path: Path, users: Sequence[str]) -> bool:
    """Whether a file of rows as the lake has them has one of the users."""
    with connect(reach=[path]) as con:
        try:
            query = f"SELECT 1 FROM {parquet(path)} WHERE user_id IN {_ASKED} LIMIT 1"
            return con.execute(query, [[*users]]).fetchone() is not None
        except duckdb.Error:
            # A job that ends meanwhile takes its rows along.
            return path.exists()


def _quarantines(config: Config) -> list[Path]:
    return sorted((Workspace(config).home / "quarantine").glob("*.parquet"))


def _theirs(con: Connection, config: Config, path: Path) -> str:
    """The condition on a quarantined row to be of one of the users ``$1``."""
    conditions = [f"{text} IN {_ASKED}" for text in _texts(con, config, path)]
    if maybe := _words(con, config, path):
        conditions.append(f"list_has_any({maybe}, $1::VARCHAR[])")
    return " OR ".join(f"coalesce({each}, false)" for each in conditions)


def _words(con: Connection, config: Config, path: Path) -> str:
    """SQL of what may be an id in lines that are no rows; empty without such lines."""
    described = con.execute(f"DESCRIBE FROM {parquet(path)}").fetchall()
    has_lines = TEXT in {name for name, *_ in described}
    return words(config, TEXT) if has_lines else ""


def _texts(con: Connection, config: Config, path: Path) -> list[str]:
    """What a quarantined row may have for its user's id, as the text that the lake makes of it.

    Files of old have the delivered columns alone, of the types that they were delivered in. Where
    the user's role cannot be computed over them, that is any delivered column.
    """
    described = con.execute(f"DESCRIBE FROM {parquet(path)}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    if USER in types:
        return [USER]
    role = identity(config.columns.user, types)
    try:
        con.execute(f"SELECT count({role}) FROM {parquet(path)}").fetchone()
    except duckdb.Error:
        return [f"{identifier(name)}::VARCHAR" for name in types if name not in OURS]
    return [role]
