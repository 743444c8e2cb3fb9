"""A claim under way: its work is done to an end, whatever happens in it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from driftune.adaptation.faults import End
from driftune.adaptation.steps import Steps
from driftune.errors import note_of
from driftune.registry.ledger import Ledger

log = logging.getLogger("driftune")


@dataclass(frozen=True)
class Claim:
    """A decision that this run alone works on, as ``owner``, until its lease runs out."""

    decision_id: str
    owner: str


def supersede(ledger: Ledger, claim: Claim, note: str) -> str:
    """End a claim whose decision was overtaken; returns the decision's new state.

    Raises:
        LedgerError: when the claim was lost meanwhile.
    """
    with ledger.write() as connection:
        ledger.finish(connection, claim.decision_id, claim.owner, "superseded", note=note)
    return "superseded"


def carry_out(
    ledger: Ledger,
    claim: Claim,
    work: Callable[[], str],
    end_of: Callable[[Exception], End],
    steps: Steps,
) -> str:
    """Do the work of a claim; returns the decision's new state.

    Args:
        work: from the claim to its conclusion; returns the state.
        end_of: what becomes of the claim when the work raises (see ``faults``).
        steps: runs what ends the claim then.

    Raises:
        Exception: the work's own one, when the claim was given back.
    """
    decision_id, owner = claim.decision_id, claim.owner
    try:
        return work()
    except Exception as error:
        end, note = end_of(error), note_of(error)
        if end is End.SUPERSEDE:
            log.info("%s: %s", decision_id, error)
            return steps.run("supersede", decision_id, lambda: supersede(ledger, claim, note))
        final, tried = end is End.FAIL, end is not End.WAIT
        state = steps.run(
            "give back",
            decision_id,
            lambda: ledger.release(decision_id, owner, note, final=final, tried=tried),
        )
        if not final:
            raise
        log.warning("%s: %s", decision_id, error)
        return state
