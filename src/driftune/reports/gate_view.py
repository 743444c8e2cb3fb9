"""The gate report and the training figures of a decision, as a page shows them."""

from typing import Any

from driftune.reports.figures import intervals_spec
from driftune.reports.gate_parts import off_policy_view, parts_view
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
PARTS = (("train", "training"), ("select", "choice of the epoch"), ("gate", "gate"))
VERDICTS = {
    "pass": ("✓", "pass"),
    "fail": ("✕", "fail"),
    "insufficient": ("–", "too little data"),
    "unknown": ("?", "unknown"),
}
DECISIONS = {
    "promote": "The gate promotes the challenger.",
    "reject": "The gate rejects the challenger.",
    "insufficient": "The gate has too little data to decide.",
    "wait": "The gate waits for more rows.",
}
OUTCOMES = {
    "promote": "promotes",
    "reject": "rejects",
    "insufficient": "too little data",
    "wait": "waits",
}


def gate_view(gate: dict[str, Any]) -> dict[str, Any]:
    """A gate report (JSON-safe values) with names, sides and intervals; any part may be missing."""
    champion, challenger = gate.get("champion") or {}, gate.get("challenger") or {}
    rules = [_rule(rule) for rule in gate.get("rules") or []]
    names = [*METRICS, *(sorted({*champion, *challenger} - {*METRICS, *COUNTS, *UNSHOWN}))]
    sides = [
        (gate.get("metric"), gate.get("difference")),
        (gate.get("guardrail_metric"), gate.get("guardrail")),
    ]
    differences = [_difference(metric, part) for metric, part in sides if part]
    counts = {**champion, **challenger}
    return {
        "decision": _decision(gate.get("decision"), rules),
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
            if champion.get(name) is not None or challenger.get(name) is not None
        ],
        "counts": [
            (counts[name], label) for name, label in COUNTS.items() if counts.get(name) is not None
        ],
        "confidence": gate.get("confidence") or 0.95,
        "differences": differences,
        "chart": intervals_spec(differences),
        "looks": [_look(look) for look in gate.get("looks") or []],
        **parts_view(gate),
        "off_policy": off_policy_view(gate.get("off_policy")),
        "error": (gate.get("plan") or {}).get("error"),
        "shared": (gate.get("plan") or {}).get("decisions") or 1,
    }


def training_view(training: dict[str, Any]) -> dict[str, Any]:
    """Training figures with their split by time; any part may be missing."""
    split = training.get("split") or {}
    started = training.get("started_from")
    return {
        "split": [
            {
                "label": label,
                "rows": split[name].get("rows"),
                "first": _minute(split[name].get("from")),
                "last": _minute(split[name].get("to")),
            }
            for name, label in PARTS
            if split.get(name)
        ],
        "started": None if started is None else champion_text(started),
        "figures": [
            {"label": label, "value": training.get(name), "digits": digits}
            for name, label, digits in (
                ("epochs", "Epochs run", 0),
                ("best_epoch", "Best epoch", 0),
                ("kl_bits", "KL (bits)", 4),
                ("parameters", "Parameters", 0),
                ("seconds", "Seconds", 1),
            )
            if training.get(name) is not None
        ],
    }


def _decision(decision: str | None, rules: list[dict[str, Any]]) -> str:
    sentence = DECISIONS.get(decision or "", "The gate left no verdict.")
    unknown = [rule["name"] for rule in rules if rule["verdict"] == "unknown"]
    if decision == "promote" and unknown:
        sentence += f" It could not judge: {', '.join(unknown)}."
    return sentence


def _champion(gate: dict[str, Any]) -> str:
    version, serves = gate.get("champion_version"), gate.get("champion_serves")
    if version is None:
        return "champion"
    if serves is not None and serves != version:
        return f"{champion_text(version)}, which does not serve: {champion_text(serves)}"
    return champion_text(version)


def _difference(metric: str | None, part: dict[str, Any]) -> dict[str, Any]:
    figures = {name: part.get(name) for name in ("estimate", "low", "high", "dropped")}
    for name in ("users", "effective_users", "resamples"):
        figures[name] = part.get(name)
    return {"label": METRICS.get(metric or "", metric or "difference"), **figures}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    verdict = rule.get("verdict") or "unknown"
    mark, label = VERDICTS.get(verdict, ("?", verdict))
    return {
        "name": rule.get("name") or "",
        "verdict": verdict if verdict in VERDICTS else "unknown",
        "mark": mark,
        "label": label,
        "limit": rule.get("limit") or "",
        "sentence": rule.get("sentence") or "",
    }


def _look(look: dict[str, Any]) -> dict[str, Any]:
    names = ("day", "rows", "estimate", "low", "high", "confidence", "spent")
    verdict = look.get("verdict") or ""
    return {**{name: look.get(name) for name in names}, "verdict": OUTCOMES.get(verdict, verdict)}


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _minute(moment: str | None) -> str | None:
    return None if moment is None else moment[:16].replace("T", " ")
