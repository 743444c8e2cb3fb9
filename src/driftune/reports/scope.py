"""Which pages a refresh of the review site looks at."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from driftune.reports.history import History


@dataclass(frozen=True)
class Scope:
    """The pages of chosen days (ISO texts; None is every day), with those that show them too.

    A day's neighbours link to it, a domain's page tells all its days (``touched``), a promotion or
    rollback changes "champion now" on every page of its domain, and a missing page is written
    whatever its day.
    """

    home: Path
    days: frozenset[str] | None
    promoted: frozenset[str]
    near: frozenset[str | tuple[str, str]]
    touched: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, history: History, home: Path, days: list[date] | None, switched: Collection[str] = ()
    ) -> "Scope":
        """The scope of a refresh after the records or decisions of ``days`` changed, and the
        champions of the domains ``switched`` (keys)."""
        if days is None:
            return cls(home, None, frozenset(), frozenset())
        asked = {day.isoformat() for day in days}
        # A run's checks stand on the pages of the days whose labels they rest on.
        checked = {check.day for check in history.checks if check.as_of in asked}
        chosen = frozenset(asked | checked)
        promoted = {
            key
            for (key, day), rows in history.decisions.items()
            if day in chosen and any(row.state == "promoted" for row in rows)
        }
        promoted |= set(switched)
        promoted |= {
            check.domain_key
            for check in history.checks
            if check.day in chosen and check.restored is not None
        }
        near: set[str | tuple[str, str]] = set()
        near |= _beside([entry.day.isoformat() for entry in history.recorded], chosen)
        for key in history.domains:
            near |= {(key, day) for day in _beside(history.days_of(key), chosen)}
        touched = {key for key, day in history.decisions if day in chosen} | promoted
        touched |= {check.domain_key for check in history.checks if check.day in chosen}
        touched |= {
            row["key"]
            for entry in history.recorded
            if entry.quality is not None and entry.day.isoformat() in chosen
            for row in entry.quality.domains
        }
        return cls(home, chosen, frozenset(promoted), frozenset(near), frozenset(touched))

    def has_day(self, path: str, day: date) -> bool:
        """Whether a day's page at ``path`` is looked at."""
        text = day.isoformat()
        return self._has(path, text) or text in self.near

    def has_decision(self, path: str, key: str, day: str) -> bool:
        """Whether a decision's page at ``path`` is looked at."""
        return self._has(path, day) or key in self.promoted or (key, day) in self.near

    def has_domain(self, path: str, key: str) -> bool:
        """Whether a domain's page at ``path`` is looked at."""
        return self.days is None or key in self.touched or not (self.home / path).exists()

    def _has(self, path: str, day: str) -> bool:
        return self.days is None or day in self.days or not (self.home / path).exists()


def _beside(ordered: list[str], chosen: frozenset[str]) -> set[str]:
    """The entries next to a chosen one."""
    pairs = list(pairwise(ordered))
    return {one for one, other in pairs if other in chosen} | {
        other for one, other in pairs if one in chosen
    }
