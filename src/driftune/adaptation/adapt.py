"""An adaptation: one decision from its claim to its end, and later looks at its challenger."""

import logging
from datetime import date

from driftune.adaptation.challenge import challenge_again
from driftune.adaptation.claim import Claim, carry_out
from driftune.adaptation.conclude import conclude
from driftune.adaptation.faults import fault_of
from driftune.adaptation.steps import FINE_TUNE, Steps
from driftune.adaptation.workbench import Workbench
from driftune.project import Project
from driftune.registry.waiting import claim_look

log = logging.getLogger("driftune")
PLAIN = Steps()


def adapt(project: Project, decision_id: str, steps: Steps = PLAIN) -> str:
    """Claim a decision, fine-tune a challenger, judge it, promote or reject it.

    Returns the decision's state, also when there is nothing to do: another run has it, or it has
    ended. What goes wrong ends the claim as ``faults.FAULTS`` says.

    Raises:
        LedgerError: when there is no such decision, or the ledger cannot be reached.
        RegistryError: when the champion moved, the lake changed, or MLflow was away; the decision
            waits for another run then.
    """
    owner = steps.run("claim", decision_id, lambda: project.ledger.claim(decision_id))
    ledger = project.ledger
    if owner is None:
        state = steps.run("state of", decision_id, lambda: ledger.decision(decision_id).state)
        log.info("%s: nothing to do, its state is '%s'", decision_id, state)
        return str(state)
    claim, bench = Claim(decision_id, owner), Workbench(project, decision_id)

    def work() -> str:
        training = steps.run(
            FINE_TUNE,
            decision_id,
            lambda: steps.fine_tune(bench, lambda: ledger.renew(decision_id, owner)),
        )
        gate = steps.run("gate", decision_id, lambda: steps.judge(bench))
        state = steps.run("conclude", decision_id, lambda: conclude(project, claim, training, gate))
        log.info("%s: adapted: %s", decision_id, state)
        return state

    return carry_out(ledger, claim, work, lambda error: fault_of(error).adaptation, steps)


def look_again(project: Project, decision_id: str, day: date) -> str:
    """Judge a waiting challenger by its rows up to ``day``, too; returns the decision's state.

    One run alone takes a look, and a day is looked at once. What goes wrong ends the claim as
    ``faults.FAULTS`` says.

    Raises:
        RegistryError: when the challenger's files are damaged or the champion moved meanwhile.
        LakeError: when a day's files are missing or damaged.
    """
    ledger = project.ledger
    owner = claim_look(ledger, decision_id, day)
    if owner is None:
        return str(ledger.decision(decision_id).state)
    claim, bench = Claim(decision_id, owner), Workbench(project, decision_id)

    def work() -> str:
        gate = challenge_again(bench, day)
        return conclude(project, claim, bench.decision.training, gate)

    state = carry_out(ledger, claim, work, lambda error: fault_of(error).look, PLAIN)
    log.info("%s: judged again by the rows up to %s: %s", decision_id, day, state)
    return state
