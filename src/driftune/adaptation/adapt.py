"""Adaptations: decisions from their claims to their ends, and later looks at a challenger."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date

from driftune.adaptation.challenge import challenge_again
from driftune.adaptation.claim import Claim, carry_out
from driftune.adaptation.conclude import conclude
from driftune.adaptation.faults import fault_of
from driftune.adaptation.groups import trained_together
from driftune.adaptation.held import HeldClaims
from driftune.adaptation.steps import FINE_TUNE, Steps
from driftune.adaptation.workbench import Workbench
from driftune.errors import DeviceFullError
from driftune.project import Project
from driftune.registry.records import TrainingFigures
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
    outcome = adapt_together(project, [decision_id], steps)[decision_id]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def adapt_together(
    project: Project, decision_ids: Sequence[str], steps: Steps = PLAIN
) -> dict[str, str | Exception]:
    """``adapt`` for several decisions, whose challengers are fine-tuned side by side.

    Each is claimed, judged and concluded on its own. Returns by id the state that it ends in, or
    what ``adapt`` would raise; that changes nothing for the others. Those that cannot share a
    training are adapted one after the other.
    """
    if len(decision_ids) > 1 and not trained_together(project.config):
        # Claimed when its turn comes: a claim that nobody renews meanwhile would run out.
        return {each: adapt_together(project, [each], steps)[each] for each in decision_ids}
    found: dict[str, str | Exception] = {}
    claims: dict[str, Claim] = {}
    for decision_id in decision_ids:
        try:
            claim = _claimed(project, decision_id, steps)
        except Exception as error:
            found[decision_id] = error
            continue
        if isinstance(claim, Claim):
            claims[decision_id] = claim
        else:
            found[decision_id] = claim
    benches = {decision_id: Workbench(project, decision_id) for decision_id in claims}
    held = HeldClaims(project.ledger, {each: claim.owner for each, claim in claims.items()})
    trained = _fine_tuned(held, benches, steps)
    for decision_id, claim in claims.items():
        bench = benches.pop(decision_id)
        try:
            found[decision_id] = _judged(
                project, claim, held, bench, trained.get(decision_id), steps
            )
        except Exception as error:
            found[decision_id] = error
        held.drop(decision_id)
    return found


def _claimed(project: Project, decision_id: str, steps: Steps) -> Claim | str:
    """The claim, or the decision's state where there is nothing to do."""
    ledger = project.ledger
    owner = steps.run("claim", decision_id, lambda: ledger.claim(decision_id))
    if owner is not None:
        return Claim(decision_id, owner)
    state = steps.run("state of", decision_id, lambda: ledger.decision(decision_id).state)
    log.info("%s: nothing to do, its state is '%s'", decision_id, state)
    return str(state)


def _fine_tuned(
    held: HeldClaims, benches: dict[str, Workbench], steps: Steps
) -> Mapping[str, TrainingFigures | Exception]:
    """What came of several decisions' fine-tuning; nothing yet of one that is alone.

    One alone is fine-tuned where its errors are tried again.
    """
    if len(benches) < 2:
        return {}
    try:
        return steps.run(
            FINE_TUNE, ", ".join(benches), lambda: steps.fine_tune([*benches.values()], held.renew)
        )
    except Exception as error:
        return dict.fromkeys(benches, error)


def _judged(
    project: Project,
    claim: Claim,
    held: HeldClaims,
    bench: Workbench,
    trained: TrainingFigures | Exception | None,
    steps: Steps,
) -> str:
    """Gate and end of a claim whose challenger is trained; its training, where that is to come."""
    decision_id, ledger = claim.decision_id, project.ledger

    def alone() -> TrainingFigures:
        figures = steps.fine_tune([bench], held.renew)[decision_id]
        if isinstance(figures, Exception):
            raise figures
        return figures

    def work() -> str:
        # Those before it in the group were judged meanwhile.
        held.renew(decision_id)
        training = trained
        if training is None or _may_pass_alone(training, steps):
            training = steps.run(FINE_TUNE, decision_id, alone)
        elif isinstance(training, Exception):
            raise training
        figures = training
        gate = steps.run("gate", decision_id, lambda: steps.judge(bench))
        state = steps.run("conclude", decision_id, lambda: conclude(project, claim, figures, gate))
        log.info("%s: adapted: %s", decision_id, state)
        return state

    with steps.about(decision_id):
        return carry_out(ledger, claim, work, lambda error: fault_of(error).adaptation, steps)


def _may_pass_alone(trained: TrainingFigures | Exception, steps: Steps) -> bool:
    """Whether what failed among others is worth a try alone, where memory may suffice."""
    if not isinstance(trained, Exception):
        return False
    return isinstance(trained, DeviceFullError) or steps.may_pass(trained)


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
