"""What Prefect keeps of a run that failed: its state's message, without passwords and tokens."""

from functools import wraps
from types import TracebackType

import prefect._internal.states
import prefect.states

from driftune.redact import redact
from driftune.visible import visible

# Where states are made of exceptions, for flows and tasks of either kind.
_MADE_IN = (prefect.states, prefect._internal.states)
_told = prefect.states.format_exception


@wraps(_told)
def _redacted(exc: BaseException, tb: TracebackType | None = None) -> str:
    text = _told(exc) if tb is None else _told(exc, tb)
    return visible(redact(text), keep="\n")


def guard_states() -> None:
    """Redact the messages of states from now on; errors of Driftune's own are redacted already.

    Others, of a driver or a client, may name a URL with its login: no hook sees a state before the
    server has it.
    """
    for module in _MADE_IN:
        vars(module)["format_exception"] = _redacted
