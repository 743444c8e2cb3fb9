"""Stable days of the team's own: domain-days without drift, by which thresholds can be chosen.

These are the days that were found stable, each against the days that it was compared with then,
and the days of each domain's newest reference, each against the other ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256

from driftune.config import Config
from driftune.config.triggers import Trigger
from driftune.drift.triggers.measure import Asked
from driftune.drift.windows import DomainWindow, compared, read_profiles, windows_path
from driftune.errors import DriftuneError, LedgerError
from driftune.registry.decision_queries import decisions_of_day
from driftune.registry.ledger import Ledger
from driftune.registry.past import decisions_between
from driftune.registry.records import Decision, State

# Domain-days that are measured; of more, so many by a hash. Each value takes some 60 ms.
MOST = 1000


def stable_days(
    config: Config, ledger: Ledger, entries: Sequence[Trigger], days: int
) -> list[Asked]:
    """Domain-days without drift among the newest ``days`` that were decided, and their references.

    Raises:
        LedgerError: when no day was decided yet.
    """
    taken = (date.fromisoformat(each.day) for each in reversed(ledger.days()))
    last = next((day for day in taken if decisions_of_day(ledger, day)), None)
    if last is None:
        raise LedgerError("no day was decided yet; run one: driftune run --day DAY")
    rows = decisions_between(ledger, last - timedelta(days=days - 1), last + timedelta(days=1))
    found: dict[tuple[str, date], Asked] = {}
    looked_at = set[str]()
    for row in sorted(rows, key=lambda row: row.day, reverse=True):
        watching = [entry for entry in entries if entry.watches(row.domain)]
        if not watching:
            continue
        own = _of_row(config, row.readable(), watching, newest=row.domain_key not in looked_at)
        for asked in own:
            found.setdefault((asked.windows.key, asked.windows.day), asked)
        looked_at |= {asked.windows.key for asked in own}
    held = [found[place] for place in sorted(found)]
    if len(held) <= MOST:
        return held
    ranked = sorted(held, key=lambda each: _hash(each.windows.key, each.windows.day))[:MOST]
    return sorted(ranked, key=lambda each: (each.windows.key, each.windows.day))


def _hash(key: str, day: date) -> str:
    return sha256(f"{key} {day}".encode()).hexdigest()


def _of_row(
    config: Config, row: Decision, entries: Sequence[Trigger], *, newest: bool
) -> list[Asked]:
    """The domain-days that a decision's windows hold, those of its reference of a domain's newest
    alone; none where they are no longer kept.
    """
    window, is_stable = DomainWindow.of_decision(row), row.state == State.STABLE
    kept = row.scores.signals and windows_path(config, window.day).exists()
    if not kept or not (is_stable or newest):
        return []
    try:
        held = read_profiles(config, window)
    except DriftuneError:
        return []
    least = config.drift.min_rows
    reference = [day for day in window.reference if day in held]
    wanted = [window] if is_stable and window.day in held else []
    wanted += [
        replace(window, day=day, reference=[other for other in reference if other != day])
        for day in (reference if newest else ())
    ]
    found = []
    for each in wanted:
        own = {day: held[day] for day in (each.day, *each.reference) if day in held}
        windows = compared(config, each, own)
        others = sum(profile.rows for profile in windows.reference.values())
        if min(windows.current.rows, others) >= least:
            found.append(Asked(windows, entries, window.day))
    return found
