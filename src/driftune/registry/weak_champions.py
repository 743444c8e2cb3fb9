"""Weak champions: who serves and was found worse than chance, or than plain rates, by a gate."""

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import Decision, State
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

    It is what the newest gate that compared the version found, of whoever serves now. Gates under
    another backbone than that of the newest decision judged other models; those that lacked data
    found nothing.
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
    """What gates said of weak sides under the newest backbone, by day, then last change."""
    newest = (
        sa.select(decisions.c.backbone)
        .order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    gate = decisions.c.gate
    held = (gate.is_not(None), sa.cast(gate, sa.Text) != "null", decisions.c.backbone == newest)
    columns = [
        *(decisions.c[name] for name in ("domain_key", "day", "state", "adapter_version")),
        sa.func.coalesce(gate["champion_serves"].as_integer(), decisions.c.champion_version),
        *(gate[("weak", side)].as_string() for side in ("champion", "challenger")),
    ]
    order = (decisions.c.day, decisions.c.updated_at, decisions.c.id)
    query = sa.select(*columns).where(*held, gate["weak"].as_string().is_not(None))
    try:
        return [_Judged(*row) for row in ledger.read(query.order_by(*order))]
    except sa.exc.DBAPIError:
        # A figure of an old report that is not a number is no JSON to the database.
        return list(_parsed(ledger.decisions(*held)))


def _parsed(rows: list[Decision]) -> Iterator[_Judged]:
    """As the database would have it, one by one; a damaged report is left out."""
    for row in sorted(rows, key=lambda row: (row.day, row.updated_at, row.id)):
        gate = row.readable().gate
        if gate is None or gate.weak is None:
            continue
        serves = row.champion_version if gate.champion_serves is None else gate.champion_serves
        yield _Judged(
            row.domain_key,
            row.day,
            str(row.state),
            row.adapter_version,
            serves,
            gate.weak.champion,
            gate.weak.challenger,
        )
