"""What earlier challengers gained when they were judged for the first time."""

import json
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import JsonValue
from scipy.special import ndtri

from driftune.registry.indexes import is_asked
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions

# The newest that count: a year of a few domains a day, and a bound for many.
MOST = 1000


class FirstLook(NamedTuple):
    """A challenger's estimated gain over its champion, and the estimate's standard error."""

    gain: float
    error: float


def first_looks(ledger: Ledger, backbone: str, before: date, metric: str) -> list[FirstLook]:
    """The first judged look of each challenger under a backbone by days before, newest first.

    The first one alone: whether there is another depends on what it showed. Of the ``MOST`` newest
    decisions with a report; those whose report is damaged, or whose champion or challenger was
    weaker than plain models, are left out.
    """
    query = (
        # As text: one damaged report must not hide the others.
        sa.select(sa.type_coerce(decisions.c.gate, sa.Text))
        .where(
            decisions.c.backbone == backbone,
            decisions.c.day < before.isoformat(),
            is_asked(),
            decisions.c.gate.is_not(None),
        )
        .order_by(decisions.c.day.desc(), decisions.c.id)
        .limit(MOST)
    )
    if ledger.engine.dialect.name == "postgresql":
        query = query.with_only_columns(sa.cast(decisions.c.gate, sa.Text))
    found = []
    for (text,) in ledger.read(query):
        try:
            report = json.loads(text)
        except ValueError:
            continue
        if isinstance(report, dict) and report.get("metric") == metric:
            look = _first_look(report, before)
            if look is not None:
                found.append(look)
    return found


def _first_look(report: dict[str, JsonValue], before: date) -> FirstLook | None:
    """The first look that judged anything, if it was by a day before, and not of weak sides."""
    weak, looks = report.get("weak"), report.get("looks")
    if isinstance(weak, dict) and any(weak.values()):
        return None
    for look in looks if isinstance(looks, list) else ():
        if not isinstance(look, dict):
            return None
        figures = [look.get(name) for name in ("estimate", "low", "high", "confidence")]
        numbers = [float(each) for each in figures if isinstance(each, int | float)]
        if len(numbers) < len(figures):
            continue
        estimate, low, high, confidence = numbers
        if str(look.get("day")) >= before.isoformat() or not 0 < confidence < 1:
            return None
        return FirstLook(estimate, (high - low) / (2 * float(ndtri((1 + confidence) / 2))))
    return None
