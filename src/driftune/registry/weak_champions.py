"""Weak champions: who serves and was found worse than chance, or than plain rates, by a gate."""

from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import State
from driftune.registry.schema import decisions


class _Judged(NamedTuple):
    """A judged decision: who was compared, and what is wrong with either side, in words."""

    domain_key: str
    day: str
    state: str
    brought: int | None
    served: int
    champion: str | None
    challenger: str | None


def weak_champions(ledger: Ledger) -> dict[str, str]:
    """By domain key what is wrong with its champion, or the frozen base, in a sentence.

    It is what the newest gate that compared the version found, of whoever serves now.
    """
    found: dict[tuple[str, int], tuple[str, str | None]] = {}
    for row in _judged(ledger):
        found[(row.domain_key, row.served)] = row.day, row.champion
        if row.state == State.PROMOTED and row.brought is not None:
            found[(row.domain_key, row.brought)] = row.day, row.challenger
    pointers = ledger.champions()
    weak = {}
    for (key, version), (day, told) in found.items():
        serves = pointers[key].version if key in pointers else BASE
        if told is not None and version == serves:
            name = f"version {version}" if version else "the frozen base"
            weak[key] = f"{name} {told}, by the gate's rows of {day}"
    return weak


def _judged(ledger: Ledger) -> list[_Judged]:
    """All judged decisions, by day, then last change."""
    gate = decisions.c.gate
    columns = [
        *(decisions.c[name] for name in ("domain_key", "day", "state", "adapter_version")),
        sa.func.coalesce(gate["champion_serves"].as_integer(), decisions.c.champion_version),
        *(gate[("weak", side)].as_string() for side in ("champion", "challenger")),
    ]
    order = (decisions.c.day, decisions.c.updated_at)
    query = sa.select(*columns).where(decisions.c.gate.is_not(None)).order_by(*order)
    try:
        return [_Judged(*row) for row in ledger.read(query)]
    except sa.exc.DBAPIError:
        # A figure of an old report that is not a number is no JSON to the database; reports of
        # releases that wrote such figures do not know of weak sides.
        return []
