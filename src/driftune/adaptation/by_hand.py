"""By hand: a person promotes a challenger that the gate did not promote."""

from driftune.adaptation.promotion import Promotion, promote
from driftune.errors import RegistryError
from driftune.owners import user_name
from driftune.project import Project
from driftune.registry.champions import newest_day
from driftune.registry.database import Connection


def promote_by_hand(project: Project, decision_id: str, reason: str) -> int:
    """Promote the challenger of a decision that the gate did not promote; returns its version.

    Raises:
        RegistryError: when no reason is given, or the decision has no challenger to promote or is
            already promoted.
    """
    if not reason.strip():
        raise RegistryError(f"{decision_id}: a promotion by hand needs a reason; give --reason")
    ledger = project.ledger
    row = ledger.decision(decision_id)
    if row.gate is None or row.state not in ("rejected", "undecided", "waiting"):
        raise RegistryError(
            f"{decision_id}: state is '{row.state}'; only a rejected, undecided or waiting "
            "challenger can be promoted by hand"
        )
    who = f"{user_name()} (by hand)"
    now = ledger.champion_version(row.domain_key)
    gate = row.gate.model_copy(update={"champion_version": now})

    def finish(connection: Connection, version: int) -> None:
        ledger.override(connection, decision_id, row.state, version, note=f"{who}: {reason}")

    promotion = Promotion(row, gate, "by hand", who, reason, data_day=newest_day(ledger))
    return promote(project, promotion, finish)
