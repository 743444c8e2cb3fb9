"""Detect: the day's drift decisions of all domains, written to the ledger once."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from driftune.config import Config
from driftune.config.marks import decision_marks, known_marks
from driftune.drift.before import days_before, past_of
from driftune.drift.measure import Measured
from driftune.drift.policy import Judgement, Past, decide
from driftune.drift.problem import Problem, fault
from driftune.drift.signals import SIGNALS
from driftune.drift.triggers.judge import Readings, judged_readings, with_triggers
from driftune.drift.triggers.measure import measure_triggers
from driftune.drift.variation import Verdict, judge_readings
from driftune.drift.windows import DomainWindow
from driftune.registry.deciding import decide_many
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores, State
from driftune.registry.records.decision import NewDecision
from driftune.registry.records.scores import SignalFacts, SignalScore, TriggerScore, WindowCounts
from driftune.registry.redeciding import AskedBy, replace_decision

log = logging.getLogger("driftune")

Verdicts = dict[str, dict[str, Verdict]]


def decide_day(
    config: Config,
    ledger: Ledger,
    windows: Sequence[DomainWindow],
    measured: Sequence[Measured],
    again: AskedBy | None = None,
) -> list[str]:
    """Judge the measured domains of a day together and write their decisions; returns the ids.

    A decision that is already in the ledger stays as it is, unless it ended in an error. What
    fails for a domain alone is its decision: an error. A window that ``replaces`` a decision
    takes its place, unless a run has begun to adapt for that one meanwhile, or the new one ends in
    an error: what stands is better than that. ``again``: for whom.
    """
    of_key = {window.key: window for window in windows}
    triggered = measure_triggers(config, windows, measured)
    problems = {each.key: each.problem for each in measured if each.problem is not None}
    problems |= triggered.problems
    verdicts, judgements = _judge(config, ledger, of_key, measured, problems, triggered.readings)
    asked = "review" if config.review == "first" else "pending"
    marks, known = decision_marks(config), known_marks(config)
    found: list[str] = []
    made: list[NewDecision] = []
    for each in measured:
        window = of_key[each.key]
        judgement, scores = _told(window, each, verdicts, judgements, problems)
        values: NewDecision = {
            "id": window.decision_id,
            "domain": window.domain,
            "domain_key": window.key,
            "day": window.day.isoformat(),
            "revision": window.revision,
            "backbone": window.backbone,
            "state": asked if judgement.state == "drifted" else judgement.state.value,
            "score": judgement.score,
            "scores": scores.model_copy(update={"settings": marks}),
            "sentence": judgement.sentence,
            "data_version": window.data_version,
            "champion_version": window.champion,
        }
        if window.replaces is None or again is None:
            made.append(values)
            found.append(values["id"])
        elif values["state"] == State.ERROR:
            log.warning("%s stays as it is: %s", window.replaces, judgement.sentence)
            found.append(window.replaces)
        else:
            found.append(replace_decision(ledger, window.replaces, again, values, known).id)
    decide_many(ledger, made)
    return found


def judge_domains(measured: Sequence[Measured]) -> Verdicts:
    """The verdicts by domain key and signal; a signal that cannot be judged is left out."""
    found: Verdicts = {each.key: {} for each in measured}
    for signal in SIGNALS:
        judged = judge_readings([each.readings.get(signal) for each in measured])
        for each, verdict in zip(measured, judged, strict=True):
            if verdict is not None:
                found[each.key][signal] = verdict
    return found


def _judge(
    config: Config,
    ledger: Ledger,
    windows: Mapping[str, DomainWindow],
    measured: Sequence[Measured],
    problems: dict[str, Problem],
    readings: Readings,
) -> tuple[Verdicts, dict[str, Judgement]]:
    """Verdicts of the domains without problems, and judgements of them and of those that are
    watched all the same; a domain that fails gets a problem.

    ``readings``: what Evidently measured for configured triggers.
    """
    usable = [each for each in measured if each.key not in problems]
    watched = [key for key in readings if key in problems and problems[key].state != State.ERROR]
    before = days_before(config, ledger, [windows[key] for key in _keys(usable, watched)])
    past: dict[str, Past] = {}

    def judged(chosen: Sequence[Measured]) -> tuple[Verdicts, dict[str, Judgement]]:
        verdicts = judge_domains(chosen)
        facts = {each.key: each.told for each in chosen}
        judgements = decide(config.drift, verdicts, facts, past, readings)
        for key in watched:
            if key in past:
                found = judged_readings(readings[key], past[key], 0.0)
                judgements[key] = with_triggers(problems[key].judgement, found, past[key])
        return verdicts, judgements

    for key in _keys(usable, watched):
        try:
            past[key] = past_of(config, before, windows[key])
        except Exception as error:
            what = "its days before cannot be read"
            problems[key] = fault(windows[key].domain, what, error)
    usable = [each for each in usable if each.key in past]
    try:
        return judged(usable)
    except Exception:
        # Judged alone, who fails is found; the others are judged together all the same.
        for each in usable:
            try:
                judged([each])
            except Exception as error:
                what = "its drift cannot be judged"
                problems[each.key] = fault(windows[each.key].domain, what, error)
        return judged([each for each in usable if each.key not in problems])


def _keys(measured: Sequence[Measured], others: Sequence[str]) -> list[str]:
    return [*(each.key for each in measured), *others]


def _told(
    window: DomainWindow,
    measured: Measured,
    verdicts: Verdicts,
    judgements: Mapping[str, Judgement],
    problems: Mapping[str, Problem],
) -> tuple[Judgement, Scores]:
    """A domain's judgement, and what the ledger keeps of it besides."""
    key, problem = measured.key, problems.get(measured.key)
    if problem is None:
        try:
            return judgements[key], _scores(window, measured, verdicts[key], judgements[key])
        except Exception as error:
            problem = fault(window.domain, "its figures cannot be kept", error)
    judgement = judgements.get(key)
    if judgement is None or problem.state == State.ERROR:
        judgement = problem.judgement
    return judgement, _with_triggers(_basis(window, measured, problem.rule), judgement)


def _basis(window: DomainWindow, measured: Measured, rule: str) -> Scores:
    """What the ledger keeps of a domain whether it was measured or not."""
    return Scores(
        rule=rule,
        counts=WindowCounts(**measured.counts),
        reference=tuple(window.reference),
        settled=tuple(window.settled),
    )


def _scores(
    window: DomainWindow,
    measured: Measured,
    verdicts: Mapping[str, Verdict],
    judgement: Judgement,
) -> Scores:
    """What the ledger keeps of a measured domain's decision besides its sentence."""
    signals = {
        signal: _score(measured.distances.get(signal), verdicts.get(signal))
        for signal in measured.readings
    }
    facts = {signal: SignalFacts.model_validate(each) for signal, each in measured.told.items()}
    kept = _basis(window, measured, judgement.rule).model_copy(
        update={
            "matched": measured.matched,
            "moved": tuple(judgement.moved),
            "limits": judgement.limits,
            "signals": signals,
            "facts": facts,
        }
    )
    kept = _with_triggers(kept, judgement)
    if judgement.shifted is None:
        return kept
    return kept.model_copy(update={"since": window.day - timedelta(days=judgement.shifted)})


def _with_triggers(kept: Scores, judgement: Judgement) -> Scores:
    """With what Evidently measured for configured triggers, where there are such."""
    found: dict[str, tuple[TriggerScore, ...] | str] = {}
    if judgement.triggers:
        found["triggers"] = tuple(judgement.triggers)
    if judgement.alert is not None:
        found["alert"] = judgement.alert
    return kept.model_copy(update=found)


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
