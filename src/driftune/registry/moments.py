"""Times in the ledger that tell the order of things, also where the wall clock was set back."""

import math
import time

import sqlalchemy as sa

from driftune.registry.schema import decisions, switches


def moment(connection: sa.Connection, key: str, day: str | None = None) -> float:
    """Now, in seconds since 1970, but later than what happened to the domain (key) before.

    That is its last switch and its last decision; with ``day`` (ISO) only decisions about that day
    count, which is quicker. In the caller's transaction.
    """
    decided = sa.select(sa.func.max(decisions.c.decided_at)).where(decisions.c.domain_key == key)
    if day is not None:
        decided = decided.where(decisions.c.day == day)
    switched = sa.select(sa.func.max(switches.c.at)).where(switches.c.domain_key == key)
    before = [connection.scalar(query) or 0.0 for query in (decided, switched)]
    return max(time.time(), *(math.nextafter(each, math.inf) for each in before))
