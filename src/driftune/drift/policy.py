"""Policy: the day's evidence of all domains becomes one decision a domain, with its rule.

Signals of the champion's performance decide; what else moved is named in the sentence. Over
domains and deciding signals the share of false alarms is limited by Y. Benjamini and Y. Hochberg's
procedure (Journal of the Royal Statistical Society B 57, 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Literal

import numpy as np

from driftune.config.drift import Drift
from driftune.drift.judgement import Judgement as Judgement
from driftune.drift.judgement import Past as Past
from driftune.drift.rules import AGE, FOLLOW_UP, NEW_BACKBONE, NO_HISTORY, WAITS
from driftune.drift.signals import SIGNALS, Facts
from driftune.drift.triggers.judge import Reading, evidence, judged_readings, with_triggers
from driftune.drift.variation import Verdict
from driftune.drift.words import say
from driftune.registry.records import State

# Signals that a sentence names; the page shows all.
SAID = 4
_LEAST = 1e-300


def critical(p_values: Sequence[float], fdr: float) -> float:
    """The largest p-value that counts as evidence: Benjamini and Hochberg's step-up bound."""
    if not len(p_values):
        return 0.0
    ranked = np.sort(np.asarray(p_values, dtype=float))
    bounds = fdr * np.arange(1, len(ranked) + 1) / len(ranked)
    passed = np.flatnonzero(ranked <= bounds)
    return float(bounds[passed[-1]] if len(passed) else bounds[0])


def decide(
    policy: Drift,
    verdicts: Mapping[str, Mapping[str, Verdict]],
    facts: Mapping[str, Mapping[str, Facts]],
    past: Mapping[str, Past],
    readings: Mapping[str, Sequence[Reading]] | None = None,
) -> dict[str, Judgement]:
    """Decide for the domains (keys) of a day together.

    ``verdicts``: of the signals that could be judged; ``facts``: what moved, for the sentence;
    ``readings``: what Evidently measured for the configured triggers.
    """
    readings = readings or {}
    deciding = [
        verdict.p
        for own in verdicts.values()
        for signal, verdict in own.items()
        if signal in policy.deciding
    ]
    deciding += evidence([each for key in verdicts for each in readings.get(key, ())])
    others = [
        verdict.p
        for own in verdicts.values()
        for signal, verdict in own.items()
        if signal not in policy.deciding
    ]
    bound = critical(deciding, policy.fdr)
    limits = (min(policy.alpha, bound), critical(others, policy.fdr))
    judged = {}
    for key, own in verdicts.items():
        before = past.get(key, Past())
        judgement = _decide(policy, own, facts[key], before, limits)
        if key in readings:
            found = judged_readings(readings[key], before, bound)
            judgement = with_triggers(judgement, found, before)
        judged[key] = _due(judgement, before)
    return judged


def _due(judgement: Judgement, past: Past) -> Judgement:
    """What is due without evidence of the day: an adapter for a new backbone, a follow-up, or a
    first or next fine-tune by age.
    """
    # A challenger that lacks rows to be judged would lack them still if it were trained again.
    if judgement.state == "drifted" or past.waits_for == "data":
        return judgement
    if past.outdated is not None:
        rule, text = NEW_BACKBONE, f"Version {past.outdated} was made for another backbone"
    elif past.follow_up is not None:
        rule, text = FOLLOW_UP, f"Follow-up of the drift on {past.follow_up:%-d %B}"
        judgement = replace(judgement, shifted=past.shifted)
    elif past.age is not None:
        rule, text = AGE, f"Not fine-tuned for {past.age} day{'' if past.age == 1 else 's'}"
    else:
        return judgement
    return replace(judgement, state="drifted", rule=rule, sentence=f"{text}. {judgement.sentence}")


@dataclass(frozen=True)
class _Evidence:
    """A domain's evidence on a day; all but ``days`` and ``score`` are names of signals.

    ``strong``: deciding ones beyond the day's limit; ``counted``: those, and the ones seen on
    enough days; ``large``: of these, the ones that reach the minimum effect; ``waiting``: seen, on
    however many days; ``others``: that moved and do not decide. ``days``: of each deciding signal.
    """

    strong: Sequence[str]
    counted: Sequence[str]
    large: Sequence[str]
    waiting: Sequence[str]
    others: Sequence[str]
    days: Mapping[str, int]
    score: float

    @property
    def is_strong(self) -> bool:
        """Whether a signal is both beyond the limit and large enough."""
        return bool(set(self.large) & set(self.strong))


