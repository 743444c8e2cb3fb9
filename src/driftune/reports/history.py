"""History: everything the review site shows, read once from the ledger and the workspace."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.quality.parts import DomainRecord
from driftune.quality.record import DayQuality, read_quality
from driftune.registry.checks import Check, all_checks
from driftune.registry.decision_queries import Decided, Stamp
from driftune.registry.ended import Ended, ended
from driftune.registry.history import mlflow_versions
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import State
from driftune.registry.review import ReviewEntry, reviews_of
from driftune.registry.rows import DayRecord, RunRecord, SwitchRecord
from driftune.registry.runs import newest_runs
from driftune.registry.stale_champions import StaleChampion, stale_champions
from driftune.registry.weak_champions import weak_champions
from driftune.reports.decided import all_decided
from driftune.reports.states import QUIET

# Newest days that the front page shows at first, and whose every decision has a page.
PERIOD = 28
# A longer pause in the logs is a break between two replays, not a run of missing days.
LONGEST_GAP = 14


@dataclass(frozen=True)
class DayEntry:
    """One day: its quality record, its ledger row, whether pre-training used it.

    ``redelivery`` is the record of a later delivery that was refused while this one stayed.
    """

    day: date
    quality: DayQuality | None
    record: DayRecord | None
    reference: bool
    redelivery: DayQuality | None = None

    @cached_property
    def text(self) -> str:
        """The day as YYYY-MM-DD."""
        return self.day.isoformat()

    @property
    def verdict(self) -> str | None:
        """ok, warning or refused, of the newest delivery; None when nothing was recorded."""
        source = self.redelivery or self.quality or self.record
        return source.verdict if source else None


@dataclass(frozen=True)
class History:
    """``days`` are the columns of the heat map, gaps included; ``decisions`` by (key, day),
    oldest first, the last of which counts; ``stamps`` change with the decisions of a day;
    ``checks`` of champions after promotion; ``reviews`` of decisions that waited for approval, by
    id; ``ended``: how decisions stood that were made again, by id; ``runs`` by day (ISO).

    Decisions of days before ``kept`` that asked for nothing have no page of their own.
    """

    days: list[DayEntry]
    reference: list[DayEntry]
    domains: dict[str, str]
    champions: dict[str, int]
    stale: dict[str, StaleChampion]
    weak: dict[str, str]
    decisions: dict[tuple[str, str], list[Decided]]
    stamps: dict[str, Stamp]
    kept: str
    switches: list[SwitchRecord]
    mlflow_versions: dict[tuple[str, int], str | None]
    checks: list[Check]
    reviews: dict[str, ReviewEntry]
    ended: dict[str, Ended]
    runs: dict[str, RunRecord]

    def latest(self, key: str, day: date) -> Decided | None:
        """The decision that counts for a domain and day; None when there is none."""
        return self.latest_on(key, day.isoformat())

    def latest_on(self, key: str, day: str) -> Decided | None:
        """As ``latest``, the day as text."""
        rows = self.decisions.get((key, day))
        return rows[-1] if rows else None

    @cached_property
    def pages(self) -> set[tuple[str, str]]:
        """Key and day of every decision that has a page of its own."""
        return {
            place
            for place, rows in self.decisions.items()
            if place[1] >= self.kept or any(self._asked(row) for row in rows)
        }

    def _asked(self, row: Decided) -> bool:
        """Whether a decision asked for a fine-tune; of one made again it counts what it was."""
        if row.state == State.SUPERSEDED and row.id in self.ended:
            return (self.ended[row.id].state or State.STABLE) not in QUIET
        return row.state not in QUIET

    @cached_property
    def _days_by_domain(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, day in sorted(self.pages):
            found.setdefault(key, []).append(day)
        return found

    def days_of(self, key: str) -> list[str]:
        """The days that have a decision page of the domain, in order."""
        return self._days_by_domain.get(key, [])

    @cached_property
    def _places(self) -> dict[date, int]:
        return {entry.day: place for place, entry in enumerate(self.recorded)}

    def place_of(self, day: date) -> int:
        """The place of a day among ``recorded``."""
        return self._places[day]

    def is_recorded(self, day: date) -> bool:
        """Whether a day has a page."""
        return day in self._places

    def quality_of(self, day: date) -> DayQuality | None:
        """What validation found of a day; None where it has no record."""
        return self.recorded[self._places[day]].quality if self.is_recorded(day) else None

    @cached_property
    def _shown(self) -> dict[str, Decided]:
        return {
            rows[-1].id: rows[-1] for place, rows in self.decisions.items() if place in self.pages
        }

    def shown_decision(self, decision_id: str | None) -> Decided | None:
        """The decision of that id where it is the one that its page shows."""
        return None if decision_id is None else self._shown.get(decision_id)

    @cached_property
    def day_of(self) -> dict[str, str]:
        """The day of each decision, by its id."""
        return {row.id: row.day for rows in self.decisions.values() for row in rows}

    @cached_property
    def counts(self) -> dict[tuple[str, str], DomainRecord]:
        """A domain's counts in a day's quality record, by key and day."""
        return {
            (row["key"], entry.text): row
            for entry in self.days
            if entry.quality is not None
            for row in entry.quality.domains
        }

    @cached_property
    def switches_by_domain(self) -> dict[str, list[SwitchRecord]]:
        """The switches of each domain's champion, oldest first."""
        found: dict[str, list[SwitchRecord]] = {}
        for row in self.switches:
            found.setdefault(row.domain_key, []).append(row)
        return found

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for (key, day), rows in self.decisions.items():
            first, trained = found.get(key, (day, ""))
            promoted = any(row.state == State.PROMOTED for row in rows)
            found[key] = min(first, day), max(trained, day if promoted else "")
        return found

    def known_from(self, key: str) -> tuple[str, str]:
        """A domain's first day with a decision, and the last one that brought a champion (ISO);
        empty where there is none.
        """
        return self._known.get(key, ("", ""))

    @cached_property
    def base_checks(self) -> dict[tuple[str, str, int], Check]:
        """The newest check of a champion against the frozen base, by key, day and version."""
        return {
            (check.domain_key, check.day, check.version): check
            for check in self.checks
            if check.against == BASE
        }

    @cached_property
    def rollback_days(self) -> dict[tuple[str, int, int], str]:
        """The days whose runs took champions back, by key, version before and after."""
        return {
            (check.domain_key, check.version, check.restored): check.as_of
            for check in self.rollbacks
            if check.restored is not None
        }

    @cached_property
    def rollbacks(self) -> list[Check]:
        """The checks for whose sake champions were taken back."""
        return [check for check in self.checks if check.restored is not None]

    @cached_property
    def checks_by_day(self) -> dict[str, list[Check]]:
        """The checks of each day."""
        found: dict[str, list[Check]] = {}
        for check in self.checks:
            found.setdefault(check.day, []).append(check)
        return found

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


