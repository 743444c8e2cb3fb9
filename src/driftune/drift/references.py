"""References: the days that each domain's champion is compared with.

The reference of a domain is the days that its champion was trained on and, up to a number, the
first ones since then on which it was found stable: confirmed. Later ones are not added, so that
slow drift does not move the reference along. A rejection leaves the champion and its reference as
they were, and its day confirms nothing; after a rollback the reference is that of the version now
serving, with the days that confirmed it. Days without an impression of the domain are none of its
reference.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from driftune.config import Config
from driftune.drift.profiles import Served
from driftune.drift.rules import DUE, NO_HISTORY
from driftune.models.backbone import TrainedUntil
from driftune.registry.champions import Champion
from driftune.registry.decision_queries import decision_behind
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.past import ServedDay, days_served
from driftune.registry.records import State
from driftune.registry.served_days import first_days_served

# Days that the champion's predictions are compared with at least, however young the counters.
MIN_SETTLED = 3


def trained_days(config: Config, champion: Champion) -> list[date]:
    """The newest days that a champion was trained on, as many as a reference may have."""
    return sorted(champion.reference)[-config.drift.reference_days :]


def later_days(
    config: Config, champion: Champion, held: Collection[date], since: Sequence[date]
) -> list[date]:
    """The days that join those that trained a champion in its reference, in order.

    ``held``: the trained days on which the domain has rows; ``since``: days that confirmed it.
    """
    last = max(champion.reference)
    room = max(0, config.drift.reference_days - len(held))
    return sorted(day for day in since if day > last)[:room]


Confirmed = Mapping[tuple[str, int], list[date]]


def confirmed_days(
    ledger: Ledger, backbone: str, day: date, among: Collection[str] | None = None
) -> Confirmed:
    """Days before ``day`` that confirmed the champion that served, per domain key and champion.

    Those that were found stable; those of a domain that had too little to compare with; and the
    first ones on which there was nothing to judge by: else a champion without history would never
    get one. ``among``: of these domains (keys) alone.
    """
    return _confirmed(days_served(ledger, backbone, day, among))


def confirmed_first(
    config: Config,
    ledger: Ledger,
    champions: Mapping[str, Champion],
    held: Collection[date],
    backbone: str,
    day: date,
) -> Confirmed:
    """As ``confirmed_days``, of who serves now: as many of its first days as a reference takes.

    ``held``: the days in the lake, of which references are.
    """
    most = config.drift.reference_days
    found = first_days_served(ledger, backbone, day, most + MIN_SETTLED, [NO_HISTORY, *DUE])
    confirmed = _confirmed([each for days in found.days.values() for each in days])

    def lacks(key: str, champion: Champion) -> bool:
        """Whether later days than those that were read may belong to the reference."""
        if champion.serves != champion.version:
            return True
        last = max(champion.reference)
        days = confirmed.get((key, champion.serves), [])
        return key in found.cut and sum(each > last and each in held for each in days) < most

    again = [key for key, champion in champions.items() if lacks(key, champion)]
    return {**confirmed, **confirmed_days(ledger, backbone, day, again)}


def _confirmed(served_days: Iterable[ServedDay]) -> Confirmed:
    found: dict[tuple[str, int], list[date]] = defaultdict(list)
    for served in served_days:
        days = found[(served.domain_key, served.champion_version)]
        # Nothing to judge by, whatever was asked for on such a day.
        blind = served.rule == NO_HISTORY or (served.rule in DUE and served.score is None)
        first = blind and len(days) < MIN_SETTLED
        if served.state in (State.STABLE, State.NEW) or first:
            days.append(served.day)
    return found


def settled_days(config: Config, champion: Champion, reference: Sequence[date]) -> list[date]:
    """The reference days but those on which the lake's counters were young and growing."""
    if champion.serves != BASE:
        return list(reference)
    grown = config.reference.first + timedelta(days=config.features.counters.half_life_days)
    least = max(MIN_SETTLED, -(-len(reference) // 2))
    return [
        day
        for place, day in enumerate(reference)
        if day >= grown or place >= len(reference) - least
    ]


def served_by(
    ledger: Ledger, key: str, champion: Champion, backbone: str, base_until: TrainedUntil
) -> Served:
    """Who serves a domain, and from when on rows had no part in its training.

    ``base_until``: of the backbone, for champions that are the base itself.
    """
    if champion.serves == BASE or champion.folder is None:
        return Served(backbone[:16], base_until.of(key))
    return Served(f"{backbone[:16]} {champion.folder.name}", _gate_begins(ledger, key, champion))


def _gate_begins(ledger: Ledger, key: str, champion: Champion) -> int:
    """From when on (microseconds since 1970) rows had no part in training an adapter."""
    decision = decision_behind(ledger, key, champion.serves)
    if decision is not None:
        split = None if decision.training is None else decision.training.split
        if split is not None and split.gate is not None and split.gate.first:
            return _microseconds(split.gate.first)
    # Without that record none of its days, in whatever zone, counts as unseen.
    return _microseconds((max(champion.reference) + timedelta(days=2)).isoformat())


def _microseconds(moment: str) -> int:
    return int(np.datetime64(moment, "us").astype(np.int64))