def _evidence(
    policy: Drift,
    verdicts: Mapping[str, Verdict],
    deciding: Mapping[str, Verdict],
    past: Past,
    limits: tuple[float, float],
) -> _Evidence:
    limit, others_limit = limits

    def is_large(signal: str) -> bool:
        return verdicts[signal].effect >= SIGNALS[signal].threshold(policy.min_effect)

    others = [
        signal
        for signal, verdict in verdicts.items()
        if signal not in deciding and verdict.p <= others_limit and is_large(signal)
    ]
    strong = [signal for signal, verdict in deciding.items() if verdict.p <= limit]
    days = {signal: _days(policy, signal, verdict, past) for signal, verdict in deciding.items()}
    lasting = [signal for signal, number in days.items() if number >= policy.confirm.days]
    counted = [signal for signal in deciding if signal in strong or signal in lasting]
    return _Evidence(
        strong=strong,
        counted=counted,
        large=[signal for signal in counted if is_large(signal)],
        waiting=[signal for signal, number in days.items() if number],
        others=sorted(others, key=lambda signal: verdicts[signal].p),
        days=days,
        score=max(_relative(verdict.p, limit) for verdict in deciding.values()),
    )


def _decide(
    policy: Drift,
    verdicts: Mapping[str, Verdict],
    facts: Mapping[str, Facts],
    past: Past,
    limits: tuple[float, float],
) -> Judgement:
    deciding: dict[str, Verdict] = {
        signal: verdicts[signal] for signal in policy.deciding if signal in verdicts
    }
    if not policy.deciding:
        text = "No threshold is passed that triggers."
        return Judgement(State.STABLE, "no evidence", 0.0, text)
    if not deciding:
        names = " and ".join(SIGNALS[signal].label for signal in policy.deciding)
        text = (
            f"Too little history to judge {names}: days are compared with each other; this one "
            "counts from now on."
        )
        return Judgement(State.INSUFFICIENT, NO_HISTORY, None, text)
    seen = _evidence(policy, verdicts, deciding, past, limits)
    words = _words([*(seen.large or seen.counted or seen.waiting), *seen.others], facts)

    def judged(
        state: State | Literal["drifted"], rule: str, start: str, score: float, moved: Sequence[str]
    ) -> Judgement:
        text = f"{start}: {words}." if words else f"{start}."
        return Judgement(state, rule, score, text, (*moved, *seen.others), limits)

    if seen.large:
        score = seen.score
        if past.cooling:
            text = "Drifted, but the champion has just changed"
            return judged(State.WATCHED, "cool-down", text, score, seen.large)
        if past.waits_for and not (past.waits_for == "certainty" and seen.is_strong):
            text = "Drifted, but a challenger waits to be judged"
            return judged(State.WATCHED, WAITS, text, score, seen.large)
        days = max(seen.days[signal] for signal in seen.large)
        rule = "strong evidence" if seen.is_strong else "evidence on several days"
        start = "Drifted" if seen.is_strong else f"Drifted on {days} days"
        drifted = judged("drifted", rule, start, max(score, 1.0), seen.large)
        return replace(drifted, shifted=_began(policy, seen.large, past))
    # Only what triggers may reach the colours of drift.
    score = min(seen.score, 0.99)
    if seen.counted:
        rule, text = "below the minimum effect", "Too small to matter"
        return judged(State.STABLE, rule, text, score, seen.counted)
    if seen.waiting:
        text = f"Watched until {policy.confirm.days} of {policy.confirm.of} days"
        return judged(State.WATCHED, "waits for another day", text, score, seen.waiting)
    if seen.others:
        text = "The champion is not hurt by what moved"
        return judged(State.STABLE, "champion not hurt", text, score, ())
    return judged(State.STABLE, "no evidence", "Nothing moved beyond the usual", score, ())


def _words(signals: Sequence[str], facts: Mapping[str, Facts]) -> str:
    """What moved, the first signals in words and the rest as a number."""
    words = [say(signal, facts) for signal in signals[:SAID]]
    if len(signals) > SAID:
        words.append(f"and {len(signals) - SAID} more")
    return "; ".join(words)


def _days(policy: Drift, signal: str, verdict: Verdict, past: Past) -> int:
    """Of the last days, those on which the signal moved; none unless it did today."""
    if verdict.p > policy.confirm.p:
        return 0
    before = past.p_values[: policy.confirm.of - 1]
    return 1 + sum(day.get(signal, 1.0) <= policy.confirm.p for day in before)


def _began(policy: Drift, signals: Sequence[str], past: Past) -> int:
    """How many days ago the signals began to move, days between that did not show it included."""
    began = 0
    for back, day in enumerate(past.p_values, start=1):
        if any(day.get(signal, 1.0) <= policy.confirm.p for signal in signals):
            began = back
        elif back - began >= policy.confirm.of - 1:
            break
    return began


def _relative(p: float, limit: float) -> float:
    """Evidence on a scale of logarithms: 0 none, 1 the limit."""
    return log(max(p, _LEAST)) / log(limit) if 0 < limit < 1 else 0.0
