"""History: everything the review site shows, read once from the ledger and the workspace."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from driftune.config import Config
from driftune.guard.record import Check, all_checks
from driftune.quality.record import DayQuality, read_quality
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.schema import adapters
from driftune.workspace import Workspace

# A longer pause in the logs is a break between two replays, not a run of missing days.
LONGEST_GAP = 14


@dataclass(frozen=True)
class DayEntry:
    """One day: its quality record, its ledger row, whether pre-training used it.

    ``redelivery`` is the record of a later delivery that was refused while this one stayed.
    """

    day: date
    quality: DayQuality | None
    record: Any
    reference: bool
    redelivery: DayQuality | None = None

    @property
    def verdict(self) -> str | None:
        """ok, warning or refused, of the newest delivery; None when nothing was recorded."""
        source = self.redelivery or self.quality or self.record
        return source.verdict if source else None


@dataclass(frozen=True)
class History:
    """``days`` are the columns of the heat map, gaps included; ``decisions`` by (key, day),
    oldest first, the last of which counts; ``checks`` of champions after promotion."""

    days: list[DayEntry]
    reference: list[DayEntry]
    domains: dict[str, str]
    champions: dict[str, int]
    decisions: dict[tuple[str, str], list[Any]]
    switches: list[Any]
    mlflow_versions: dict[tuple[str, int], str | None]
    checks: list[Check]

    def latest(self, key: str, day: date) -> Any:
        """The decision that counts for a domain and day; None when there is none."""
        rows = self.decisions.get((key, day.isoformat()))
        return rows[-1] if rows else None

    @cached_property
    def _days_by_domain(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, day in sorted(self.decisions):
            found.setdefault(key, []).append(day)
        return found

    def days_of(self, key: str) -> list[str]:
        """The days that have a decision of the domain, in order."""
        return self._days_by_domain.get(key, [])

    @cached_property
    def recorded(self) -> list[DayEntry]:
        """All days that have a page, in order: every one with a record or a decision."""
        decided = {day for _, day in self.decisions}
        entries = sorted(self.reference + self.days, key=lambda entry: entry.day)
        return [
            entry
            for entry in entries
            if entry.quality or entry.record or entry.day.isoformat() in decided
        ]


def load_history(config: Config, ledger: Ledger) -> History:
    """Read days, decisions, champions and switches; refused days come from their records."""
    workspace = Workspace(config)
    rows = ledger.decisions()
    decisions: dict[tuple[str, str], list[Any]] = {}
    domains: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row.day, row.revision, row.decided_at)):
        decisions.setdefault((row.domain_key, row.day), []).append(row)
        domains[row.domain_key] = row.domain
    champions = ledger.champions()
    for key, row in champions.items():
        domains.setdefault(key, row.domain)
    records = {date.fromisoformat(row.day): row for row in ledger.days()}
    validated = _validated_days(workspace)
    days = {*records, *validated, *(date.fromisoformat(row.day) for row in rows)}
    first, last = config.reference.first, config.reference.last
    entries = [
        DayEntry(
            day,
            read_quality(workspace, day) if day in validated else None,
            records.get(day),
            first <= day <= last,
            read_quality(workspace, day, redelivery=True),
        )
        for day in sorted(days)
    ]
    return History(
        days=_without_gaps([entry for entry in entries if not entry.reference]),
        reference=[entry for entry in entries if entry.reference],
        domains=dict(sorted(domains.items(), key=lambda pair: (pair[1].casefold(), pair[0]))),
        champions={key: champions[key].version if key in champions else BASE for key in domains},
        decisions=decisions,
        switches=ledger.switches(),
        mlflow_versions={
            (row.domain_key, row.version): row.mlflow_version
            for row in ledger.read(sa.select(adapters))
        },
        checks=all_checks(ledger),
    )


def _validated_days(workspace: Workspace) -> set[date]:
    found = set()
    for path in workspace.quality(date.min).parent.glob("*.json"):
        try:
            found.add(date.fromisoformat(path.stem))
        except ValueError:
            continue
    return found


def _without_gaps(entries: list[DayEntry]) -> list[DayEntry]:
    """Add empty entries for missing days between recorded ones."""
    filled: list[DayEntry] = []
    for entry in entries:
        missing = (entry.day - filled[-1].day).days - 1 if filled else 0
        if 0 < missing <= LONGEST_GAP:
            start = filled[-1].day
            filled += [
                DayEntry(start + timedelta(days=n + 1), None, None, False) for n in range(missing)
            ]
        filled.append(entry)
    return filled
