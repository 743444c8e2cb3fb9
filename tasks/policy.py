"""How tasks behave when something fails: only what may pass by itself is tried again."""

from typing import Any

from prefect.cache_policies import NO_CACHE

from driftune.errors import DriftuneError, LedgerBusyError, SourceUnavailableError


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Whether a failure may pass by itself: storage, network or a lock, and no wrong input."""
    try:
        state.result()
    except Exception as error:
        return passes(error)
    return False


def passes(error: Exception) -> bool:
    """Whether an error may pass by itself."""
    if isinstance(error, LedgerBusyError | SourceUnavailableError):
        return True
    return not isinstance(error, DriftuneError)


QUICK: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": [2, 10],
    "retry_condition_fn": may_pass,
    "timeout_seconds": 1800,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
LONG: dict[str, Any] = {**QUICK, "retries": 1, "timeout_seconds": 6 * 3600}
# On threads, which a timeout could not interrupt.
SPREAD: dict[str, Any] = {"timeout_seconds": None}
