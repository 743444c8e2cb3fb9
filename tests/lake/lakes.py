"""What a lake holds, for tests that compare it before and after."""

from collections.abc import Iterable
from datetime import date

from driftune.config import Config
from driftune.lake.table import Lake
from tests.anywhere import anywhere


def checksum(config: Config) -> tuple[int, int]:
    """Rows and content of the whole lake, whatever its files."""
    lake = Lake.of(config)
    table = lake.relation(lake.days)
    with anywhere() as con:
        return con.execute(f"SELECT count(*), bit_xor(hash(rows)) FROM {table} AS rows").fetchone()


def rows_of(config: Config, days: Iterable[date]) -> int:
    """Rows of some days."""
    with anywhere() as con:
        return con.execute(f"SELECT count(*) FROM {Lake.of(config).relation(days)}").fetchone()[0]
