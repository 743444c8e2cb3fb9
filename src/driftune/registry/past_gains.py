"""What earlier challengers gained when they were judged for the first time."""

from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from scipy.special import ndtri

from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions

# The newest that count: a year of a few domains a day, and a bound for many.
MOST = 1000


class FirstLook(NamedTuple):
    """A challenger's estimated gain over its champion, and the estimate's standard error."""

    gain: float
    error: float


def first_looks(ledger: Ledger, backbone: str, before: date, metric: str) -> list[FirstLook]:
    """The first judged look of each challenger under a backbone on days before, newest first.

    The first one alone: whether there is another depends on what it showed. The ``MOST`` newest.
    """
    query = (
        sa.select(decisions.c.gate["looks"].label("looks"))
        .where(
            decisions.c.backbone == backbone,
            decisions.c.day < before.isoformat(),
            decisions.c.gate["metric"].as_string() == metric,
        )
        .order_by(decisions.c.day.desc(), decisions.c.id)
        .limit(MOST)
    )
    found = []
    for row in ledger.read(query):
        for look in row.looks or ():
            ends = [look.get(name) for name in ("estimate", "low", "high", "confidence")]
            if all(isinstance(value, int | float) for value in ends):
                estimate, low, high, confidence = ends
                width = 2 * float(ndtri((1 + confidence) / 2))
                found.append(FirstLook(estimate, (high - low) / width))
                break
    return found
