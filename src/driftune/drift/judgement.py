"""What is known of a domain before a day is judged, and what the judgement comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from driftune.config.triggers import Measure
from driftune.registry.records import State
from driftune.registry.records.scores import TriggerScore


@dataclass(frozen=True)
class Past:
    """A domain under its champion before the day: p-values of deciding signals on the days just
    before, newest first, and whether its champion changed within the cool-down.

    ``follow_up``: the day, if any, whose drift brought the champion that is to be fine-tuned again
    now that there are more rows since, and ``shifted`` how many days ago that drift began; ``age``:
    days since its last fine-tune, if too many; ``waits_for``: what a challenger of the domain waits
    for, "data" or "certainty", if one does; ``outdated``: the version, if any, that no longer
    serves as the backbone is a new one; ``values``: what Evidently measured for triggers on the
    days just before, newest first.
    """

    p_values: Sequence[Mapping[str, float]] = ()
    cooling: bool = False
    follow_up: date | None = None
    shifted: int = 0
    age: int | None = None
    waits_for: str | None = None
    outdated: int | None = None
    values: Sequence[Mapping[Measure, float | None]] = ()


@dataclass(frozen=True)
class Judgement:
    """``score``: the strongest evidence of a deciding signal, 1 is what triggers on that day.

    ``moved``: all signals that moved, deciding ones first; ``limits``: the p-values from which on
    deciding signals and the others count as moved; ``shifted``: how many days ago the drift began,
    None where there is none; ``triggers``: what Evidently measured for entries of
    ``drift.triggers``, and ``alert`` those that alert, in words.
    """

    state: State | Literal["drifted"]
    rule: str
    score: float | None
    sentence: str
    moved: Sequence[str] = ()
    limits: tuple[float, float] | None = None
    shifted: int | None = None
    triggers: Sequence[TriggerScore] = ()
    alert: str | None = None
