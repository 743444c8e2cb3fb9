"""Weak champions: who serves and was found worse than chance, or than plain rates, by a gate."""

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.indexes import is_asked
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import Decision, State
from driftune.registry.schema import champions, decisions
from driftune.registry.walks import domain_keys


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
    try:
        rows = [_Judged(*row) for row in ledger.read(_newest_judged())]
    except sa.exc.DBAPIError:
        # A figure of an old report that is not a number is no JSON to the database.
        held = _held(decisions, _newest_backbone())
        rows = list(_parsed(ledger.decisions(is_asked(), *held)))
    found: dict[tuple[str, int], tuple[str, str | None]] = {}
    for row in rows:
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


def _newest_backbone() -> sa.ScalarSelect[str]:
    order = decisions.c.decided_at.desc(), decisions.c.id.desc()
    return sa.select(decisions.c.backbone).order_by(*order).limit(1).scalar_subquery()


def _held(table: sa.FromClause, backbone: sa.ScalarSelect[str]) -> list[sa.ColumnElement[bool]]:
    """Decisions under a backbone that hold a gate's report."""
    gate = table.c.gate
    return [table.c.backbone == backbone, gate.is_not(None), sa.cast(gate, sa.Text) != "null"]


def _served(table: sa.FromClause) -> sa.ColumnElement[int]:
    serves = table.c.gate["champion_serves"].as_integer()
    return sa.func.coalesce(serves, table.c.champion_version)


def _newest_judged() -> sa.Select[tuple[str | int | None, ...]]:
    """Selects a ``_Judged`` of each domain: the newest, by day, then last change, that compared or
    brought who serves it now.
    """
    keys, own = domain_keys(), decisions.alias()
    serves = sa.func.coalesce(champions.c.version, BASE)
    brought = sa.and_(own.c.state == State.PROMOTED.value, own.c.adapter_version == serves)
    newest = (
        sa.select(own.c.id)
        .where(own.c.domain_key == keys.c.domain_key, is_asked(own))
        .where(*_held(own, _newest_backbone()), own.c.gate["weak"].as_string().is_not(None))
        .where(sa.or_(brought, _served(own) == serves))
        .order_by(own.c.day.desc(), own.c.updated_at.desc(), own.c.id.desc())
        .limit(1)
        .correlate(keys, champions)
        .scalar_subquery()
    )
    told = [decisions.c.gate[("weak", side)].as_string() for side in ("champion", "challenger")]
    columns = [decisions.c[name] for name in ("domain_key", "day", "state", "adapter_version")]
    return (
        sa.select(*columns, _served(decisions), *told)
        .select_from(keys)
        .outerjoin(champions, champions.c.domain_key == keys.c.domain_key)
        .join(decisions, decisions.c.id == newest)
    )


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
