"""What the drift detection measured of a domain's day."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import Field

from driftune.config.triggers import METHODS, Measure
from driftune.registry.records.base import NULL_IS_EMPTY, Document, Figure, Record


class WindowCounts(Record):
    """Sizes of the day's window and of its reference; None where they were not counted."""

    hours: int | None = None
    reference_days: int | None = None
    rows: int | None = None
    clicks: int | None = None
    reference_rows: int | None = None
    reference_clicks: int | None = None

    def known(self) -> dict[str, int]:
        """The sizes that were counted, by name."""
        sizes = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: size for name, size in sizes.items() if size is not None}


class SignalScore(Record):
    """A signal's evidence; all but ``distance`` are None where it could not be judged.

    ``distance`` is Evidently's; ``square`` the squared distance and ``usual`` what it is without
    drift; ``effect`` the distance beyond the usual one, in the signal's unit; ``p`` its p-value.
    """

    distance: Figure = None
    p: Figure = None
    square: Figure = None
    usual: Figure = None
    effect: Figure = None


class Move(Record):
    """One category, hour or kind of a signal: its figure in the reference and on the day."""

    name: str
    before: Figure = Field(None, validation_alias="from", serialization_alias="from")
    after: Figure = Field(None, validation_alias="to", serialization_alias="to")
    weight: Figure = 1.0


class SignalFacts(Record):
    """What a signal was in the reference and on the day: one figure each, or a row per category."""

    rows: tuple[Move, ...] | None = None
    before: Figure = Field(None, validation_alias="from", serialization_alias="from")
    after: Figure = Field(None, validation_alias="to", serialization_alias="to")


class TriggerScore(Record):
    """What Evidently measured for an entry of ``drift.triggers``, and what it came to.

    ``of``: a signal, a column or a metric, by the name ``what``; ``method``: Evidently's, or the
    columns of a metric. It passes its threshold where ``value`` lies ``above``, or below ``p``;
    ``beyond``: it does on the day; ``row``: on how many days in a row, this one included, of the
    ``days`` that it needs; ``fired``: on enough of them, and not held back. ``bound``: the p-value
    that counted as evidence on the day, over all domains.
    """

    of: str
    what: str
    method: str
    value: Figure = None
    above: Figure = None
    p: Figure = None
    bound: Figure = None
    beyond: bool = False
    row: int = 0
    days: int = 1
    fired: bool = False
    action: str = "alert"

    @property
    def name(self) -> str:
        """What is measured, and how: the rule of a decision that it triggers."""
        return f"{self.what} ({self.method})"

    @property
    def measure(self) -> Measure:
        """What is measured, and how; entries with other thresholds may share it."""
        return Measure(self.of, self.what, self.method)

    @property
    def words(self) -> str:
        """In words: "price, Wasserstein 0.31 above 0.25"."""
        known = METHODS.get(self.method)
        method = known.words if known else self.method
        value = "–" if self.value is None else f"{self.value:.3g}"
        start = f"{self.what} of {method}" if self.of == "metric" else f"{self.what}, {method}"
        if self.p is not None:
            return f"{start} p {value} {self._side('below')} {self.p:g}"
        return f"{start} {value} {self._side('above')} {self.above or 0:g}"

    def _side(self, word: str) -> str:
        return word if self.beyond else f"not {word}"


class Scores(Document):
    """Why a decision was made.

    ``rule`` decided. ``reference`` are the days that the day was compared with, ``settled`` those
    among them that the champion's predictions were; ``matched``: what was clicked is compared with
    days of its weekday alone. ``since`` is the day on which the drift began. ``moved`` are the
    signals that moved, deciding ones first; ``limits`` the p-values from which on deciding signals
    and the others count as moved. ``signals`` and ``facts`` are by the signal's name; ``settings``:
    marks of those that it was decided under, empty where an earlier release decided. ``triggers``
    are the entries of ``drift.triggers`` that Evidently measured; ``alert``: those that alerted, in
    words.
    """

    NAME: ClassVar[str] = "drift scores"

    rule: str | None = None
    counts: WindowCounts | None = None
    reference: Annotated[tuple[date, ...], NULL_IS_EMPTY] = ()
    settled: Annotated[tuple[date, ...], NULL_IS_EMPTY] = ()
    since: date | None = None
    matched: bool | None = None
    moved: Annotated[tuple[str, ...], NULL_IS_EMPTY] = ()
    limits: tuple[Figure, Figure] | None = None
    signals: dict[str, SignalScore] | None = None
    facts: dict[str, SignalFacts] | None = Field(
        None, validation_alias="told", serialization_alias="told"
    )

    settings: dict[str, str] = Field(default_factory=dict)
    triggers: Annotated[tuple[TriggerScore, ...], NULL_IS_EMPTY] = ()
    alert: str | None = None

    def p_values(self) -> dict[str, float]:
        """The p-values of the signals that were judged."""
        signals = self.signals or {}
        return {name: score.p for name, score in signals.items() if score.p is not None}

    def values_measured(self) -> dict[Measure, float | None]:
        """What Evidently measured for the configured triggers."""
        return {score.measure: score.value for score in self.triggers}

    def fact(self, signal: str) -> SignalFacts:
        """What is known of a signal; empty where nothing is."""
        return (self.facts or {}).get(signal) or SignalFacts()
