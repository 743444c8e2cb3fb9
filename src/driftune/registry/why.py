"""Why a decision stands where it does, in one sentence."""

from typing import Protocol

from driftune.registry.records import Decision, State
from driftune.registry.records.gate import GateVerdict, RuleVerdict, WaitsFor
from driftune.registry.records.states import QUIET

_UNJUDGED = (State.REVIEW, State.PENDING, State.CLAIMED)


class Standing(Protocol):
    """What says whether a gate may have judged a decision."""

    @property
    def state(self) -> str:
        """The state."""

    @property
    def note(self) -> str | None:
        """What happened to it last, if anything."""


def is_judged(row: Standing) -> bool:
    """Whether a gate's report may say why a decision stands where it does."""
    return not (row.note or row.state in QUIET or row.state in _UNJUDGED)


def why(row: Decision) -> str:
    """The sentence of what decided: of the drift detection, an error, or the gate's first rule.

    A report that is damaged is told as such.
    """
    if not is_judged(row):
        return row.note or row.sentence
    row = row.readable()
    gate = row.gate
    if row.note or gate is None:
        return row.note or row.sentence
    scarce = gate.decision == GateVerdict.INSUFFICIENT or gate.waits_for == WaitsFor.DATA
    wanted = RuleVerdict.INSUFFICIENT if scarce else RuleVerdict.FAIL
    broken = (rule.sentence for rule in gate.rules if rule.verdict == wanted and rule.sentence)
    return next(broken, row.sentence)
