"""Columns that name something: whether they name the same when their type has changed.

The lake holds names as text. A change of type is harmless where every value reads as it would have
read before; else the same user, item or domain would go by two names.
"""

from dataclasses import dataclass, replace
from datetime import date

from driftune.config import ColumnRole, Config
from driftune.features.counters import lake_column
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, literal
from driftune.lake.table import Lake
from driftune.lake.types import EMPTY, family, is_nested


@dataclass(frozen=True)
class Recast:
    """A change of type: the ``target`` to cast to (None: values read the same without), and how
    many rows (``lost``) name something else, with an ``example`` and ``where`` it is from; where
    they are ``few``, they keep their writing."""

    target: str | None
    lost: int = 0
    example: str = ""
    where: str = ""
    few: bool = False


def identities(config: Config) -> dict[str, str]:
    """Delivered columns whose values name something, and the lake's text of each as SQL."""
    columns, domain = config.columns, config.columns.domain
    parts = domain if isinstance(domain, list) else [domain]
    named = f"nullif(domain, {literal(roles.OTHER_DOMAIN)})" if _folds(config) else "domain"
    texts: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        split = roles.domain_part(named, number)
        texts[part if isinstance(part, str) else ""] = split if len(parts) > 1 else named
    given: dict[str, ColumnRole | None] = {
        "user_id": columns.user,
        "item_id": columns.item,
        "category": columns.category,
        "request_id": columns.request,
    }
    texts |= {role: text for text, role in given.items() if isinstance(role, str)}
    texts |= {
        role: lake_column(name)
        for name, role in config.features.categorical.items()
        if isinstance(role, str)
    }
    return {name: text for name, text in texts.items() if name and not config.is_of_table(name)}


def _folds(config: Config) -> bool:
    return config.domains.unknown == "other"


def is_changed(was: str, now: str) -> bool:
    """Whether values of two types may read differently."""
    return family(was) != family(now) and EMPTY not in (was, now)


def recast(con: Connection, config: Config, name: str, was: str, now: str, day: date) -> Recast:
    """Judge the column ``name`` of ``raw`` on ``day``, whose type changed from ``was``.

    From text the names of the newest day before decide: a number cannot tell 007 from 7.
    """
    column = identifier(name)
    if is_nested(was) or is_nested(now):
        return _lost(con, f"{column} IS NOT NULL", column, None)
    # An id that became a number with a fraction reads as 7.0 where it was 7.
    whole = family(was) == "whole" or family(now) in ("whole", "DOUBLE")
    kind = "HUGEINT" if "HUGEINT" in was + now or "UBIGINT" in was + now else "BIGINT"
    if family(was) != "VARCHAR":
        target = kind if family(was) == "whole" else was
        return _lost(con, _differs(column, target, now), column, target)
    fits = Recast(None)
    if family(now) == "DOUBLE":
        fits = _lost(con, _differs(column, "BIGINT", now), column, "BIGINT")
        if fits.lost:
            return fits
    return _unnamed(con, config, name, kind if whole else now, day) or fits


def misread(con: Connection, name: str, was: str, tolerated: float) -> Recast | None:
    """Judge a column of text files that was of type ``was`` before; None where its text fits.

    A share of ``tolerated`` may be of another form: such values keep their writing.
    """
    column = identifier(name)
    target = "HUGEINT" if family(was) == "whole" else was
    wrong = f"nullif(trim({column}), '') IS NOT NULL AND {_differs(column, target, 'VARCHAR')}"
    # Of a UUID the lake knows one writing; others of the same are cast to it.
    found = _lost(con, wrong, column, "UUID" if was == "UUID" else None)
    ((given,),) = con.execute(f"SELECT count({column}) FROM raw").fetchall()
    few = found.lost <= tolerated * given
    if found.target and few and _any(con, f"{column} <> lower({column})"):
        return replace(found, few=True)
    return replace(found, target=None, few=few) if found.lost else None


def _any(con: Connection, condition: str) -> bool:
    ((found,),) = con.execute(f"SELECT coalesce(bool_or({condition}), false) FROM raw").fetchall()
    return bool(found)


def _differs(column: str, target: str, now: str) -> str:
    if (target, now) == ("UUID", "VARCHAR"):
        return f"{column} IS NOT NULL AND TRY_CAST({column} AS UUID) IS NULL"
    return f"TRY_CAST(TRY_CAST({column} AS {target}) AS {now}) IS DISTINCT FROM {column}"


def _lost(con: Connection, wrong: str, column: str, target: str | None) -> Recast:
    ((rows, file, value),) = con.execute(
        f"SELECT count(*), any_value(_driftune_file), left(any_value({column}::VARCHAR), 60) "
        f"FROM raw WHERE {wrong}"
    ).fetchall()
    return Recast(target, rows, value, f"in {file}")


def _unnamed(con: Connection, config: Config, name: str, kind: str, day: date) -> Recast | None:
    """Rows of the newest day before whose text no value of type ``kind`` reads as."""
    view = Lake.of(config)
    earlier = [other for other in view.days if other < day]
    if not earlier:
        return None
    text, relation = identities(config)[name], view.relation(earlier[-1:])
    columns = {row[0] for row in con.execute(f"DESCRIBE FROM {relation}").fetchall()}
    # A role that was named since has no text in the lake yet.
    if "domain" not in text and text.strip('"') not in columns:
        return None
    ((rows, value),) = con.execute(
        f"SELECT count(*), left(min(name), 60) FROM (SELECT {text} AS name FROM {relation}) "
        f"WHERE name <> '' AND TRY_CAST(name AS {kind})::VARCHAR IS DISTINCT FROM name"
    ).fetchall()
    return Recast(None, rows, value, f"on {earlier[-1]}") if rows else None
