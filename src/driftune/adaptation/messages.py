"""Messages: what those of a promotion and a rejection tell of decision and gate report."""

from driftune.registry.records import Decision, GateReport
from driftune.registry.records.gate import Difference


def about(decision: Decision) -> dict[str, str]:
    """What the message of a decision is about."""
    names = ("domain", "domain_key", "day")
    return {name: getattr(decision, name) for name in names} | {"decision": decision.id}


def figures(gate: GateReport) -> dict[str, str | float | list[str] | None]:
    """The gate's figures that a message tells."""
    difference = gate.difference or Difference()
    names = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}
    return {
        "metric": names.get(gate.metric or "", "AUC"),
        "gain": gate.gain,
        "low": difference.low,
        "high": difference.high,
        "weak": gate.weaknesses(),
    }
