"""A DuckDB connection that opens files wherever a test has them."""

from contextlib import AbstractContextManager
from pathlib import Path

from driftune.lake.duck import Connection, connect


def anywhere(timezone: str = "UTC") -> AbstractContextManager[Connection]:
    """A connection in memory, closed at the end."""
    return connect(reach=[Path("/")], timezone=timezone)
