"""What a gate report holds besides its metrics: halves and slices, calibration, off-policy."""

from typing import Any

from driftune.reports.figures import curves_spec, intervals_spec

SLICE_VERDICTS = {"pass": "no loss shown", "fail": "worse", "unknown": "too little data"}
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "Doubly robust"}


def parts_view(gate: dict[str, Any]) -> dict[str, Any]:
    """Halves and slices that hold rows, as a forest plot; DeLong's interval, calibration curves."""
    rows = _parts(gate)
    return {
        "parts": rows,
        "forest": intervals_spec(rows),
        "delong": gate.get("delong"),
        "curves": curves_spec(
            "predicted click rate",
            "actual click rate",
            {
                side: [(point["predicted"], point["actual"]) for point in points]
                for side, points in (gate.get("calibration") or {}).items()
            },
        ),
    }


def off_policy_view(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Clicks per impression by estimator, or why there are none."""
    if not found:
        return None
    return {
        "refused": found.get("refused"),
        "logged": found["logged"],
        "rows": [
            {
                "label": label,
                "champion": found["champion"].get(name) or {},
                "challenger": found["challenger"].get(name) or {},
                "difference": found["difference"].get(name) or {},
            }
            for name, label in ESTIMATORS.items()
        ],
    }


def _parts(gate: dict[str, Any]) -> list[dict[str, Any]]:
    halves = [
        {"label": f"{name} half of the users", "verdict": "", **_interval(half)}
        for name, half in zip(("first", "second"), gate.get("halves") or [], strict=False)
    ]
    slices = [
        {
            "label": each["name"],
            "verdict": SLICE_VERDICTS.get(each["verdict"], each["verdict"]),
            **_interval(each["difference"]),
        }
        for each in gate.get("slices") or []
        if each["difference"].get("rows")
    ]
    return halves + slices


def _interval(difference: dict[str, Any]) -> dict[str, Any]:
    return {name: difference.get(name) for name in ("estimate", "low", "high", "rows", "positives")}
