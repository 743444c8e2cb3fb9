"""The gate report and the training figures of a decision, as a page shows them."""

from typing import TypedDict

from driftune.registry.records.gate import (
    Difference,
    GateReport,
    GateVerdict,
    Look,
    Prior,
    RuleOutcome,
    Side,
)
from driftune.registry.records.training import TrainingFigures
from driftune.reports.figures import IntervalRow, IntervalsSpec, intervals_spec
from driftune.reports.gate_parts import OffPolicyView, PartsView, off_policy_view, parts_view
from driftune.reports.links import champion_text

METRICS = {
    "ctr_auc": "CTR-AUC",
    "ctcvr_auc": "CTCVR-AUC",
    "ctr_log_loss": "CTR log loss",
    "ctr_gauc": "CTR-AUC by user",
    "ctcvr_gauc": "CTCVR-AUC by user",
    "ctr_calibration": "CTR calibration (predicted ÷ actual)",
    "ctr_ece": "CTR calibration error",
    "ctcvr_log_loss": "CTCVR log loss",
    "ctcvr_calibration": "CTCVR calibration (predicted ÷ actual)",
    "ctcvr_ece": "CTCVR calibration error",
    "ctr_ndcg": "NDCG@10 of clicks, by list",
    "ctcvr_ndcg": "NDCG@10 of conversions, by list",
}
COUNTS = {"rows": "impressions", "clicks": "clicks", "conversions": "conversions"}
UNSHOWN = ("ndcg_k", "lists_with_clicks", "lists_with_conversions")
PARTS = {"train": "training", "select": "choice of the epoch", "gate": "gate"}
TRAINERS = {
    "command": "a command of your own (adapter.trainer)",
    "deployment": "a deployment of your own (adapter.trainer)",
}
VERDICTS = {
    "pass": ("✓", "pass"),
    "fail": ("✕", "fail"),
    "insufficient": ("–", "too few to tell"),
    "unknown": ("?", "unknown"),
}
DECISIONS = {
    "promote": "The gate promotes the challenger.",
    "reject": "The gate rejects the challenger.",
    "insufficient": "The gate lacks what it needs to decide.",
    "wait": "The gate waits for more rows.",
}
OUTCOMES = {
    "promote": "promotes",
    "reject": "rejects",
    "insufficient": "cannot decide",
    "wait": "waits",
}


class RuleView(TypedDict):
    """A rule with the mark and label of its verdict."""

    name: str
    verdict: str
    mark: str
    label: str
    limit: str
    sentence: str


class MetricView(TypedDict):
    """A metric of both sides; ``difference`` is challenger − champion."""

    label: str
    champion: float | None
    challenger: float | None
    difference: float | None


class DifferenceView(IntervalRow):
    """A difference with what its interval rests on."""

    dropped: int | None
    users: int | None
    effective_users: float | None
    resamples: int | None


class LookView(TypedDict):
    """One look; ``day`` is ISO."""

    day: str
    rows: int
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float | None
    spent: float
    verdict: str


class GateView(PartsView):
    """All that a page shows of a gate report; ``champion`` is in words."""

    decision: str
    weak: list[str]
    champion: str
    rules: list[RuleView]
    metrics: list[MetricView]
    counts: list[tuple[float, str]]
    confidence: float
    differences: list[DifferenceView]
    chart: IntervalsSpec | None
    looks: list[LookView]
    off_policy: OffPolicyView | None
    error: float | None
    shared: int
    prior: str | None


class SpanView(TypedDict):
    """Rows of one part of the split; instants to the minute, UTC."""

    label: str
    rows: int | None
    first: str | None
    last: str | None


class FigureView(TypedDict):
    """A training figure, shown with ``digits``."""

    label: str
    value: float
    digits: int


class TrainingView(TypedDict):
    """What a page shows of a fine-tuning; ``reported``: by a trainer of the user's own."""

    trainer: str | None
    split: list[SpanView]
    started: str | None
    reported: list[tuple[str, str]]
    figures: list[FigureView]


