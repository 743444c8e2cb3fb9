"""Messages: what those of a promotion and a rejection tell of decision and gate report."""

from typing import Any

from driftune.io import finite


def about(decision: Any) -> dict[str, Any]:
    """What the message of a decision (a row of the ledger) is about."""
    names = ("domain", "domain_key", "day")
    return {name: getattr(decision, name) for name in names} | {"decision": decision.id}


def figures(gate: dict[str, Any]) -> dict[str, Any]:
    """The gate's figures that a message tells."""
    difference = gate.get("difference") or {}
    names = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}
    return {
        "metric": names.get(gate.get("metric", ""), "AUC"),
        "gain": finite(difference.get("estimate")),
        "low": finite(difference.get("low")),
        "high": finite(difference.get("high")),
    }


def broken_rules(gate: dict[str, Any]) -> list[str]:
    """The sentences of the rules that the challenger broke."""
    rules = gate.get("rules") or []
    return [
        rule.get("sentence", rule.get("name")) for rule in rules if rule.get("verdict") == "fail"
    ]
