"""Conclude: a claim ends by its gate report."""

from typing import Any

from driftune.adaptation.claim import Claim
from driftune.adaptation.messages import about, broken_rules, figures
from driftune.adaptation.promotion import Promotion, promote
from driftune.errors import BACKBONE_CHANGED, OvertakenError
from driftune.project import Project

_STATES = {
    "reject": "rejected",
    "insufficient": "undecided",
    "wait": "waiting",
}


def conclude(project: Project, claim: Claim, training: dict[str, Any], gate: dict[str, Any]) -> str:
    """End a claim by its gate report; returns the decision's new state.

    Raises:
        LedgerError: when the claim was lost meanwhile.
        OvertakenError: when the challenger passed, but the backbone is no longer the decision's.
        RegistryError: when the champion moved since the gate; the decision stays open.
    """
    ledger, decision_id, owner = project.ledger, claim.decision_id, claim.owner
    row = ledger.decision(decision_id)
    if gate.get("decision") != "promote":
        # Whatever is not a known verdict counts as a rejection.
        state = _STATES.get(gate.get("decision", ""), "rejected")
        with ledger.write() as connection:
            ledger.finish(connection, decision_id, owner, state, gate=gate, training=training)
            if state != "waiting":
                told = {**about(row), **figures(gate), "state": state}
                ledger.tell(connection, "rejection", decision_id, **told, rules=broken_rules(gate))
        return state
    if project.backbone_now() not in (None, row.backbone):
        raise OvertakenError(BACKBONE_CHANGED)

    def finish(connection: Any, version: int) -> None:
        values = {"gate": gate, "training": training, "adapter_version": version}
        ledger.finish(connection, decision_id, owner, "promoted", **values)

    who = f"driftune ({owner})"
    promote(project, Promotion(row, gate, "promote", who, "the gate passed"), finish)
    return "promoted"