def gate_view(gate: GateReport) -> GateView:
    """A gate report with names, sides and intervals; any part may be missing."""
    champion, challenger = _values(gate.champion), _values(gate.challenger)
    rules = [_rule(rule) for rule in gate.rules]
    names = [*METRICS, *(sorted({*champion, *challenger} - {*METRICS, *COUNTS, *UNSHOWN}))]
    sides = ((gate.metric, gate.difference), (gate.guardrail_metric, gate.guardrail))
    differences = [_difference(metric, part) for metric, part in sides if part is not None]
    counts = {**champion, **challenger}
    plan = gate.plan
    return {
        "decision": _decision(gate.decision, rules),
        "weak": gate.weaknesses(),
        "champion": _champion(gate),
        "rules": rules,
        "metrics": [
            {
                "label": METRICS.get(name, name),
                "champion": champion.get(name),
                "challenger": challenger.get(name),
                "difference": _minus(challenger.get(name), champion.get(name)),
            }
            for name in names
            if name in counts
        ],
        "counts": [(counts[name], label) for name, label in COUNTS.items() if name in counts],
        "confidence": gate.confidence or 0.95,
        "differences": differences,
        "chart": intervals_spec(differences),
        "looks": [_look(look) for look in gate.looks],
        **parts_view(gate),
        "off_policy": off_policy_view(gate.off_policy),
        "error": None if plan is None else plan.error,
        "shared": 1 if plan is None else plan.decisions,
        "prior": None if plan is None or plan.prior is None else _prior(plan.prior),
    }


def _prior(prior: Prior) -> str:
    """What earlier challengers gained, in words."""
    number = prior.challengers
    many = f"{number:,} challenger{'' if number == 1 else 's'} judged by days before"
    return f"{many}: a mean gain of {prior.mean:+.4f}, with a spread of {prior.spread:.4f}"


def training_view(training: TrainingFigures) -> TrainingView:
    """Training figures with their split by time; any part may be missing."""
    figures = (
        ("Epochs run", training.epochs, 0),
        ("Best epoch", training.best_epoch, 0),
        ("KL (bits)", training.kl_bits, 4),
        ("Parameters", training.parameters, 0),
        ("Seconds", training.seconds, 1),
    )
    return {
        "trainer": TRAINERS.get(training.trainer or "", training.trainer),
        "reported": [(name, f"{value:g}") for name, value in training.reported.items()],
        "split": [
            {
                "label": PARTS[name],
                "rows": span.rows,
                "first": _minute(span.first),
                "last": _minute(span.last),
            }
            for name, span in (training.split.parts() if training.split else ())
        ],
        "started": _started(training),
        "figures": [
            {"label": label, "value": value, "digits": digits}
            for label, value, digits in figures
            if value is not None
        ],
    }


def _started(training: TrainingFigures) -> str | None:
    """What a training started from, and the places where those were chosen, in words."""
    at = "" if training.at is None else f", at {', '.join(training.at)}"
    if training.start == "pooled" and training.pooled is not None:
        return f"the adapter of all domains ({training.pooled[:12]}){at}"
    if training.started_from is None:
        return None
    return f"{champion_text(training.started_from)}{at}"


def _values(side: Side | None) -> dict[str, float]:
    return {} if side is None else side.values()


def _decision(decision: str | None, rules: list[RuleView]) -> str:
    sentence = DECISIONS.get(decision or "", "The gate left no verdict.")
    unknown = [rule["name"] for rule in rules if rule["verdict"] == "unknown"]
    if decision == GateVerdict.PROMOTE and unknown:
        sentence += f" It could not judge: {', '.join(unknown)}."
    return sentence


def _champion(gate: GateReport) -> str:
    version, serves = gate.champion_version, gate.champion_serves
    if version is None:
        return "champion"
    if serves is not None and serves != version:
        return f"{champion_text(version)}, which does not serve: {champion_text(serves)}"
    return champion_text(version)


def _difference(metric: str | None, part: Difference) -> DifferenceView:
    return {
        "label": METRICS.get(metric or "", metric or "difference"),
        "estimate": part.estimate,
        "low": part.low,
        "high": part.high,
        "dropped": part.dropped,
        "users": part.users,
        "effective_users": part.effective_users,
        "resamples": part.resamples,
    }


def _rule(rule: RuleOutcome) -> RuleView:
    verdict = rule.verdict or "unknown"
    mark, label = VERDICTS.get(verdict, ("?", verdict))
    return {
        "name": rule.name or "",
        "verdict": verdict if verdict in VERDICTS else "unknown",
        "mark": mark,
        "label": label,
        "limit": rule.limit or "",
        "sentence": rule.sentence or "",
    }


def _look(look: Look) -> LookView:
    return {
        "day": look.day.isoformat(),
        "rows": look.rows,
        "estimate": look.estimate,
        "low": look.low,
        "high": look.high,
        "confidence": look.confidence,
        "spent": look.spent,
        "verdict": OUTCOMES.get(look.verdict or "", look.verdict or ""),
    }


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _minute(moment: str | None) -> str | None:
    return None if moment is None else moment[:16].replace("T", " ")