def load_history(config: Config, ledger: Ledger, release: str) -> History:
    """Read days, decisions, champions and switches; refused days come from their records."""
    workspace = Workspace(config)
    rows, stamps = all_decided(ledger, workspace.reports, release)
    decisions: dict[tuple[str, str], list[Decided]] = {}
    domains: dict[str, str] = {}
    for row in rows:
        decisions.setdefault((row.domain_key, row.day), []).append(row)
        domains[row.domain_key] = row.domain
    champions = ledger.champions()
    for key, pointer in champions.items():
        domains.setdefault(key, pointer.domain)
    records = {date.fromisoformat(row.day): row for row in ledger.days()}
    validated = _validated_days(workspace)
    days = {*records, *validated, *(date.fromisoformat(day) for day in {row.day for row in rows})}
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
        domains=dict(sorted(domains.items(), key=_by_name)),
        champions={key: champions[key].version if key in champions else BASE for key in domains},
        stale=stale_champions(ledger),
        weak=weak_champions(ledger),
        decisions=decisions,
        stamps=stamps,
        kept=_kept(rows),
        switches=ledger.switches(),
        mlflow_versions=mlflow_versions(ledger),
        checks=all_checks(ledger),
        reviews={told["decision"]: told for told in reviews_of(ledger)},
        ended=ended(ledger),
        runs=newest_runs(ledger),
    )


def _by_name(pair: tuple[str, str]) -> tuple[list[tuple[int, int, str]], str]:
    """Names as people sort them: district 2 before district 10."""
    key, name = pair
    parts = re.split(r"(\d{1,18})", name.casefold())
    return [(n % 2, int(part) if n % 2 else 0, part) for n, part in enumerate(parts)], key


def _kept(rows: list[Decided]) -> str:
    """The first day whose quiet decisions keep their pages."""
    if not rows:
        return ""
    newest = date.fromisoformat(rows[-1].day)
    return (newest - timedelta(days=PERIOD - 1)).isoformat()


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
