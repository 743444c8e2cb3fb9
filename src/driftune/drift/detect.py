"""Detect: the day's drift decisions of all domains, written to the ledger once."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from driftune.config import Config
from driftune.config.drift import Drift
from driftune.drift.measure import Measured
from driftune.drift.policy import Judgement, Past, decide
from driftune.drift.rules import DUE, NEW_BACKBONE
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import Verdict, judge_readings
from driftune.drift.windows import DomainWindow
from driftune.registry.checks import taken_back_between
from driftune.registry.ledger import Ledger
from driftune.registry.past import (
    asked_by,
    challengers_wait_for,
    decisions_between,
    last_finetunes,
    made_for_others,
    switched_by_hand,
)
from driftune.registry.records import Decision, Scores, State
from driftune.registry.records.scores import SignalFacts, SignalScore, WindowCounts


def decide_day(
    config: Config, ledger: Ledger, windows: Sequence[DomainWindow], measured: Sequence[Measured]
) -> list[str]:
    """Judge the measured domains of a day together and write their decisions; returns the ids.

    A decision that is already in the ledger stays as it is.
    """
    of_key = {window.key: window for window in windows}
    usable = [each for each in measured if each.problem is None]
    verdicts = judge_domains(usable)
    judgements = decide(
        config.drift,
        verdicts,
        {each.key: each.told for each in usable},
        _past(config, ledger, [of_key[each.key] for each in usable]),
    )
    asked = "review" if config.review == "first" else "pending"
    found = []
    for each in measured:
        window = of_key[each.key]
        judgement = judgements.get(each.key) or Judgement(
            "insufficient", "too little data", None, each.problem or ""
        )
        row, _ = ledger.decide(
            id=window.decision_id,
            domain=window.domain,
            domain_key=window.key,
            day=window.day.isoformat(),
            revision=window.revision,
            backbone=window.backbone,
            state=asked if judgement.state == "drifted" else judgement.state,
            score=judgement.score,
            scores=_scores(window, each, verdicts.get(each.key, {}), judgement),
            sentence=judgement.sentence,
            data_version=window.data_version,
            champion_version=window.champion,
        )
        found.append(row.id)
    return found


def judge_domains(measured: Sequence[Measured]) -> dict[str, dict[str, Verdict]]:
    """The verdicts by domain key and signal; a signal that cannot be judged is left out."""
    found: dict[str, dict[str, Verdict]] = {each.key: {} for each in measured}
    for signal in SIGNALS:
        judged = judge_readings([each.readings.get(signal) for each in measured])
        for each, verdict in zip(measured, judged, strict=True):
            if verdict is not None:
                found[each.key][signal] = verdict
    return found


def _past(config: Config, ledger: Ledger, windows: Sequence[DomainWindow]) -> dict[str, Past]:
    """What the ledger knows of the domains' days before."""
    if not windows:
        return {}
    day, backbone, policy = windows[0].day, windows[0].backbone, config.drift
    span = max(policy.confirm.of - 1, *policy.follow_up_days, 0)
    # A challenger that waited became champion on a later day than its decision's.
    reach = max(span, policy.cooldown_days + config.gate.looks)
    rows = decisions_between(ledger, day - timedelta(days=reach), day)
    before = {(row.domain_key, date.fromisoformat(row.day)): row for row in rows}
    cooldown = day - timedelta(days=policy.cooldown_days)
    switched = taken_back_between(ledger, cooldown, day) | switched_by_hand(ledger, cooldown, day)
    ages = _ages(policy, ledger, day, backbone)
    waiting = challengers_wait_for(ledger, backbone, day)
    outdated = _outdated(ledger, backbone, day)
    found = {}
    for window in windows:
        p_values: list[dict[str, float]] = []
        for back in range(1, span + 1):
            row = before.get((window.key, day - timedelta(days=back)))
            if row is None:
                p_values.append({})
                continue
            same = (row.backbone, row.champion_version) == (window.backbone, window.champion)
            p_values.append(row.scores.p_values() if same else {})
        own = [row for (key, _), row in before.items() if key == window.key]
        origin = _follow_up(policy, window, own)
        found[window.key] = Past(
            p_values,
            _cooling(policy, day, own) or window.key in switched,
            None if origin is None else date.fromisoformat(origin.day),
            0 if origin is None else _days_since(origin, day),
            ages.get(window.key),
            waiting.get(window.key),
            outdated.get(window.key),
        )
    return found


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
    known = asked_by(ledger, NEW_BACKBONE, backbone, day)
    return {key: version for key, version in found.items() if key not in known}


def _ages(policy: Drift, ledger: Ledger, day: date, backbone: str) -> dict[str, int]:
    """Days since the last fine-tune, of domains (keys) for which they are too many.

    One that was declined counts: nobody is asked again each day. Since the first decision where
    there was none; those come due one after another.
    """
    if policy.max_age_days is None:
        return {}
    found = {}
    for key, first, tried in last_finetunes(ledger, backbone, day):
        age = (day - (tried or first)).days
        wait = 0 if tried else zlib.crc32(key.encode()) % policy.max_age_days
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


def _scores(
    window: DomainWindow,
    measured: Measured,
    verdicts: Mapping[str, Verdict],
    judgement: Judgement,
) -> Scores:
    """What the ledger keeps of a decision besides its sentence."""
    counts = WindowCounts(**measured.counts)
    reference, settled = tuple(window.reference), tuple(window.settled)
    kept = Scores(rule=judgement.rule, counts=counts, reference=reference, settled=settled)
    if measured.problem is None:
        kept = Scores(
            rule=judgement.rule,
            counts=counts,
            reference=reference,
            settled=settled,
            matched=measured.matched,
            moved=tuple(judgement.moved),
            limits=judgement.limits,
            signals={
                signal: _score(measured.distances.get(signal), verdicts.get(signal))
                for signal in SIGNALS
            },
            facts={
                signal: SignalFacts.model_validate(facts) for signal, facts in measured.told.items()
            },
        )
    if judgement.shifted is None:
        return kept
    return kept.model_copy(update={"since": window.day - timedelta(days=judgement.shifted)})


def _score(distance: float | None, verdict: Verdict | None) -> SignalScore:
    if verdict is None:
        return SignalScore(distance=distance, p=None)
    return SignalScore(
        distance=distance,
        p=verdict.p,
        square=verdict.square,
        usual=verdict.usual,
        effect=verdict.effect,
    )
