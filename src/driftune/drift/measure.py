"""Measure: domains' day against their references, every signal."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from driftune.config import Config
from driftune.drift.cells import LOGIT_LIMIT, LOGITS
from driftune.drift.compare import Windows
from driftune.drift.distances import distances
from driftune.drift.problem import Problem, fault
from driftune.drift.profiles import Profile
from driftune.drift.readings import Pairs, Reading
from driftune.drift.signals import Facts, signals_of
from driftune.drift.windows import DomainWindow, category_names, compared, profiles_of
from driftune.drift.words import facts
from driftune.errors import DriftuneError
from driftune.registry.records import State
from driftune.registry.records.states import word

log = logging.getLogger("driftune")
# Days of domains that are held in memory at once: 18 KB each.
MOST_PROFILES = 2_000


@dataclass(frozen=True)
class Measured:
    """What was measured of a domain; ``problem`` says why nothing was.

    ``matched``: what was clicked is compared with days of its weekday alone; ``told``: the
    ``facts`` of the signals.
    """

    key: str
    counts: Mapping[str, int]
    problem: Problem | None = None
    matched: bool = False
    readings: Mapping[str, Reading | None] = field(default_factory=dict)
    distances: Mapping[str, float | None] = field(default_factory=dict)
    told: Mapping[str, Facts] = field(default_factory=dict)


def measure_domain(config: Config, window: DomainWindow) -> Measured:
    """Measure one domain's signals."""
    names = category_names(config, window.day)
    prepared = _prepared(config, window, profiles_of(config, [window])[window.key])
    return prepared if isinstance(prepared, Measured) else _measure(config, names, [prepared])[0]


def measure_domains(config: Config, windows: Sequence[DomainWindow]) -> list[Measured]:
    """Measure some domains of a day together; none depends on the others.

    What fails for one alone is its problem and stops no other.

    Raises:
        DriftuneError: when the file of their windows is damaged.
    """
    if not windows:
        return []
    names = category_names(config, windows[0].day)
    held: dict[str, Mapping[date, Profile]] = {}
    try:
        held |= profiles_of(config, windows)
    except DriftuneError:
        raise
    except Exception:
        log.info("the windows of %d domains are read one by one", len(windows))
    found: dict[str, Measured] = {}
    ready: list[_Prepared] = []
    for window in windows:
        try:
            own = held.pop(window.key, None)
            if own is None:
                own = profiles_of(config, [window])[window.key]
            prepared = _prepared(config, window, own)
        except Exception as error:
            prepared = failed(window, error)
        if isinstance(prepared, Measured):
            found[window.key] = prepared
        else:
            ready.append(prepared)
    try:
        measured = _measure(config, names, ready)
    except Exception:
        # Measured alone, who fails is found.
        measured = [_measure_alone(config, names, each) for each in ready]
    found |= {each.key: each for each in measured}
    return [found[window.key] for window in windows]


@dataclass(frozen=True)
class _Prepared:
    """A domain that can be measured, with what was counted of it."""

    window: DomainWindow
    windows: Windows
    counts: Mapping[str, int]


def _prepared(
    config: Config, window: DomainWindow, held: Mapping[date, Profile]
) -> "_Prepared | Measured":
    """What is to be measured of a domain, or the problem that keeps it from being measured."""
    counts = {"hours": window.hours, "reference_days": 0, "rows": 0, "clicks": 0}
    if window.problem is not None:
        return Measured(window.key, counts, window.problem)
    if window.day not in held:
        return Measured(window.key, counts, Problem(State.ABSENT, "No impression on the day."))
    counts |= _counts(window, held)
    problem = _problem(config, counts) or _certain(held[window.day])
    if problem is not None:
        return Measured(window.key, counts, problem)
    return _Prepared(window, compared(config, window, held), counts)


def _measure(
    config: Config, names: Mapping[int, str], ready: Sequence[_Prepared]
) -> list[Measured]:
    """Measure domains together; ``names``: of the category cells."""
    many = [each.windows for each in ready]
    readings: list[dict[str, Reading | None]] = [{} for _ in ready]
    # What a log lacks it lacks for all its domains.
    for name, signal in signals_of(many[0].lacking if many else ()).items():
        for own, reading in zip(readings, signal.readings(many), strict=True):
            own[name] = reading
    found = distances(many, config.drift.sample_rows)
    return [
        Measured(
            key=each.window.key,
            counts=each.counts,
            matched=each.windows.is_matched(),
            readings={name: _measured(one, apart.get(name)) for name, one in own.items()},
            distances=apart,
            told=facts(each.windows, names),
        )
        for each, own, apart in zip(ready, readings, found, strict=True)
    ]


def _measure_alone(config: Config, names: Mapping[int, str], ready: _Prepared) -> Measured:
    try:
        return _measure(config, names, [ready])[0]
    except Exception as error:
        return failed(ready.window, error)


