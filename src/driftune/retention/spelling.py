"""Ids that differ in their spelling alone: letter case, blanks around, leading zeros, ``.0``."""

from collections.abc import Sequence

from driftune.lake.duck import Connection


def alike(con: Connection, text: str, source: str, users: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of an id of ``users`` and another of ``source`` that is spelled alike, in order.

    ``text`` is the SQL expression of an id over the relation ``source``.
    """
    rows = con.execute(
        f"SELECT asked.id, other.id FROM (SELECT unnest($1::VARCHAR[]) AS id) AS asked "
        f"JOIN (SELECT DISTINCT {text} AS id FROM {source}) AS other "
        f"ON {_bare('asked.id')} = {_bare('other.id')} "
        "WHERE asked.id <> other.id ORDER BY ALL",
        [list(users)],
    ).fetchall()
    return [(asked, other) for asked, other in rows]


def _bare(text: str) -> str:
    """An id as SQL without what its spelling may add."""
    text = rf"lower(regexp_replace({text}, '^[\s\p{{Z}}]+|[\s\p{{Z}}]+$', '', 'g'))"
    text = rf"regexp_replace({text}, '^([0-9]+)\.0+$', '\1')"
    return rf"regexp_replace({text}, '^0+(.)', '\1')"
