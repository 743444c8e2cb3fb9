"""Messages of the states that Prefect stores: no password or token of anybody's exception."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import prefect._internal.states as sync_states
import prefect.states as states
import pytest

from tasks.stored import guard_states

SECRET = "s3cr3t-Pa55"


class DriverError(Exception):
    """As a driver or a client raises it: of no class of Driftune's."""


def _of_the_other_engine(made: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def make(error: Exception) -> Any:
        return made(error)

    return make


@pytest.mark.parametrize(
    "made",
    [
        states.exception_to_failed_state,
        states.exception_to_crashed_state,
        _of_the_other_engine(sync_states.exception_to_failed_state_sync),
        _of_the_other_engine(sync_states.exception_to_crashed_state_sync),
    ],
)
def test_a_foreign_exception_is_stored_without_its_secrets(
    made: Callable[..., Awaitable[Any]],
) -> None:
    guard_states()
    error = DriverError(f"cannot reach postgresql://ann:{SECRET}@db/x?token={SECRET}\x1b[31m")
    message = asyncio.run(made(error)).message
    assert SECRET not in message
    assert "DriverError: cannot reach postgresql://…@db/x?token=…" in message
    assert "\x1b" not in message
