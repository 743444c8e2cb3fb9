"""Erasures in the ledger: the list of erased users, so that neither place alone can lose it."""

from typing import NamedTuple

import sqlalchemy as sa

from driftune.errors import LedgerError
from driftune.lake.suppressed import Erasure, Suppressed, chain
from driftune.registry.database import Database
from driftune.registry.schema import erased_days, erasures


class Standing(NamedTuple):
    """What the ledger's list says in short: how many erasures (``number``), the key and the hash
    of the whole (empty without any), and the numbers of those that did not end."""

    number: int
    salt: str
    state: str
    open: frozenset[int]


def standing(ledger: Database) -> Standing:
    """The ledger's list in short; its users are not read."""
    last = sa.select(erasures.c.number, erasures.c.salt, erasures.c.chain)
    row = ledger.one(last.order_by(erasures.c.number.desc()).limit(1))
    if row is None:
        return Standing(0, "", "", frozenset())
    left = ledger.read(sa.select(erasures.c.number).where(erasures.c.finished.is_(None)))
    return Standing(row.number, row.salt, row.chain, frozenset(number for (number,) in left))


def kept_list(ledger: Database) -> Suppressed | None:
    """The list that the ledger holds; None before the first erasure.

    Raises:
        LedgerError: when a part of it is missing or was changed.
    """
    rows = ledger.read(sa.select(erasures).order_by(erasures.c.number))
    if not rows:
        return None
    found = chain(rows[0].salt, [row.users for row in rows])[1:]
    whole = all(row.number == place for place, row in enumerate(rows, 1))
    if not whole or found != [row.chain for row in rows]:
        raise LedgerError(
            "registry.ledger: its list of erased users is damaged; put a backup of the ledger back"
        )
    days: dict[str, dict[str, str]] = {}
    for row in ledger.read(sa.select(erased_days)):
        days.setdefault(row.day, {})[row.source] = row.content
    return Suppressed(
        salt=rows[0].salt,
        keyed=rows[0].keyed,
        number=len(rows),
        days=days,
        erasures=[
            Erasure(
                at=row.at,
                by=row.who,
                why=row.why,
                users=row.users,
                finished=row.finished,
                removed=row.removed,
            )
            for row in rows
        ],
    )


def keep_list(ledger: Database, held: Suppressed) -> None:
    """Write the list to the ledger, in the place of what it has, in one transaction."""
    chained = chain(held.salt, [each.users for each in held.erasures])[1:]
    rows = [
        {
            "number": number,
            "salt": held.salt,
            "keyed": held.keyed,
            "chain": said,
            "at": each.at,
            "who": each.by,
            "why": each.why,
            "users": each.users,
            "finished": each.finished,
            "removed": each.removed,
        }
        for number, (each, said) in enumerate(zip(held.erasures, chained, strict=True), 1)
    ]
    noted = [
        {"day": day, "source": source, "content": content}
        for day, contents in held.days.items()
        for source, content in contents.items()
    ]
    with ledger.write() as connection:
        for table, values in ((erasures, rows), (erased_days, noted)):
            connection.execute(table.delete())
            if values:
                connection.execute(table.insert(), values)


def copy_erasures(source: Database, target: Database) -> None:
    """Write the list of a ledger into another one."""
    if (held := kept_list(source)) is not None:
        keep_list(target, held)
