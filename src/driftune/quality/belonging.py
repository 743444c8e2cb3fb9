"""How a column goes with the items and users of a day: a part of the day's profile."""

from dataclasses import dataclass
from typing import Literal

from driftune.lake.duck import Connection, identifier, one_row
from driftune.quality.day_profile import AttributeProfile


@dataclass(frozen=True)
class Owner:
    """What an attribute belongs to, and the keys of the column's profile that say how."""

    name: Literal["item", "user"]
    share: Literal["per_item", "per_user"]
    rows: Literal["per_item_rows", "per_user_rows"]
    values: Literal["items", "users"]


ITEM = Owner("item", "per_item", "per_item_rows", "items")
USER = Owner("user", "per_user", "per_user_rows", "users")
# So many of the day's most frequent items and users are remembered, with their values.
OWNERS = 500
# Where more of users' rows differ than this share, the column is nothing of theirs to remember.
LOOSE = 0.05


def measure_attribute(con: Connection, staged: str, *, number: bool) -> AttributeProfile:
    """How one column of the tables ``looked`` and ``by_user`` goes with items and users.

    ``per_item`` and ``per_user``: of the rows whose item (user) has several, the share that differs
    from its most frequent value, and how many such rows there are; ``items`` and ``users``: by item
    (user) its most frequent value, of a number the median; users' where it may be an attribute of
    theirs. Ties go to the larger value.
    """
    column = identifier(staged)
    found: AttributeProfile = {}
    for owner, table in ((USER, "by_user"), (ITEM, "looked")):
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE pairs AS
            SELECT {owner.name}_id AS owner, {column} AS value, count(*) AS n
            FROM {table} WHERE {owner.name}_id IS NOT NULL GROUP BY ALL
            """
        )
        row = one_row(
            con,
            """
            SELECT sum(rows - most) / sum(rows), sum(rows) FROM (
                SELECT max(n) AS most, sum(n) AS rows FROM pairs
                GROUP BY owner HAVING sum(n) > 1
            )
            """,
        )
        if row[1]:
            found[owner.share], found[owner.rows] = float(row[0]), int(row[1])
        if owner.name == "user" and found.get("per_user", 1.0) > LOOSE:
            continue
        most = """
            SELECT owner, arg_max(value, (n, value)) FROM pairs WHERE value IS NOT NULL
            GROUP BY owner ORDER BY sum(n) DESC, owner
        """
        middle = f"""
            SELECT {owner.name}_id, quantile_disc({column}, 0.5) FROM {table}
            WHERE {column} IS NOT NULL AND {owner.name}_id IS NOT NULL
            GROUP BY 1 ORDER BY count(*) DESC, 1
        """
        values = con.execute(f"{middle if number else most} LIMIT {OWNERS}").fetchall()
        found[owner.values] = dict(values)
    return found
