"""How the gate judged a challenger: metrics of both sides, differences, rules, looks."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from driftune.registry.records.base import NULL_IS_EMPTY, Document, Figure, Record
from driftune.registry.records.off_policy import OffPolicyReport
from driftune.registry.records.training import SplitSpans


class GateVerdict(StrEnum):
    """What a look ends in."""

    PROMOTE = "promote"
    REJECT = "reject"
    INSUFFICIENT = "insufficient"
    WAIT = "wait"


class RuleVerdict(StrEnum):
    """What a rule, or the test of a slice, says; unknown holds up no promotion."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    UNKNOWN = "unknown"


class WaitsFor(StrEnum):
    """What a challenger waits for: enough rows to be judged at all, or to be shown as better."""

    DATA = "data"
    CERTAINTY = "certainty"


_FIRST = Field(union_mode="left_to_right")
# Words of a newer release are kept as text.
Verdict = Annotated[GateVerdict | str, _FIRST]
RuleWord = Annotated[RuleVerdict | str, _FIRST]


class Side(Record):
    """One model's metrics on the gate's rows; metrics that are not listed here are kept too."""

    ctr_auc: Figure = None
    ctcvr_auc: Figure = None
    ctr_log_loss: Figure = None
    ctr_calibration: Figure = None
    rows: int | None = None
    clicks: int | None = None
    conversions: int | None = None
    ctr_gauc: Figure = None
    ctcvr_gauc: Figure = None
    ctcvr_log_loss: Figure = None
    ctcvr_calibration: Figure = None
    ctr_ece: Figure = None
    ctcvr_ece: Figure = None
    ctr_ndcg: Figure = None
    ctcvr_ndcg: Figure = None
    ndcg_k: int | None = None
    lists_with_clicks: int | None = None
    lists_with_conversions: int | None = None

    def values(self) -> dict[str, float]:
        """The metrics and counts that are known, by name."""
        known = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value
            for name, value in {**known, **(self.model_extra or {})}.items()
            if isinstance(value, int | float)
        }


class Difference(Record):
    """AUC of both sides on some of the rows, and challenger − champion with its interval."""

    champion: Figure = None
    challenger: Figure = None
    estimate: Figure = None
    error: Figure = None
    freedom: Figure = None
    low: Figure = None
    high: Figure = None
    rows: int | None = None
    positives: int | None = None
    users: int | None = None
    effective_users: Figure = None
    resamples: int | None = None
    dropped: int | None = None


class LossDifference(Record):
    """Mean log loss of clicks of both sides (nats), and challenger − champion: above 0 is worse.

    ``excess``: how far it rises beyond the share ``tolerance`` of the champion's.
    """

    champion: Figure = None
    challenger: Figure = None
    estimate: Figure = None
    error: Figure = None
    freedom: Figure = None
    low: Figure = None
    high: Figure = None
    users: int | None = None
    tolerance: Figure = None
    excess: Figure = None
    excess_error: Figure = None


class RowInterval(Record):
    """DeLong's interval of the difference, which takes rows for independent."""

    estimate: Figure = None
    error: Figure = None
    low: Figure = None
    high: Figure = None


class SliceOutcome(Record):
    """A slice's difference and its test against the tolerated loss; ``p_holm`` is corrected."""

    name: str = ""
    verdict: RuleWord | None = None
    p: Figure = None
    p_holm: Figure = None
    difference: Difference = Difference()


class RuleOutcome(Record):
    """A rule's verdict, the figure and limit that it rests on, and a sentence for a reviewer."""

    name: str | None = None
    verdict: RuleWord | None = None
    value: Figure = None
    limit: str | None = None
    sentence: str | None = None


class CurvePoint(Record):
    """One bin of a calibration curve: mean prediction, share of positives, rows."""

    predicted: float
    actual: float
    rows: int | None = None


class WeakSides(Record):
    """What is wrong with each side on the gate's rows beside plain models, in words that follow
    its name; None where nothing is.
    """

    champion: str | None = None
    challenger: str | None = None


class Calibration(Record):
    """Calibration curves of clicks."""

    champion: Annotated[tuple[CurvePoint, ...], NULL_IS_EMPTY] = ()
    challenger: Annotated[tuple[CurvePoint, ...], NULL_IS_EMPTY] = ()


