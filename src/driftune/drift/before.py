"""Before: what the ledger knows of the domains' days before the one that is decided."""

import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from driftune.config import Config
from driftune.config.drift import Drift
from driftune.drift.judgement import Past
from driftune.drift.rules import DUE, NEW_BACKBONE
from driftune.drift.windows import DomainWindow
from driftune.registry.checks import taken_back_between
from driftune.registry.ledger import Ledger
from driftune.registry.past import (
    asked_by,
    decisions_to_judge,
    last_finetunes,
    made_for_others,
    switched_by_hand,
    waiting_challengers,
)
from driftune.registry.records import Decision, Scores, State


@dataclass(frozen=True)
class Before:
    """What the ledger knows of all domains' days before one; by domain key but for ``switched``.

    ``rows``: decisions by day; ``switched``: keys whose champion was switched back or by hand
    within the cool-down; ``waiting``: decisions whose challenger waits.
    """

    span: int = 0
    rows: Mapping[str, Mapping[date, Decision]] = field(default_factory=dict)
    switched: Collection[str] = ()
    ages: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, Decision] = field(default_factory=dict)
    outdated: Mapping[str, int] = field(default_factory=dict)


def days_before(config: Config, ledger: Ledger, windows: Sequence[DomainWindow]) -> Before:
    """Read what the policy asks of the days before that of the windows."""
    if not windows:
        return Before()
    day, backbone, policy = windows[0].day, windows[0].backbone, config.drift
    span = max(policy.confirm.of - 1, *policy.follow_up_days, 0)
    # A challenger that waited became champion on a later day than its decision's.
    reach = max(span, policy.cooldown_days + config.gate.looks, _span(policy))
    since = day - timedelta(days=max(span, _span(policy)))
    rows: dict[str, dict[date, Decision]] = defaultdict(dict)
    for row in decisions_to_judge(ledger, day - timedelta(days=reach), since, day):
        rows[row.domain_key][date.fromisoformat(row.day)] = row
    cooldown = day - timedelta(days=policy.cooldown_days)
    return Before(
        span,
        rows,
        taken_back_between(ledger, cooldown, day) | switched_by_hand(ledger, cooldown, day),
        _ages(policy, ledger, day, backbone, [window.key for window in windows]),
        waiting_challengers(ledger, backbone, day),
        _outdated(ledger, backbone, day),
    )


def past_of(config: Config, before: Before, window: DomainWindow) -> Past:
    """What is known of a domain's days before.

    Raises:
        LedgerError: when the ledger's text of one of its decisions is damaged.
    """
    day, policy, key = window.day, config.drift, window.key
    rows = before.rows.get(key, {})
    served = (window.backbone, window.champion)

    def scores(back: int) -> Scores:
        """Those of so many days before, under the same champion."""
        row = rows.get(day - timedelta(days=back))
        same = row is not None and (row.backbone, row.champion_version) == served
        return row.scores if row is not None and same else Scores()

    p_values = [scores(back).p_values() for back in range(1, before.span + 1)]
    own = [rows[each] for each in sorted(rows)]
    origin = _follow_up(policy, window, own)
    challenger = before.waiting.get(key)
    gate = None if challenger is None else challenger.gate
    return Past(
        p_values,
        _cooling(policy, day, own) or key in before.switched,
        None if origin is None else date.fromisoformat(origin.day),
        0 if origin is None else _days_since(origin, day),
        before.ages.get(key),
        None if gate is None else gate.waits_for,
        before.outdated.get(key),
        [scores(back).values_measured() for back in range(1, _span(policy) + 1)],
    )


def _span(policy: Drift) -> int:
    """How many days before the policy's triggers look at what was measured."""
    return max((entry.days - 1 for entry in policy.measured), default=0)


def _cooling(policy: Drift, day: date, rows: Sequence[Decision]) -> bool:
    """Whether a champion was promoted within the cool-down; ``rows``: the domain's decisions."""
    promoted = [row for row in rows if row.state == State.PROMOTED]
    looks = [None if row.gate is None else row.gate.last_look for row in promoted]
    days = [
        date.fromisoformat(row.day) if look is None else look.day
        for row, look in zip(promoted, looks, strict=True)
    ]
    return policy.cooldown_days > 0 and any(
        (day - each).days <= policy.cooldown_days for each in days
    )


def _outdated(ledger: Ledger, backbone: str, day: date) -> dict[str, int]:
    """By domain key the champion's version that was made for another backbone than this one.

    Without domains that a day before has queued for this backbone.
    """
    found = made_for_others(ledger, backbone)
    if not found:
        return {}
    known = asked_by(ledger, NEW_BACKBONE, backbone, day, found)
    return {key: version for key, version in found.items() if key not in known}


def _ages(
    policy: Drift, ledger: Ledger, day: date, backbone: str, keys: Sequence[str]
) -> dict[str, int]:
    """Days since the last fine-tune, of domains (keys) for which they are too many.

    One that was declined counts: nobody is asked again each day. Since the first decision where
    there was none; those come due one after another. On its first day a domain is a day old.
    """
    if policy.max_age_days is None:
        return {}
    known = {row.domain_key: row for row in last_finetunes(ledger, backbone, day)}
    found = {}
    for key in keys:
        row = known.get(key)
        tried = None if row is None else row.tried
        since = day - timedelta(days=1) if row is None else tried or row.first
        wait = 0 if tried else zlib.crc32(key.encode()) % policy.max_age_days
        age = (day - since).days
        if age >= policy.max_age_days + wait:
            found[key] = age
    return found


def _follow_up(policy: Drift, window: DomainWindow, rows: Sequence[Decision]) -> Decision | None:
    """The decision whose drift is to be followed up now; ``rows``: the domain's, in order.

    None where something else serves by now than what they brought.
    """
    promoted = [row for row in rows if row.state == State.PROMOTED]
    found = [row for row in promoted if row.scores.rule not in DUE]
    if not found or promoted[-1].adapter_version != window.champion:
        return None
    passed = (window.day - date.fromisoformat(found[-1].day)).days
    return found[-1] if passed in policy.follow_up_days else None


def _days_since(decision: Decision, day: date) -> int:
    """Days since the drift began that a decision found."""
    return (day - (decision.scores.since or date.fromisoformat(decision.day))).days
