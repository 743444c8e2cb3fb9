"""Champions that rest on a day which was delivered anew since: who they are, and their message."""

from collections.abc import Callable, Collection
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.claims import ACTED
from driftune.registry.database import Database
from driftune.registry.schema import adapters, champions, decisions


class StaleChampion(NamedTuple):
    """A champion that rests on a day delivered anew since; ``day`` is its decision's.

    ``newer``: a decision of the domain about a later day that was, or may become, adapted for. It
    would supersede whatever is decided of ``day`` now.
    """

    domain_key: str
    domain: str
    version: int
    decision: str
    day: str
    stale: str
    newer: str | None

    @property
    def told(self) -> str:
        """It, and what can be done, in one sentence."""
        return (
            f"version {self.version} rests on a day that has changed: {self.stale}; the guard "
            f"checks it on each new day; {self.remedy}, driftune rollback {self.domain_key} takes "
            "it back at once"
        )

    @property
    def remedy(self) -> str:
        """The command by which another version comes to serve instead, and what it does."""
        if self.newer is None:
            return (
                f"driftune run --day {self.day} --decide-again takes it back and decides its day "
                "by what the lake holds now"
            )
        return (
            f"its day is not decided again, as decision {self.newer} is newer; driftune adapt "
            f"--domain {self.domain_key} --why … has a challenger trained by the newest day, which "
            "replaces it if the gate lets it"
        )


def _query() -> sa.Select[tuple[str, str, int, str, str, str, str | None]]:
    """Selects the ``StaleChampion`` of each domain whose champion is one."""
    later = decisions.alias("later")
    newer = (
        sa.select(sa.func.max(later.c.id))
        .where(
            later.c.domain_key == champions.c.domain_key,
            later.c.day > decisions.c.day,
            later.c.state.in_(ACTED),
        )
        .correlate(champions, decisions)
        .scalar_subquery()
    )
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
            newer,
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
