"""Which columns of a log hold lists, how they are written, and where their clicks stand."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from driftune.config.explode import MADE, Explode
from driftune.lake.duck import Connection, identifier, literal
from driftune.lake.lists.explode import ListPlan
from driftune.lake.lists.paths import ListPath, NoListError, fields_of, find_list
from driftune.proposal.columns import Column
from driftune.proposal.roles import fits
from driftune.proposal.times import TimeWriting

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_SEPARATORS = ("|", ";", ",", " ")
# What stands between blanks in a list: an id or a number, and no part of a date.
_WORD = r"[A-Za-z_]*[0-9]+([.][0-9]+)?"
_SUFFIXED = r"\S+-[01](\s+\S+-[01])*"
# The share of rows that must read as a list, and elements that a list has on average.
_MOST, _LEAST = 0.95, 1.5


def find_lists(
    con: Connection, columns: Sequence[Column], times: Mapping[str, TimeWriting | None]
) -> tuple[Explode, str] | None:
    """The lists of ``sample`` as ``source.explode`` has them, and why; None where rows are
    impressions.

    ``times``: how columns write times; one that does is no list.
    """
    texts = [c for c in columns if c.kind == "VARCHAR" and c.filled and not times.get(c.name)]
    types = _types(con)
    suffixed = [c.name for c in texts if _is_suffixed(con, c)]
    separators = {c.name: sign for c in texts if (sign := _separator(con, c))}
    lists = {path: found for path in _paths(types) if (found := _list(path, types, None))}
    for name, sign in separators.items():
        if found := _list(name, types, sign):
            lists[name] = found
    lengths = {path: _lengths(con, found) for path, found in lists.items()}
    lists = {path: found for path, found in lists.items() if sum(lengths[path]) > 0}
    if _are_impressions(columns, {*suffixed, *(path.column for path in lists.values())}, times):
        # A list beside them is what is known of an item or a user.
        suffixed = [name for name in suffixed if fits("item", name)]
        lists = {path: found for path, found in lists.items() if fits("item", path)}
    if suffixed:
        named = _named([suffixed[0]], columns, {suffixed[0]})
        explode = Explode.model_validate(
            {"columns": named, "separator": " ", "clicked": {"suffix": "-"}}
        )
        return explode, f"{suffixed[0]} holds ids with 0 or 1 behind them"
    main = [path for path in lists if sum(lengths[path]) / max(1, len(lengths[path])) >= _LEAST]
    if not main:
        return None
    # Of lists of the same lengths one is what was shown, the others stand beside it.
    groups = Counter(tuple(lengths[path]) for path in main)
    best = max(main, key=lambda path: (fits("item", path), groups[tuple(lengths[path])]))
    beside = [path for path in main if lengths[path] == lengths[best]]
    gone = {lists[path].column for path in beside if not lists[path].within}
    named = _named([best, *(path for path in beside if path != best)], columns, gone)
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


def explode_sample(con: Connection, explode: Explode, uri: str) -> None:
    """Replace ``sample`` by the rows that its lists make.

    Raises:
        SourceError: naming the file ``uri``, for names that are taken.
    """
    con.execute(
        "CREATE VIEW lists AS SELECT row_number() OVER () AS _driftune_row, '' AS _driftune_file, "
        "0::UBIGINT AS _driftune_fingerprint, '' AS _driftune_sha, * FROM sample"
    )
    plan = ListPlan(explode, uri, _types(con), next(iter(explode.columns)), ())
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


def _are_impressions(
    columns: Sequence[Column], lists: Collection[str], times: Mapping[str, TimeWriting | None]
) -> bool:
    """Whether plain columns are called as what was shown and its click are."""
    plain = [c for c in columns if c.name not in lists and not c.is_nested and not times[c.name]]
    clicks = [c for c in plain if c.is_binary and fits("click", c.name)]
    return bool(clicks) and any(fits("item", c.name) for c in plain if c not in clicks)


def _is_suffixed(con: Connection, column: Column) -> bool:
    """Whether a text holds ids with 0 or 1 behind them."""
    text = f"trim({identifier(column.name)})"
    ((share, each),) = con.execute(
        f"SELECT avg(regexp_full_match({text}, {literal(_SUFFIXED)})::INT), "
        f"avg(len(regexp_split_to_array({text}, '\\s+'))) FROM sample WHERE {text} <> ''"
    ).fetchall()
    return bool(share >= _MOST and each >= _LEAST)


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
    # Of a name with a dot at its end no path can be written.
    return [path for path in found if all(path.split("."))]


def _list(path: str, types: dict[str, "DuckDBPyType"], sign: str | None) -> ListPath | None:
    try:
        return find_list(path, types, sign)
    except NoListError:
        return None


def _separator(con: Connection, column: Column) -> str | None:
    """The sign between the elements of a text; null where it is none, or JSON."""
    if column.is_number or not all(column.name.split(".")):
        return None
    text = f"trim({identifier(column.name)})"
    ((json,),) = con.execute(
        f"SELECT avg((left({text}, 1) || right({text}, 1) IN ('[]', '{{}}'))::INT) "
        f"FROM sample WHERE {text} <> ''"
    ).fetchall()
    if json >= _MOST:
        return None
    for sign in _SEPARATORS:
        # Elements of a list are of one kind, and words of a sentence are not: digits tell.
        element = _WORD if sign == " " else r".*[0-9].*"
        ((share, each),) = con.execute(
            f"SELECT avg((len(parts) > 1)::INT), avg(len(list_filter(parts, "
            f"lambda p: regexp_full_match(p, {literal(element)}, 's'))) / len(parts)) "
            f"FROM (SELECT string_split({text}, {literal(sign)}) AS parts "
            f"FROM sample WHERE {text} <> '')"
        ).fetchall()
        if share >= 0.8 and each >= 0.9:
            return sign
    return None


def _lengths(con: Connection, found: ListPath) -> list[int]:
    rows = con.execute(f"SELECT coalesce(len({found.sql}), 0) FROM sample LIMIT 2000").fetchall()
    return [length for (length,) in rows]


def _named(
    paths: Sequence[str], columns: Sequence[Column], gone: Collection[str]
) -> dict[str, str]:
    """Names of the columns that are made: the last part of a path where no other has it.

    ``gone``: the columns that the lists take the place of; all others keep their names.
    """
    taken = {*MADE, *(column.name.lower() for column in columns if column.name not in gone)}
    last = Counter(path.split(".")[-1].lower() for path in paths)
    found: dict[str, str] = {}
    for path in paths:
        short, whole = path.split(".")[-1], path.replace(".", "_")
        tried = [] if last[short.lower()] > 1 else [short]
        tried += [whole, *(f"{whole}_{number}" for number in range(2, len(paths) + 9))]
        name = next(each for each in tried if each.lower() not in taken)
        found[name] = path
        taken.add(name.lower())
    return found


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
        if column.name in taken or column.is_binary:
            continue
        if column.is_number and fits("click", column.name):
            low = column.low or 0
            return {"at": column.name, "first": 0 if low < 1 else 1}
    return None
