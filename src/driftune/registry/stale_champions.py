"""Champions that rest on a day which was delivered anew since: who they are, and their message."""

from collections.abc import Callable, Collection
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.schema import adapters, champions, decisions


class StaleChampion(NamedTuple):
    """A champion that rests on a day delivered anew since; ``day`` is its decision's."""

    domain_key: str
    domain: str
    version: int
    decision: str
    day: str
    stale: str

    @property
    def told(self) -> str:
        """It, and what can be done, in one sentence."""
        return (
            f"version {self.version} rests on a day that has changed: {self.stale}; the guard "
            f"checks it on each new day; driftune run --day {self.day} --decide-again takes it "
            "back and decides its day by what the lake holds now, driftune rollback "
            f"{self.domain_key} takes it back at once"
        )


def _query() -> sa.Select[tuple[str, str, int, str, str, str]]:
    """Selects the ``StaleChampion`` of each domain whose champion is one."""
    made = sa.and_(
        adapters.c.domain_key == champions.c.domain_key, adapters.c.version == champions.c.version
    )
    return (
        sa.select(
            champions.c.domain_key,
            champions.c.domain,
            champions.c.version,
            decisions.c.id,
            decisions.c.day,
            decisions.c.stale,
        )
        .join(adapters, made)
        .join(decisions, decisions.c.id == adapters.c.decision_id)
        .where(decisions.c.stale.is_not(None))
        .order_by(champions.c.domain, champions.c.domain_key)
    )


def stale_champions(database: Database) -> dict[str, StaleChampion]:
    """The stale champions by domain key."""
    return {row.domain_key: StaleChampion(*row) for row in database.read(_query())}


def tell_stale(
    connection: sa.Connection,
    tell: Callable[..., None],
    marked: Collection[str],
    day: date,
    revision: int,
) -> None:
    """Queue a message of each champion that rests on one of the ``marked`` decisions.

    ``day`` and ``revision``: what was delivered anew. In the caller's transaction.
    """
    for row in connection.execute(_query()).all():
        champion = StaleChampion(*row)
        if champion.decision not in marked:
            continue
        tell(
            connection,
            "stale",
            f"{champion.domain_key}.{champion.version}.{day}.r{revision}",
            domain=champion.domain,
            domain_key=champion.domain_key,
            day=champion.day,
            decision=champion.decision,
            sentence=champion.told,
        )
