"""The gate: may a challenger replace the champion? Rules over metrics on the same held-out rows.

Promotion needs every rule to pass; only a guardrail that too few positives leave unknown is let
through.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from driftune.config import Gate
from driftune.evaluation import rules as gate_rules
from driftune.evaluation.bootstrap import PairedDifference, paired_auc_difference
from driftune.evaluation.metrics import summary
from driftune.evaluation.rules import Rule
from driftune.files import finite

Decision = Literal["promote", "reject", "insufficient"]


@dataclass(frozen=True)
class GateRows:
    """Held-out impressions, (n,) each: user ids, and clicks and conversions as 0 and 1."""

    user: np.ndarray
    click: np.ndarray
    convert: np.ndarray


@dataclass(frozen=True)
class Scores:
    """One model's probabilities of the same rows, (n,) each: a click, a click that converts."""

    p_click: np.ndarray
    p_ctcvr: np.ndarray


@dataclass(frozen=True)
class GateReport:
    """What the gate saw and decided; ``difference`` is of ``metric``, ``guardrail`` of the other.

    Inputs that cannot be judged leave the metrics empty and the differences None; with too little
    data the rules end at the amounts.
    """

    decision: Decision
    rules: list[Rule]
    metric: str
    guardrail_metric: str
    confidence: float
    champion: dict[str, Any] = field(default_factory=dict)
    challenger: dict[str, Any] = field(default_factory=dict)
    difference: PairedDifference | None = None
    guardrail: PairedDifference | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-safe values; NaN becomes None."""
        values: dict[str, Any] = finite(asdict(self))
        return values


def judge(
    rows: GateRows,
    champion: Scores,
    challenger: Scores,
    policy: Gate,
    *,
    seed: int,
    confidence: float | None = None,
) -> GateReport:
    """Judge a challenger against the champion on the same rows; deterministic given ``seed``.

    Unusable inputs reject; too little data is ``insufficient``; otherwise the rules decide.
    ``confidence``: of the interval, in place of the policy's.

    Raises:
        TypeError, ValueError: when labels or scores are not numbers at all.
    """
    if confidence is not None:
        policy = policy.model_copy(update={"confidence": confidence})
    guarded = "ctcvr_auc" if policy.metric == "ctr_auc" else "ctr_auc"
    rules = list(_input_rules(rows, champion, challenger))
    if not _all_pass(rules):
        return GateReport("reject", rules, policy.metric, guarded, policy.confidence)
    before = summary(rows.click, rows.convert, champion.p_click, champion.p_ctcvr)
    after = summary(rows.click, rows.convert, challenger.p_click, challenger.p_ctcvr)
    difference = _difference(policy.metric, rows, champion, challenger, policy, seed)
    guardrail = _difference(guarded, rows, champion, challenger, policy, seed)
    rules += gate_rules.amount_rules(before, difference, policy)
    if _all_pass(rules):
        rules += [
            gate_rules.interval_rule(difference, policy),
            gate_rules.effect_rule(difference, policy),
            gate_rules.guardrail_rule(guarded, before, guardrail, policy),
            gate_rules.calibration_rule(
                before["ctr_calibration"], after["ctr_calibration"], policy
            ),
        ]
    return GateReport(
        _decide(rules),
        rules,
        policy.metric,
        guarded,
        policy.confidence,
        before,
        after,
        difference,
        guardrail,
    )


def _all_pass(rules: list[Rule]) -> bool:
    return all(rule.verdict == "pass" for rule in rules)


def _decide(rules: list[Rule]) -> Decision:
    if any(rule.verdict == "insufficient" for rule in rules):
        return "insufficient"
    scarce = (gate_rules.GUARDRAIL, "unknown")
    return "promote" if _all_pass([r for r in rules if (r.name, r.verdict) != scarce]) else "reject"


def _input_rules(rows: GateRows, champion: Scores, challenger: Scores) -> Iterator[Rule]:
    count = len(rows.click)
    for name, labels in (("clicks", rows.click), ("conversions", rows.convert)):
        binary = np.isin(np.asarray(labels, dtype=np.float64), (0.0, 1.0))
        yield gate_rules.input_rule(name, binary, count, "0 or 1")
    users = np.asarray(rows.user)
    present = (users == users) & np.not_equal(users, np.array(None))
    yield gate_rules.input_rule("user ids", present, count, "present")
    for owner, scores in (("champion", champion), ("challenger", challenger)):
        for name, part in (("pCTR", scores.p_click), ("pCTCVR", scores.p_ctcvr)):
            values = np.asarray(part, dtype=np.float64)
            usable = (values >= 0) & (values <= 1)
            yield gate_rules.input_rule(f"{owner} {name}", usable, count, "a number from 0 to 1")


def _difference(
    metric: str, rows: GateRows, champion: Scores, challenger: Scores, policy: Gate, seed: int
) -> PairedDifference:
    click = np.asarray(rows.click, dtype=np.float64)
    on_click = metric == "ctr_auc"
    return paired_auc_difference(
        click if on_click else click * np.asarray(rows.convert, dtype=np.float64),
        champion.p_click if on_click else champion.p_ctcvr,
        challenger.p_click if on_click else challenger.p_ctcvr,
        rows.user,
        resamples=policy.resamples,
        confidence=policy.confidence,
        seed=seed,
    )
