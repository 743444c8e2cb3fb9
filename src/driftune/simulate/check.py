"""Comparing drift decisions with the planted events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypedDict

from driftune.simulate.settings import Event
from driftune.simulate.truth import read_truth


@dataclass(frozen=True)
class TruthCheck:
    """How the decisions that started a fine-tune compare with the planted events."""

    planted: int
    found: int
    false_domains: list[str]
    """Domains, sorted, with a decision before any event of theirs."""
    missed: list[Event]

    def sentence(self) -> str:
        """Return the comparison as one line."""
        return (
            f"planted shifts {self.planted}, found {self.found}; "
            f"stable domains fine-tuned {len(self.false_domains)}"
        )


class Judgement(TypedDict):
    """A drift decision that asked for a fine-tune: ``day`` is ISO 8601."""

    domain: str
    day: str
    judged: bool


def check_against_truth(
    truth_path: Path, decisions: Sequence[Judgement], *, within_days: int = 1
) -> TruthCheck:
    """Compare decisions with the record that ``write_truth`` left.

    ``decisions`` are all drift decisions that asked for a fine-tune, each with ``domain``, ``day``
    (ISO) and ``judged``: whether the gate has judged its challenger, whatever became of it since.
    An event is found if its domain has a judged decision on its day or up to ``within_days``
    later: one that failed or was overtaken before that has found nothing. Events that change
    traffic alone are none to be found. A decision in a domain without an event on or before its
    day is a false one, judged or not. Raises ValueError for
    a day that is no ISO date or a negative ``within_days``, KeyError for a decision that lacks one
    of the three, and what ``read_truth`` raises.
    """
    if within_days < 0:
        raise ValueError(f"within_days must not be negative, got {within_days}")
    events = [event for event in read_truth(truth_path).events if event.kind != "traffic_only"]
    made = {
        (row["domain"], date.fromisoformat(row["day"]), bool(row["judged"])) for row in decisions
    }
    judged = {(domain, day) for domain, day, was_judged in made if was_judged}
    missed = [
        event
        for event in events
        if not any(
            (event.domain, event.day + timedelta(days=late)) in judged
            for late in range(within_days + 1)
        )
    ]
    false = {
        domain
        for domain, day, _ in made
        if not any(event.domain == domain and event.day <= day for event in events)
    }
    return TruthCheck(len(events), len(events) - len(missed), sorted(false), missed)
