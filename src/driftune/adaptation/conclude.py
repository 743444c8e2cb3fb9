"""Conclude: a claim ends by its gate report."""

from driftune.adaptation.claim import Claim
from driftune.adaptation.messages import about, figures
from driftune.adaptation.promotion import Promotion, promote
from driftune.errors import BACKBONE_CHANGED, OvertakenError
from driftune.project import Project
from driftune.registry.database import Connection
from driftune.registry.records import GateReport, State, TrainingFigures
from driftune.registry.records.decision import DecisionEnd
from driftune.registry.records.gate import GateVerdict

_STATES: dict[GateVerdict | str | None, State] = {
    GateVerdict.REJECT: State.REJECTED,
    GateVerdict.INSUFFICIENT: State.UNDECIDED,
    GateVerdict.WAIT: State.WAITING,
}


def conclude(
    project: Project, claim: Claim, training: TrainingFigures | None, gate: GateReport
) -> str:
    """End a claim by its gate report; returns the decision's new state.

    Raises:
        LedgerError: when the claim was lost meanwhile.
        OvertakenError: when the challenger passed, but the backbone is no longer the decision's.
        RegistryError: when the champion moved since the gate; the decision stays open.
    """
    ledger, decision_id, owner = project.ledger, claim.decision_id, claim.owner
    row = ledger.decision(decision_id)
    if gate.decision != GateVerdict.PROMOTE:
        # Whatever is not a known verdict counts as a rejection.
        state = _STATES.get(gate.decision, State.REJECTED)
        with ledger.write() as connection:
            ledger.finish(connection, decision_id, owner, state, gate=gate, training=training)
            if state != State.WAITING:
                told = {**about(row), **figures(gate), "state": state}
                ledger.tell(
                    connection,
                    "rejection",
                    decision_id,
                    **told,
                    rules=gate.broken() or gate.lacking(),
                )
        return state.value
    if project.backbone_now() not in (None, row.backbone):
        raise OvertakenError(BACKBONE_CHANGED)

    def finish(connection: Connection, version: int) -> None:
        ended: DecisionEnd = {"gate": gate, "training": training, "adapter_version": version}
        ledger.finish(connection, decision_id, owner, "promoted", **ended)

    who = f"driftune ({owner})"
    promote(project, Promotion(row, gate, "promote", who, "the gate passed"), finish)
    return "promoted"