def failed(window: DomainWindow, error: BaseException) -> Measured:
    """What is left of a domain whose measurement an error has ended: that error."""
    problem = fault(window.domain, "its drift cannot be measured", error)
    counts = {"hours": window.hours, "reference_days": 0, "rows": 0, "clicks": 0}
    return Measured(window.key, counts, problem)


def measure_day(config: Config, windows: Sequence[DomainWindow]) -> list[Measured]:
    """Measure a day's domains, some at a time; what fails for one stops no other."""
    found: dict[str, Measured] = {}
    for some in batches(windows):
        try:
            measured = measure_domains(config, some)
        except Exception as error:
            measured = [failed(window, error) for window in some]
        found |= {each.key: each for each in measured}
    return [found[window.key] for window in windows]


def batches(windows: Sequence[DomainWindow]) -> list[list[DomainWindow]]:
    """Domains that are measured together: neighbours in their file, as many as memory has room for.

    Every domain is in one of them; which ones are together changes no figure.
    """
    found: list[list[DomainWindow]] = []
    profiles = MOST_PROFILES
    for window in sorted(windows, key=lambda each: each.key):
        profiles += 1 + len(window.reference)
        if profiles > MOST_PROFILES:
            found.append([])
            profiles = 1 + len(window.reference)
        found[-1].append(window)
    return found


def _measured(reading: Reading | None, distance: float | None) -> Reading | None:
    """The reading with the distance of whole rows, as Evidently measures it."""
    if reading is None or distance is None or not len(reading.today):
        return reading
    square = np.array([distance**2])
    return replace(reading, today=Pairs(square, reading.today.noise, reading.today.spread))


def _counts(window: DomainWindow, held: Mapping[date, Profile]) -> dict[str, int]:
    """Sizes of the day's window and of its reference, both with rows of the domain alone."""
    current = held[window.day]
    reference = [profile for day, profile in held.items() if day != window.day]
    return {
        "rows": current.rows,
        "clicks": current.clicks,
        "reference_days": len(reference),
        "reference_rows": sum(profile.rows for profile in reference),
        "reference_clicks": sum(profile.clicks for profile in reference),
    }


def _problem(config: Config, counts: Mapping[str, int]) -> Problem | None:
    """Why a domain cannot be measured; a partial day has other hours, and with them interests."""
    if counts["hours"] < config.quality.min_hours:
        text = f"the day has impressions in {counts['hours']} hours"
        needed = f"{config.quality.min_hours} needed"
        return Problem(State.PARTIAL, f"A partial day: {text}, {needed}.")
    rows, clicks = counts["rows"], counts["clicks"]
    if short := _short(config, rows, clicks):
        return _lack(config, rows, clicks, short)
    if short := _short(config, counts["reference_rows"], counts["reference_clicks"]):
        return Problem(State.NEW, f"New: {short[0]} on the reference days, {short[1]} needed.")
    return None


def _lack(config: Config, rows: int, clicks: int, short: tuple[str, str]) -> Problem:
    """What a day lacks, by the first thing that there is too little of."""
    negatives, least = rows - clicks, config.drift.min_clicks
    if clicks == rows >= least:
        # However many rows there are: what it lacks is a row without a click.
        state = State.ONLY_CLICKS
        text = f"{word(state).capitalize()}: 0 impressions without a click, {least:,} needed."
        return Problem(state, text)
    state = State.INSUFFICIENT
    if rows >= config.drift.min_rows and not clicks:
        state = State.NO_CLICKS
    elif rows >= config.drift.min_rows and clicks >= least:
        text = f"Too few impressions without a click: {negatives:,}, {least:,} needed."
        return Problem(state, text)
    return Problem(state, f"{word(state).capitalize()}: {short[0]}, {short[1]} needed.")


def _certain(day: Profile) -> Problem | None:
    """Why a champion that is sure of the same on all rows cannot be judged: it ranks nothing, and
    clicks cannot be set against what it foresees.
    """
    predicted = day.parts["ranking"].reshape(2, LOGITS).sum(axis=0)
    if np.count_nonzero(predicted) != 1 or day.parts["information"].sum() > 1:
        return None
    what = "a click" if predicted.argmax() > LOGIT_LIMIT else "no click"
    text = f"the champion is sure of {what} on each of {day.rows:,} impressions"
    return Problem(State.INSUFFICIENT, f"Cannot be judged: {text}.")


def _short(config: Config, rows: int, clicks: int) -> tuple[str, str] | None:
    """What there is too little of, and how much is needed; rows without a click need as many as
    clicks.
    """
    least = config.drift.min_clicks
    for label, count, needed in (
        ("impressions", rows, config.drift.min_rows),
        ("clicks", clicks, least),
        ("impressions without a click", rows - clicks, least),
    ):
        if count < needed:
            return f"{count:,} {label}", f"{needed:,}"
    return None