class Prior(Record):
    """Mean and spread of what earlier challengers gained, and how many they were."""

    mean: float
    spread: float
    challengers: int


class Posterior(Record):
    """The gain to be expected, its standard deviation, and the chance of a loss that matters."""

    mean: Figure = None
    spread: Figure = None
    loss_chance: Figure = None


class Plan(Record):
    """What the looks may spend of the error, fixed at the first one.

    ``error`` is this decision's, shared with ``decisions`` of its day; ``looks`` the most that
    there are, ``rows`` those expected at the last; ``settings``: marks of those that it was made
    under, by the section of params.yaml; ``prior``: what earlier challengers gained, by
    ``gate.rule: expected_gain`` alone.
    """

    decisions: int = 1
    error: float
    looks: int
    rows: int
    settings: dict[str, str] = Field(default_factory=dict)
    prior: Prior | None = None


class Look(Record):
    """One look at the challenger by all rows up to ``day``; ``lake`` is the version of those.

    ``confidence`` is None where nothing could be judged; ``spent`` is the error spent so far.
    """

    day: date
    lake: str | None = None
    rows: int = 0
    estimate: Figure = None
    low: Figure = None
    high: Figure = None
    confidence: Figure = None
    spent: float = 0.0
    verdict: Verdict | None = None


class GateReport(Document):
    """The gate's report of the newest look, and all looks.

    ``difference`` is of ``metric`` at ``confidence``, ``guardrail`` of ``guardrail_metric``;
    ``champion_version`` is the champion that was compared with, ``champion_serves`` the version
    that really served in its place; ``challenger_sha256`` names the files that were judged.
    """

    NAME: ClassVar[str] = "gate report"

    decision: Verdict | None = None
    rules: Annotated[tuple[RuleOutcome, ...], NULL_IS_EMPTY] = ()
    metric: str | None = None
    guardrail_metric: str | None = None
    confidence: Figure = None
    champion: Side | None = None
    challenger: Side | None = None
    difference: Difference | None = None
    guardrail: Difference | None = None
    log_loss: LossDifference | None = None
    delong: RowInterval | None = None
    halves: Annotated[tuple[Difference, ...], NULL_IS_EMPTY] = ()
    slices: Annotated[tuple[SliceOutcome, ...], NULL_IS_EMPTY] = ()
    calibration: Calibration | None = None
    posterior: Posterior | None = None
    off_policy: OffPolicyReport | None = None
    weak: WeakSides | None = None
    champion_version: int | None = None
    champion_serves: int | None = None
    challenger_sha256: str | None = None
    split: SplitSpans | None = None
    plan: Plan | None = None
    looks: Annotated[tuple[Look, ...], NULL_IS_EMPTY] = ()
    waits_for: Annotated[WaitsFor | str | None, _FIRST] = None

    @property
    def last_look(self) -> Look | None:
        """The newest look; None before the first."""
        return self.looks[-1] if self.looks else None

    @property
    def gain(self) -> float | None:
        """Challenger minus champion in the gate's metric: what is to be expected, where the gate
        judged by that, else the estimate.
        """
        if self.posterior is not None and self.posterior.mean is not None:
            return self.posterior.mean
        return None if self.difference is None else self.difference.estimate

    def weaknesses(self) -> list[str]:
        """What is wrong with champion and challenger beside plain models, a sentence each."""
        if self.weak is None:
            return []
        sides = (("champion", self.weak.champion), ("challenger", self.weak.challenger))
        return [f"The {name} {told}" for name, told in sides if told is not None]

    def lacking(self) -> list[str]:
        """The sentences of the rules for which there was too little to judge by."""
        short = (rule for rule in self.rules if rule.verdict == RuleVerdict.INSUFFICIENT)
        return [rule.sentence or rule.name or "" for rule in short]

    def broken(self) -> list[str]:
        """The sentences of the rules that the challenger broke."""
        failed = (rule for rule in self.rules if rule.verdict == RuleVerdict.FAIL)
        return [rule.sentence or rule.name or "" for rule in failed]
