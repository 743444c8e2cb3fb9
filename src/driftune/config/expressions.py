"""What SQL of params.yaml may be: one expression over the columns of a row, and nothing else.

DuckDB's own parser takes it apart; nothing of it is run. DuckDB is imported only where there is an
expression: it takes longer to load than the rest of a configuration.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import duckdb

# A part of DuckDB's syntax tree, as JSON.
Node: TypeAlias = dict[str, "Node"] | list["Node"] | str | int | float | bool | None

# Classes of expressions.
_ALLOWED = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT"),
    *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "SUBQUERY", "TYPE", "WINDOW"),
}
_WORDS = {
    "STAR": "* or COLUMNS (several columns)",
    "PARAMETER": "a parameter (? or $)",
    "POSITIONAL_REFERENCE": "a column by its place (#)",
    "DEFAULT": "DEFAULT",
}
# What a subquery may select from: nothing, or values of the row itself.
_SOURCES = {"EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION", "SUBQUERY", "JOIN"}
_ROW_SOURCES = {"generate_series", "json_each", "json_tree", "range", "unnest"}
# Functions that are not the same each time and still allowed: they name the moment of the query.
CLOCK = {
    *("get_current_time", "get_current_timestamp", "now", "today", "current_date"),
    "transaction_timestamp",
}
# These take a text for a statement.
_REFUSED = {"json_deserialize_sql", "json_serialize_plan", "json_serialize_sql"}
_EMPTY_NODE = ("where_clause", "group_expressions", "having", "sample", "qualify", "modifiers")
_REMEDY = "write one expression over the columns of a row (docs/howto/own-logs.md)"


def refused_expressions(expressions: Mapping[str, str]) -> dict[str, str]:
    """Why expressions are not allowed, and what to do, by their keys; empty when all are."""
    if not expressions:
        return {}
    found = {}
    with opened() as con:
        known = _functions(con)
        for key, sql in expressions.items():
            try:
                _check(con, known, sql)
            except ValueError as error:
                found[key] = f"{error}; {_REMEDY}"
    return found


@contextmanager
def opened() -> "Iterator[duckdb.DuckDBPyConnection]":
    """DuckDB for its parser alone."""
    import duckdb

    # Nothing is run here; should a text ever be, it reaches nothing.
    locks: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    with duckdb.connect(":memory:", config=locks) as con:
        yield con


def parsed(con: "duckdb.DuckDBPyConnection", sql: str) -> Node:
    """The syntax tree of an expression that is allowed."""
    return _select_list(con, f"SELECT ({sql})")[0]


def _check(con: "duckdb.DuckDBPyConnection", known: Mapping[str, str], sql: str) -> None:
    """See that a text is one expression, within brackets and without.

    Raises:
        ValueError: saying what is not allowed.
    """
    bare = _select_list(con, f"SELECT {sql}")
    if len(bare) != 1:
        raise ValueError(f"holds {len(bare)} expressions instead of one")
    try:
        within = _select_list(con, f"SELECT ({sql})")
    except ValueError:
        within = []
    if within != bare:
        raise ValueError("is no expression in brackets: a name or a comment follows it")
    _check_node(bare[0], known, subquery=False)


def _select_list(con: "duckdb.DuckDBPyConnection", query: str) -> list[Node]:
    """What a query without any clause selects.

    Raises:
        ValueError: for one that cannot be parsed, has clauses, or is several.
    """
    row = con.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    parsed = json.loads(row[0]) if row else {}
    if parsed.get("error", True):
        reason = " ".join(str(parsed.get("error_message")).split())
        raise ValueError(f"is no expression ({reason})")
    statements = parsed["statements"]
    if len(statements) != 1:
        raise ValueError("holds several statements")
    node = _without_places(statements[0]["node"])
    assert isinstance(node, dict)
    plain = node["type"] == "SELECT_NODE" and not any(node[name] for name in _EMPTY_NODE)
    source, selected = node.get("from_table"), node.get("select_list")
    if not (plain and isinstance(source, dict) and source["type"] == "EMPTY"):
        raise ValueError("is a query with clauses of its own (such as FROM)")
    assert isinstance(selected, list)
    return selected


def _check_node(node: Node, known: Mapping[str, str], *, subquery: bool) -> None:
    """See that a part of the tree holds nothing that is not allowed.

    Raises:
        ValueError: naming it.
    """
    if isinstance(node, list):
        for part in node:
            _check_node(part, known, subquery=subquery)
        return
    if not isinstance(node, dict):
        return
    kind, name = node.get("class"), str(node.get("function_name", "")).lower()
    inside = subquery or kind == "SUBQUERY"
    if "from_table" in node:
        _check_source(node["from_table"])
    # The stars of a subquery are columns of its own.
    if isinstance(kind, str) and kind not in _ALLOWED and not (subquery and kind == "STAR"):
        raise ValueError(f"holds {_WORDS.get(kind, kind)}, which is not allowed")
    if kind in ("FUNCTION", "WINDOW"):
        _check_function(name, known.get(name), subquery=subquery or kind == "WINDOW")
    for key, part in node.items():
        # Where a subquery selects from, a function may give several rows: they are looked at above.
        if key == "function" and node.get("type") == "TABLE_FUNCTION" and isinstance(part, dict):
            part = part.get("children")
        _check_node(part, known, subquery=inside)


def _check_function(name: str, kind: str | None, *, subquery: bool) -> None:
    """See that a function may be called.

    Raises:
        ValueError: naming it.
    """
    if kind is None:
        raise ValueError(f"calls {name}, which is not allowed")
    if kind == "rows" and not subquery:
        raise ValueError(f"calls {name}, which makes several rows of one: source.explode does")
    if kind == "aggregate" and not subquery:
        raise ValueError(f"calls {name}, which makes one row of many")


def _check_source(source: Node) -> None:
    """See that a subquery selects from nothing but values of the row.

    Raises:
        ValueError: naming what else it selects from.
    """
    for part in _sources(source):
        kind, function = part["type"], part.get("function")
        name = function.get("function_name") if isinstance(function, dict) else None
        if kind == "TABLE_FUNCTION" and str(name).lower() not in _ROW_SOURCES:
            raise ValueError(f"selects from {name}, which is not allowed")
        if kind not in _SOURCES:
            raise ValueError(f"selects from {part.get('table_name') or kind}, which is no value")


def _sources(source: Node) -> Iterator[dict[str, Node]]:
    """The parts of a FROM clause."""
    if isinstance(source, dict) and "type" in source:
        yield source
        for side in ("left", "right"):
            yield from _sources(source.get(side))


def _functions(con: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    """The functions that may be called: ``aggregate`` ones in subqueries and over a window,
    ``rows`` ones in subqueries alone, others everywhere."""
    rows = con.execute(
        """
        SELECT lower(function_name), function_type IN ('aggregate', 'window'),
               function_type IN ('scalar', 'macro') AND schema_name = 'main'
                   AND stability IS NOT DISTINCT FROM 'CONSISTENT'
                   OR function_type = 'macro' AND schema_name = 'main'
                   AND NOT contains(upper(macro_definition), 'SELECT')
                   AND NOT contains(macro_definition, 'current_database'),
               coalesce(contains(lower(macro_definition), 'unnest('), false)
        FROM duckdb_functions()
        """
    ).fetchall()
    found = {name: "aggregate" for name, aggregate, *_ in rows if aggregate}
    found |= {name: "scalar" for name, _, plain, _ in rows if plain}
    found |= dict.fromkeys([*CLOCK, *_ROW_SOURCES, "->"], "scalar")
    found |= {name: "rows" for name, *_, several in rows if several} | {"unnest": "rows"}
    return {name: kind for name, kind in found.items() if name not in _REFUSED}


def _without_places(node: Node) -> Node:
    """A tree without where in the text its parts stood."""
    if isinstance(node, list):
        return [_without_places(part) for part in node]
    if isinstance(node, dict):
        return {
            name: _without_places(part)
            for name, part in node.items()
            if not name.startswith("query_location")
        }
    return node
