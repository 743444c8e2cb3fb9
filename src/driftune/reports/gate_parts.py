"""What a gate report holds besides its metrics: halves and slices, calibration, off-policy."""

from collections.abc import Sequence
from typing import TypedDict

from driftune.registry.records.gate import CurvePoint, Difference, GateReport, RowInterval
from driftune.registry.records.off_policy import Estimate, OffPolicyReport
from driftune.reports.figures import (
    CurvesSpec,
    IntervalRow,
    IntervalsSpec,
    curves_spec,
    intervals_spec,
)

SLICE_VERDICTS = {"pass": "no loss shown", "fail": "worse", "unknown": "too few to tell"}
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "Doubly robust"}


class PartRow(IntervalRow):
    """The difference on a part of the rows; ``verdict`` in words, empty for halves."""

    verdict: str
    rows: int | None
    positives: int | None


class EstimateView(TypedDict):
    """An estimate of clicks per impression."""

    value: float | None
    low: float | None
    high: float | None
    ess: float | None


class EstimateOnRows(TypedDict):
    """DeLong's interval of the difference."""

    estimate: float | None
    low: float | None
    high: float | None


class PartsView(TypedDict):
    """Halves and slices that hold rows, as a forest plot; DeLong's interval, calibration curves."""

    parts: list[PartRow]
    forest: IntervalsSpec | None
    delong: EstimateOnRows | None
    curves: CurvesSpec | None


class EstimatorRow(TypedDict):
    """Both sides by one estimator."""

    label: str
    champion: EstimateView
    challenger: EstimateView
    difference: EstimateView


class OffPolicyView(TypedDict):
    """Clicks per impression by estimator; ``refused`` says why there are none."""

    refused: str | None
    logged: EstimateView
    rows: list[EstimatorRow]


def parts_view(gate: GateReport) -> PartsView:
    """Halves, slices, DeLong's interval and calibration curves of a report."""
    rows = _parts(gate)
    curves: dict[str, list[tuple[float, float]]] = {}
    if gate.calibration is not None:
        curves = {
            "champion": _points(gate.calibration.champion),
            "challenger": _points(gate.calibration.challenger),
        }
    return {
        "parts": rows,
        "forest": intervals_spec(rows),
        "delong": None if gate.delong is None else _delong(gate.delong),
        "curves": curves_spec("predicted click rate", "actual click rate", curves),
    }


def off_policy_view(found: OffPolicyReport | None) -> OffPolicyView | None:
    """Clicks per impression by estimator, or why there are none."""
    if found is None:
        return None
    sides = zip(
        found.champion.by_name(),
        found.challenger.by_name(),
        found.difference.by_name(),
        strict=True,
    )
    return {
        "refused": found.refused,
        "logged": _estimate(found.logged),
        "rows": [
            {
                "label": ESTIMATORS[name],
                "champion": _estimate(champion),
                "challenger": _estimate(challenger),
                "difference": _estimate(difference),
            }
            for (name, champion), (_, challenger), (_, difference) in sides
        ],
    }


def _parts(gate: GateReport) -> list[PartRow]:
    halves = [
        _row(f"{name} half of the users", "", half)
        for name, half in zip(("first", "second"), gate.halves, strict=False)
    ]
    slices = [
        _row(each.name, SLICE_VERDICTS.get(each.verdict or "", each.verdict or ""), each.difference)
        for each in gate.slices
        if each.difference.rows
    ]
    return halves + slices


def _row(label: str, verdict: str, difference: Difference) -> PartRow:
    return {
        "label": label,
        "verdict": verdict,
        "estimate": difference.estimate,
        "low": difference.low,
        "high": difference.high,
        "rows": difference.rows,
        "positives": difference.positives,
    }


def _delong(found: RowInterval) -> EstimateOnRows:
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _estimate(found: Estimate) -> EstimateView:
    return {"value": found.value, "low": found.low, "high": found.high, "ess": found.ess}


def _points(curve: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    return [(point.predicted, point.actual) for point in curve]
