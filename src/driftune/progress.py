"""Progress of long work, sent through logging: whoever wants bars attaches a handler."""

import logging

LOGGER = "driftune.progress"


def report(what: str, done: int, total: int) -> None:
    """Say that ``done`` of ``total`` steps of ``what`` are finished."""
    logging.getLogger(LOGGER).debug(
        "%s %d/%d", what, done, total, extra={"what": what, "done": done, "total": total}
    )
