"""Policy: from the day's readings of all domains to one decision each, and the rule that made it.

Signals of the champion's performance decide; what was shown and clicked is told beside them. Over
domains and deciding signals the share of false alarms is held by Y. Benjamini and Y. Hochberg's
procedure (Journal of the Royal Statistical Society B 57, 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import log
from typing import Any, Literal

import numpy as np

from driftune.config.drift import Drift
from driftune.drift.rules import AGE, FOLLOW_UP, NEW_BACKBONE, NO_HISTORY, WAITS
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import Verdict
from driftune.drift.words import say

State = Literal["drifted", "watched", "stable", "insufficient"]
# Signals that a sentence names; the page shows all.
SAID = 4
_LEAST = 1e-300


@dataclass(frozen=True)
class Past:
    """A domain under its champion before the day: p-values of deciding signals on the days just
    before, newest first, and whether its champion changed within the cool-down.

    ``follow_up``: the day, if any, whose drift brought the champion that is to be fine-tuned again
    now that there are more rows since, and ``shifted`` how many days ago that drift began; ``age``:
    days since its last fine-tune, if too many; ``waits_for``: what a challenger of the domain waits
    for, "data" or "certainty", if one does; ``outdated``: the version, if any, that no longer
    serves as the backbone is a new one.
    """

    p_values: Sequence[Mapping[str, float]] = ()
    cooling: bool = False
    follow_up: date | None = None
    shifted: int = 0
    age: int | None = None
    waits_for: str | None = None
    outdated: int | None = None


@dataclass(frozen=True)
class Judgement:
    """``score``: the strongest evidence of a deciding signal, 1 is what triggers on that day.

    ``moved``: all signals that moved, deciding ones first; ``limits``: the p-values from which on
    deciding signals and the others count as moved; ``shifted``: how many days ago the drift began,
    None where there is none.
    """

    state: State
    rule: str
    score: float | None
    sentence: str
    moved: Sequence[str] = ()
    limits: tuple[float, float] | None = None
    shifted: int | None = None


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
    told: Mapping[str, Mapping[str, Any]],
    past: Mapping[str, Past],
) -> dict[str, Judgement]:
    """Decide for the domains (keys) of a day together.

    ``verdicts``: of the signals that could be judged; ``told``: their ``facts``, for the words.
    """
    deciding = [
        verdict.p
        for found in verdicts.values()
        for signal, verdict in found.items()
        if signal in policy.triggers
    ]
    others = [
        verdict.p
        for found in verdicts.values()
        for signal, verdict in found.items()
        if signal not in policy.triggers
    ]
    limits = (min(policy.alpha, critical(deciding, policy.fdr)), critical(others, policy.fdr))
    judged = {
        key: _decide(policy, found, told[key], past.get(key, Past()), *limits)
        for key, found in verdicts.items()
    }
    return {key: _due(judgement, past.get(key, Past())) for key, judgement in judged.items()}


def _due(judgement: Judgement, past: Past) -> Judgement:
    """What is due without evidence of the day: an adapter for a new backbone, a follow-up, or a
    first or next fine-tune by age.
    """
    # What cannot be judged for want of rows would fare no better made anew a day later.
    if judgement.state == "drifted" or past.waits_for == "data":
        return judgement
    if past.outdated is not None:
        rule, text = NEW_BACKBONE, f"Version {past.outdated} was made for another backbone"
    elif past.follow_up is not None:
        rule, text = FOLLOW_UP, f"Follow-up of the drift on {past.follow_up:%-d %B}"
        judgement = replace(judgement, shifted=past.shifted)
    elif past.age is not None:
        rule, text = AGE, f"Not fine-tuned for {past.age} days"
    else:
        return judgement
    return replace(judgement, state="drifted", rule=rule, sentence=f"{text}. {judgement.sentence}")


def _decide(
    policy: Drift,
    verdicts: Mapping[str, Verdict],
    told: Mapping[str, Any],
    past: Past,
    limit: float,
    shown_limit: float,
) -> Judgement:
    deciding = {signal: verdicts[signal] for signal in policy.triggers if signal in verdicts}
    if not deciding:
        names = " and ".join(SIGNALS[signal].label for signal in policy.triggers)
        text = f"Too little history to judge {names}."
        return Judgement("insufficient", NO_HISTORY, None, text)
    seen = sorted(
        (
            signal
            for signal, verdict in verdicts.items()
            if signal not in deciding
            and verdict.p <= shown_limit
            and verdict.effect >= SIGNALS[signal].threshold(policy.min_effect)
        ),
        key=lambda signal: verdicts[signal].p,
    )
    strong = [signal for signal, verdict in deciding.items() if verdict.p <= limit]
    again = {signal: _days(policy, signal, verdict, past) for signal, verdict in deciding.items()}
    lasting = [signal for signal, days in again.items() if days >= policy.confirm.days]
    waiting = [signal for signal, days in again.items() if days]
    evidence = [signal for signal in deciding if signal in strong or signal in lasting]
    large = [s for s in evidence if deciding[s].effect >= SIGNALS[s].threshold(policy.min_effect)]
    score = max(_relative(verdict.p, limit) for verdict in deciding.values())
    signals = [*(large or evidence or waiting), *seen]
    words = [say(signal, told) for signal in signals[:SAID]]
    if len(signals) > SAID:
        words.append(f"and {len(signals) - SAID} more")

    def judged(
        state: State, rule: str, start: str, value: float, first: Sequence[str]
    ) -> Judgement:
        text = f"{start}: {'; '.join(words)}." if words else f"{start}."
        return Judgement(state, rule, value, text, (*first, *seen), (limit, shown_limit))

    if large and past.cooling:
        text = "Drifted, but the champion has just changed"
        return judged("watched", "cool-down", text, score, large)
    gives_way = past.waits_for == "certainty" and set(large) & set(strong)
    if large and past.waits_for and not gives_way:
        text = "Drifted, but a challenger waits to be judged"
        return judged("watched", WAITS, text, score, large)
    if large:
        rule = "strong evidence" if set(large) & set(strong) else "evidence on several days"
        days = max(again[signal] for signal in large)
        start = "Drifted" if rule == "strong evidence" else f"Drifted on {days} days"
        drifted = judged("drifted", rule, start, max(score, 1.0), large)
        return replace(drifted, shifted=_began(policy, large, past))
    # Only what triggers may reach the colours of drift.
    score = min(score, 0.99)
    if evidence:
        return judged("stable", "below the minimum effect", "Too small to matter", score, evidence)
    if waiting:
        wanted = f"{policy.confirm.days} of {policy.confirm.of} days"
        return judged("watched", "waits for another day", f"Watched until {wanted}", score, waiting)
    if seen:
        text = "The champion is not hurt by what moved"
        return judged("stable", "champion not hurt", text, score, ())
    return judged("stable", "no evidence", "Nothing moved beyond the usual", score, ())


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
