"""Problem: why a domain's drift is not measured on a day, as a state, its rule and a sentence."""

import logging
from dataclasses import dataclass

from driftune.drift.judgement import Judgement
from driftune.errors import DriftuneError, note_of
from driftune.registry.records import State
from driftune.registry.records.states import word

log = logging.getLogger("driftune")


@dataclass(frozen=True)
class Problem:
    """A state in which drift was not measured, and a sentence that says why."""

    state: State
    sentence: str

    @property
    def rule(self) -> str:
        """The state's word: what decided."""
        return word(self.state)

    @property
    def judgement(self) -> Judgement:
        """The judgement of a domain that has it."""
        return Judgement(self.state, self.rule, None, self.sentence)


def fault(domain: str, what: str, error: BaseException) -> Problem:
    """The problem of a domain that an error has kept from being measured or decided.

    The log has the error, too, and at level debug where a crash happened.

    Args:
        what: was to be done: "its windows cannot be drawn".
    """
    note = note_of(error)
    log.error("%s: %s: %s", domain, what, note)
    if not isinstance(error, DriftuneError):
        log.debug("%s: where it crashed", domain, exc_info=error)
    return Problem(State.ERROR, f"Error: {what}: {note}")
