"""The order of decisions: which one of a domain and day is the newest.

Ties are settled by the id, alike on every database.
"""

from typing import Protocol

from driftune.registry.schema import decisions

OLDEST_FIRST = (
    decisions.c.day,
    decisions.c.revision,
    decisions.c.decided_at,
    decisions.c.id,
)
NEWEST_FIRST = tuple(each.desc() for each in OLDEST_FIRST)


class Aged(Protocol):
    """What has a place in the order."""

    @property
    def day(self) -> str:
        """The day, ISO."""

    @property
    def revision(self) -> int:
        """The revision of the day."""

    @property
    def decided_at(self) -> float:
        """Seconds since 1970."""

    @property
    def id(self) -> str:
        """The id."""


def age(row: Aged) -> tuple[str, int, float, str]:
    """The place of a decision in ``OLDEST_FIRST``."""
    return row.day, row.revision, row.decided_at, row.id
