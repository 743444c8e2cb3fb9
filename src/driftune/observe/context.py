"""What a log line is about: run, flow, day, station, domain, decision; kept by thread and task."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

FIELDS = ("run", "flow", "day", "station", "domain", "decision")

_about: ContextVar[Mapping[str, str]] = ContextVar("driftune_about")


@contextmanager
def about(**what: Any) -> Iterator[None]:
    """Log lines inside are about this, besides what they were about; None is left out.

    Threads that copy the context, as those of Prefect's tasks do, keep it.
    """
    named = {name: str(value) for name, value in what.items() if value is not None}
    token = _about.set({**current(), **named})
    try:
        yield
    finally:
        _about.reset(token)


def current() -> Mapping[str, str]:
    """What log lines are about here, by the names of ``FIELDS``."""
    return _about.get({})


class Telling(logging.Filter):
    """Gives records what they are about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        for name, value in current().items():
            setattr(record, name, value)
        return True
