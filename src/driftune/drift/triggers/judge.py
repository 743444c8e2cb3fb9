"""Judge: what measured values come to, beside what the calibrated signals say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log
from typing import Literal, NamedTuple

from driftune.config.triggers import Trigger
from driftune.drift.judgement import Judgement, Past
from driftune.drift.rules import WAITS
from driftune.registry.records import State
from driftune.registry.records.scores import TriggerScore

# The largest score of a value beyond its threshold, and the smallest p-value that one is made of.
_MOST, _LEAST = 99.0, 1e-300


class Reading(NamedTuple):
    """A trigger that watches a domain, and what Evidently measured; None where it could not."""

    entry: Trigger
    value: float | None


Readings = Mapping[str, Sequence[Reading]]


def evidence(readings: Sequence[Reading]) -> list[float]:
    """The p-values among what was measured for triggers that adapt: they count with those of the
    deciding signals, over all domains, when evidence is told from chance.
    """
    return [
        reading.value
        for reading in readings
        if reading.entry.action == "adapt" and reading.entry.p is not None
        if reading.value is not None
    ]


def judged_readings(
    readings: Sequence[Reading], past: Past, bound: float
) -> tuple[TriggerScore, ...]:
    """What each trigger came to; ``bound``: the p-value up to which evidence counts on the day."""
    return tuple(_judged(reading, past, bound) for reading in readings)


def _judged(reading: Reading, past: Past, bound: float) -> TriggerScore:
    entry, value = reading
    beyond = entry.is_beyond(value)
    row = int(beyond)
    for before in past.values if beyond else ():
        if not entry.is_beyond(before.get(entry.measure)):
            break
        row += 1
    held = entry.p is not None and entry.action == "adapt" and (value is None or value > bound)
    score = TriggerScore(
        of=entry.measure.of,
        what=entry.what,
        method=entry.measure.method,
        value=value,
        beyond=beyond,
        row=row,
        days=entry.days,
        fired=beyond and row >= entry.days and not held,
        action=entry.action,
    )
    if entry.p is None:
        return score.model_copy(update={"above": entry.above})
    limit = {"bound": bound} if entry.action == "adapt" else {}
    return score.model_copy(update={"p": entry.p, **limit})


def with_triggers(judgement: Judgement, scores: Sequence[TriggerScore], past: Past) -> Judgement:
    """The judgement by the signals, with what the measured triggers add to it.

    One that adapts is held up by a cool-down and by a challenger that waits, as a signal is; none
    adapts, or has a domain watched, where there is too little to judge.
    """
    fired = {
        action: [score for score in scores if score.fired and score.action == action]
        for action in ("adapt", "watch", "alert")
    }
    soon = [
        score
        for score in scores
        if score.beyond and score.action == "adapt" and score.row < score.days
    ]
    found = replace(judgement, triggers=tuple(scores))
    if judgement.state in (State.STABLE, State.WATCHED, "drifted"):
        if fired["adapt"]:
            found = _adapting(found, fired["adapt"], past)
        elif soon:
            days = max(score.days for score in soon)
            text = f"Watched until {days} days in a row"
            found = _watched(found, "waits for another day", text, soon)
        if fired["watch"]:
            found = _watched(found, fired["watch"][0].name, "Watched", fired["watch"])
    if fired["alert"]:
        words = _words(fired["alert"])
        found = replace(found, sentence=f"{found.sentence} Alert: {words}.", alert=words)
    return found


def _adapting(judgement: Judgement, fired: Sequence[TriggerScore], past: Past) -> Judgement:
    score = max(judgement.score or 0.0, 1.0, *(_score(each) for each in fired))
    if judgement.state == "drifted":
        return _also(replace(judgement, score=score), fired)
    if past.cooling:
        text = "Drifted, but the champion has just changed"
        return _ended(judgement, State.WATCHED, "cool-down", text, fired, score)
    if past.waits_for:
        text = "Drifted, but a challenger waits to be judged"
        return _ended(judgement, State.WATCHED, WAITS, text, fired, score)
    found = _ended(judgement, "drifted", fired[0].name, "Drifted", fired, score)
    return replace(found, shifted=max(each.row for each in fired) - 1)


def _watched(
    judgement: Judgement, rule: str, start: str, fired: Sequence[TriggerScore]
) -> Judgement:
    """Watched where nothing else was found; what was found already stays, and this is told."""
    if judgement.state != State.STABLE:
        return _also(judgement, fired)
    return _ended(judgement, State.WATCHED, rule, start, fired, judgement.score or 0.0)


def _ended(
    judgement: Judgement,
    state: State | Literal["drifted"],
    rule: str,
    start: str,
    fired: Sequence[TriggerScore],
    score: float,
) -> Judgement:
    signals = judgement.sentence
    if signals:
        signals = f" By the signals: {signals[:1].lower()}{signals[1:]}"
    text = f"{start}: {_words(fired)}.{signals}"
    return replace(judgement, state=state, rule=rule, sentence=text, score=score)


def _also(judgement: Judgement, fired: Sequence[TriggerScore]) -> Judgement:
    return replace(judgement, sentence=f"{judgement.sentence} Beyond a threshold: {_words(fired)}.")


def _words(scores: Sequence[TriggerScore]) -> str:
    return "; ".join(score.words for score in scores)


def _score(score: TriggerScore) -> float:
    """How far beyond its threshold a value is, as a ratio of distances, or of p-values' logarithms;
    1 is the threshold.
    """
    if score.value is None:
        return 0.0
    if score.p is not None:
        return min(_MOST, log(max(score.value, _LEAST)) / log(score.p))
    return min(_MOST, score.value / score.above) if score.above else _MOST
