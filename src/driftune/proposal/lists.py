"""Which columns of a log hold lists, how they are written, and where their clicks stand."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from driftune.config.explode import Explode
from driftune.lake.duck import Connection, identifier, literal
from driftune.lake.lists.explode import ListPlan
from driftune.lake.lists.paths import ListPath, NoListError, fields_of, find_list
from driftune.proposal.columns import Column
from driftune.proposal.roles import fits

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_SEPARATORS = ("|", ";", ",", " ")
_SUFFIXED = r"\S+-[01](\s+\S+-[01])*"
# The share of rows that must read as a list, and elements that a list has on average.
_MOST, _LEAST = 0.95, 1.5


def find_lists(con: Connection, columns: Sequence[Column]) -> tuple[Explode, str] | None:
    """The lists of ``sample`` as ``source.explode`` has them, and why; None where rows are
    impressions."""
    suffixed = _suffixed(con, columns)
    if suffixed is not None:
        explode = Explode.model_validate(
            {"columns": {suffixed: suffixed}, "separator": " ", "clicked": {"suffix": "-"}}
        )
        return explode, f"{suffixed} holds ids with 0 or 1 behind them"
    types = _types(con)
    lists = {path: found for path in _paths(types) if (found := _list(path, types, None))}
    separators = {c.name: sign for c in columns if (sign := _separator(con, c))}
    for name, sign in separators.items():
        if found := _list(name, types, sign):
            lists[name] = found
    lengths = {path: _lengths(con, found) for path, found in lists.items()}
    lists = {path: found for path, found in lists.items() if sum(lengths[path]) > 0}
    main = [path for path in lists if sum(lengths[path]) / max(1, len(lengths[path])) >= _LEAST]
    if not main:
        return None
    # Of lists of the same lengths one is what was shown, the others stand beside it.
    groups = Counter(tuple(lengths[path]) for path in main)
    best = max(main, key=lambda path: (fits("item", path), groups[tuple(lengths[path])]))
    beside = [path for path in main if lengths[path] == lengths[best]]
    named = _named({path: lists[path] for path in [best, *(p for p in beside if p != best)]})
    used = {path: sign for path in beside if (sign := separators.get(path))}
    settings = {"columns": named, "separator": _one_of(used)}
    item = next((name for name in named if fits("item", name)), next(iter(named)))
    explode = Explode.model_validate(settings)
    clicked = None
    if not any(fits("click", name) for name in named):
        clicked = _clicked(con, explode, item, types, columns)
    if clicked:
        explode = Explode.model_validate({**settings, "clicked": clicked})
    each = sum(lengths[best]) / len(lengths[best])
    return explode, f"{best} holds lists, of {each:.1f} elements on average"


def explode_sample(con: Connection, explode: Explode) -> None:
    """Replace ``sample`` by the rows that its lists make."""
    con.execute(
        "CREATE VIEW lists AS SELECT rowid AS _driftune_row, '' AS _driftune_file, "
        "0::UBIGINT AS _driftune_fingerprint, '' AS _driftune_sha, * FROM sample"
    )
    plan = ListPlan(explode, "", _types(con), next(iter(explode.columns)), ())
    con.execute(plan.table(""))
    con.execute("DROP VIEW lists")
    con.execute("DROP TABLE sample")
    con.execute(
        "CREATE TABLE sample AS SELECT * EXCLUDE (_driftune_row, _driftune_file, "
        "_driftune_fingerprint, _driftune_element) FROM elements"
    )


def _types(con: Connection) -> dict[str, "DuckDBPyType"]:
    described = con.sql("FROM sample LIMIT 0")
    return dict(zip(described.columns, described.types, strict=True))


def _suffixed(con: Connection, columns: Sequence[Column]) -> str | None:
    for column in columns:
        if column.kind != "VARCHAR" or not column.filled:
            continue
        text = f"trim({identifier(column.name)})"
        ((share, each),) = con.execute(
            f"SELECT avg(regexp_full_match({text}, {literal(_SUFFIXED)})::INT), "
            f"avg(len(regexp_split_to_array({text}, '\\s+'))) FROM sample WHERE {text} <> ''"
        ).fetchall()
        if share >= _MOST and each >= _LEAST:
            return column.name
    return None


def _paths(types: dict[str, "DuckDBPyType"]) -> list[str]:
    """Paths to all lists in columns and structs, and to the fields of their elements."""
    found: list[str] = []

    def walk(path: str, kind: "DuckDBPyType", *, inside: bool) -> None:
        if kind.id == "list" and not inside:
            inner = kind.children[0][1]
            assert not isinstance(inner, int | list)
            walk(path, inner, inside=True)
        elif kind.id == "struct":
            for name, field in fields_of(kind).items():
                walk(f"{path}.{name}", field, inside=inside)
        elif inside and kind.id != "list":
            found.append(path)

    for name, kind in types.items():
        walk(name, kind, inside=False)
    return found


def _list(path: str, types: dict[str, "DuckDBPyType"], sign: str | None) -> ListPath | None:
    try:
        return find_list(path, types, sign)
    except NoListError:
        return None


def _separator(con: Connection, column: Column) -> str | None:
    """The sign between the elements of a text; an empty text for a JSON array."""
    if column.kind != "VARCHAR" or not column.filled or column.is_number:
        return None
    text = f"trim({identifier(column.name)})"
    ((arrays,),) = con.execute(
        f"SELECT avg((starts_with({text}, '[') AND ends_with({text}, ']'))::INT) "
        f"FROM sample WHERE {text} <> ''"
    ).fetchall()
    if arrays >= _MOST:
        return None
    for sign in _SEPARATORS:
        # Elements of a list are of one kind, and words of a sentence are not: digits tell.
        ((share, each),) = con.execute(
            f"SELECT avg((len(parts) > 1)::INT), avg(len(list_filter(parts, "
            "lambda p: regexp_matches(p, '[0-9]'))) / len(parts)) "
            f"FROM (SELECT string_split({text}, {literal(sign)}) AS parts "
            f"FROM sample WHERE {text} <> '')"
        ).fetchall()
        if share >= 0.8 and each >= 0.9:
            return sign
    return None


def _lengths(con: Connection, found: ListPath) -> list[int]:
    rows = con.execute(f"SELECT coalesce(len({found.sql}), 0) FROM sample LIMIT 2000").fetchall()
    return [length for (length,) in rows]


def _named(lists: dict[str, ListPath]) -> dict[str, str]:
    """Names of the columns that are made: the last part of a path where no other has it."""
    last = Counter(path.split(".")[-1] for path in lists)
    return {
        (path.split(".")[-1] if last[path.split(".")[-1]] == 1 else path.replace(".", "_")): path
        for path in lists
    }


def _one_of(separators: dict[str, str]) -> str | dict[str, str] | None:
    signs = set(separators.values())
    if len(signs) > 1:
        return separators
    return signs.pop() if signs else None


def _clicked(
    con: Connection,
    explode: Explode,
    item: str,
    types: dict[str, "DuckDBPyType"],
    columns: Sequence[Column],
) -> dict[str, str | int] | None:
    """The column that says the clicks: ids that are elements, or places."""
    shown = find_list(explode.columns[item], types, explode.separator_of(explode.columns[item]))
    elements = f"coalesce(list_transform({shown.sql}, lambda e: {shown.text('e')}), [])"
    taken = {path.split(".")[0] for path in explode.columns.values()}
    for column in columns:
        if column.name in taken or not column.filled or column.is_time or column.is_binary:
            continue
        for path in [column.name, *(p for p in _paths(types) if p.startswith(f"{column.name}."))]:
            try:
                marks = find_list(path, types, None, alone=True)
            except NoListError:
                continue
            texts = f"coalesce(list_transform({marks.sql}, lambda m: {marks.text('m')}), [])"
            ((inside,),) = con.execute(
                f"SELECT avg(list_has_all({elements}, {texts})::INT) FROM sample "
                f"WHERE len({texts}) > 0 AND len({elements}) > 1"
            ).fetchall()
            if (inside or 0) >= _MOST:
                return {"ids": path}
    for column in columns:
        if column.name not in taken and column.is_number and fits("click", column.name):
            low = column.low or 0
            return {"at": column.name, "first": 0 if low < 1 else 1}
    return None
