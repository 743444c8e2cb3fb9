"""A user's rows outside the lake: encoded days, drift counts, quarantine."""

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.features.days import hashed
from driftune.io import replacing
from driftune.lake.duck import connect, identifier, literal
from driftune.lake.values import identity
from driftune.retention.texts import NUMBER


def encoded_with(config: Config, users: Sequence[str]) -> list[Path]:
    """Encoded days that hold rows of the users, whom they know by a hash."""
    found = []
    for path in sorted(Workspace(config).features.glob("*.parquet")):
        with connect() as con:
            row = con.execute(
                f"SELECT count(*) FROM read_parquet({literal(str(path))}) WHERE user_hash IN "
                f"(SELECT {hashed('id')} FROM (SELECT unnest($1::VARCHAR[]) AS id))",
                [list(users)],
            ).fetchone()
        if row and row[0]:
            found.append(path)
    return found


def counted_of(config: Config, days: Collection[date]) -> list[Path]:
    """Drift counts drawn from the days."""
    names = {day.isoformat() for day in days}
    kept = sorted(Workspace(config).profiles.glob("*.parquet"))
    return [path for path in kept if path.name[:10] in names]


def quarantined_with(config: Config, users: Sequence[str]) -> dict[Path, int]:
    """Quarantine files that hold rows of the users, and how many."""
    found = {}
    for path in sorted((Workspace(config).home / "quarantine").glob("*.parquet")):
        with connect(timezone=config.timezone) as con:
            where = _theirs(con, config, path)
            query = f"SELECT count(*) FROM read_parquet({literal(str(path))}) WHERE {where}"
            row = con.execute(query, [list(users)]).fetchone()
        if row and row[0]:
            found[path] = int(row[0])
    return found


def erase_quarantined(config: Config, path: Path, users: Sequence[str]) -> None:
    """Write a quarantine file anew without the users' rows; one without any rows is removed."""
    with connect(timezone=config.timezone) as con:
        where = _theirs(con, config, path)
        with replacing(path) as part:
            row = con.execute(
                f"COPY (FROM read_parquet({literal(str(path))}) "
                f"WHERE NOT coalesce({where}, false)) TO {literal(str(part))} "
                "(FORMAT parquet, COMPRESSION zstd)",
                [list(users)],
            ).fetchone()
    if row and row[0] == 0:
        path.unlink()


def names(path: Path, users: Sequence[str]) -> bool:
    """Whether a Parquet file has one of the ids for a text; bare numbers are not looked for."""
    looked = [user for user in users if not NUMBER.fullmatch(user)]
    source = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    with connect() as con:
        try:
            described = con.execute(f"DESCRIBE FROM {source}").fetchall()
            texts = [identifier(name) for name, kind, *_ in described if kind == "VARCHAR"]
            listed = "(SELECT unnest($1::VARCHAR[]))"
            where = " OR ".join(f"{name} IN {listed}" for name in texts) or "false"
            query = f"SELECT 1 FROM {source} WHERE {where} LIMIT 1"
            return con.execute(query, [looked] if texts else []).fetchone() is not None
        except duckdb.Error:
            return False


def _theirs(con: duckdb.DuckDBPyConnection, config: Config, path: Path) -> str:
    """The condition on a quarantined row, which is as it was delivered, to be one of ``$1``.

    Where the user's role cannot be computed over it, that is any column that is a user's id.
    """
    source = f"read_parquet({literal(str(path))})"
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE FROM {source}").fetchall()}
    listed = "(SELECT unnest($1::VARCHAR[]))"
    role = identity(config.columns.user, types)
    try:
        con.execute(f"SELECT count({role}) FROM {source}").fetchone()
    except duckdb.Error:
        return " OR ".join(f"{identifier(name)}::VARCHAR IN {listed}" for name in types)
    return f"{role} IN {listed}"
