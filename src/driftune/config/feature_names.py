"""What features may not read: labels, the place whose bias is taken out, other rows, the clock.

A label reaches the model by more ways than its column: by the columns that it is made of, by a
window over the rows after a row, or by a side table whose key it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from driftune.config.columns import ColumnRole, SqlRole
from driftune.config.expressions import CLOCK, Node, opened, parsed
from driftune.config.root import Config

if TYPE_CHECKING:
    import duckdb

_OWN = "_driftune"
# DuckDB has these without brackets, as if they were columns.
_CLOCK_NAMES = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
_CLOCK_CALLS = {*CLOCK, "ago", "current_localtime", "current_localtimestamp"}
# Roles that the model reads anyway: what a label is made of besides tells no more.
_READ = ("user", "item", "domain", "category", "price")
_OF_ITEM = ("item", "category", "price")


class _Hidden(NamedTuple):
    """A column or role that no feature may read: ``said`` of it, and what to do."""

    name: str
    said: str


def refused_features(config: Config) -> dict[str, str]:
    """Why features, or tables by their keys, may not be as they are, by the key and value in
    params.yaml; empty when all may."""
    features, found = config.features, {}
    with _parser(config) as con:
        hidden = [*_labels(config, con), *_position(config, con)]
        for kind in ("categorical", "numerical"):
            for name, role in getattr(features, kind).items():
                key = f"features.{kind}" + ("" if role == name else f".{name}")
                if isinstance(role, SqlRole):
                    assert con is not None
                    problem = _of_expression(config, hidden, name, parsed(con, role.sql))
                    said = f"{key}.sql = {role.sql!r}"
                else:
                    problem = _of_name(config, hidden, role, "is")
                    said = f"{key} = {role!r}"
                if problem is not None:
                    found[said] = problem
    for name, table in config.tables.items():
        key = f"tables.{name}.{'key' if table.matches is None else 'matches'}"
        if problem := _of_name(config, hidden, table.logs_column, "is"):
            found[f"{key} = {table.logs_column!r}"] = problem
    return found


def of_item(config: Config) -> frozenset[str]:
    """The features that read nothing but what is the item's, by their columns in the lake."""
    found = set()
    with _parser(config) as con:
        for name, role in config.features.roles().items():
            names = [role.lower()] if isinstance(role, str) else []
            if isinstance(role, SqlRole):
                assert con is not None
                names = _delivered(parsed(con, role.sql))
            if names and all(_is_of_item(config, each) for each in names):
                found.add(name)
    return frozenset(found)


@contextmanager
def _parser(config: Config) -> "Iterator[duckdb.DuckDBPyConnection | None]":
    """DuckDB's parser, where there is an expression to take apart."""
    if not config.expressions():
        yield None
        return
    with opened() as con:
        yield con


def _of_expression(config: Config, hidden: list[_Hidden], name: str, node: Node) -> str | None:
    """Why a feature's expression is refused; None where it is not."""
    for called in _calls(node):
        if called == "OVER":
            return (
                "reads other rows (OVER), some of which are rejected or erased later: write it "
                "over the columns of the row alone"
            )
        if called in _CLOCK_CALLS:
            return (
                f"asks the clock ({called}), so that a day read again is another: use the time of "
                "the row"
            )
    for each in _names(node):
        if each in _CLOCK_NAMES:
            return (
                f"asks the clock ({each}), so that a day read again is another: use the time of "
                "the row"
            )
        if problem := _of_name(config, hidden, each, "mentions"):
            return problem
    if config.negatives is None or name in (config.negatives.item or []):
        return None
    return _mixed(config, node)


def _mixed(config: Config, node: Node) -> str | None:
    """Why a row that is drawn could not have the feature: it has the click's user and another's
    item."""
    names = _delivered(node)
    item = next((each for each in names if _is_of_item(config, each)), None)
    other = next((each for each in names if not _is_of_item(config, each)), None)
    if item is None or other is None:
        return None
    return (
        f"mentions '{item}', which is the item's, and '{other}', which is not known to be: a row "
        "drawn by negatives has another item; make two features of it, or name it in "
        "negatives.item where all of it is the item's"
    )


def _of_name(config: Config, hidden: list[_Hidden], name: str, verb: str) -> str | None:
    """Why a name is refused; None where it is not."""
    if any(part.startswith(_OWN) for part in name.lower().split(".")):
        return f"{verb} '{name}', a name of Driftune's own; name a column of the logs"
    for each in hidden:
        if _meets(config, name.lower(), each.name.lower()):
            return f"{verb} '{name}', {each.said}"
    return None


def _meets(config: Config, name: str, hidden: str) -> bool:
    """Whether one of two columns or paths into columns is in the other.

    What stands before a column may be the name of a relation; a table's columns are its own.
    """
    parts = name.split(".")
    is_table = parts[0] in {table.lower() for table in config.tables}
    tails = [".".join(parts[start:]) for start in range(1 if is_table else len(parts))]
    return any(f"{tail}.".startswith(f"{hidden}.") or hidden.startswith(f"{tail}.")
               for tail in tails)  # fmt: skip


def _labels(config: Config, con: "duckdb.DuckDBPyConnection | None") -> Iterator[_Hidden]:
    """What tells a label: its column or role, and what it is made of."""
    remedy = "the model would read what it is to predict: leave it out"
    for name in ("click", "convert"):
        role = getattr(config.columns, name)
        if role is not None:
            yield from _of_role(config, con, name, role, f"the label columns.{name}", remedy)
    explode = config.source.explode
    if explode is not None and (clicked := explode.clicked) is not None:
        given = [clicked.at, clicked.ids]
        given += explode.columns.values() if clicked.suffix else []
        for column in given:
            if column is not None and column not in explode.columns:
                yield _Hidden(column, f"of which source.explode makes the label; {remedy}")


def _position(config: Config, con: "duckdb.DuckDBPyConnection | None") -> Iterator[_Hidden]:
    """What tells the position, where features.debias reads it."""
    role = config.columns.position
    if "position" in config.features.debias and role is not None:
        remedy = "features.debias reads it, and states it where rows are scored: leave it out"
        yield from _of_role(config, con, "position", role, "the role columns.position", remedy)


def _of_role(
    config: Config,
    con: "duckdb.DuckDBPyConnection | None",
    name: str,
    role: ColumnRole,
    called: str,
    remedy: str,
) -> Iterator[_Hidden]:
    """A role's name, its column, and the columns of its expression that no read role names."""
    yield _Hidden(name, f"{called}; {remedy}")
    if isinstance(role, str):
        yield _Hidden(role, f"{called}; {remedy}")
        return
    assert con is not None
    read = {each.lower() for part in _READ for each in _columns(config, part)}
    read.add((config.columns.time.column or "").lower())
    for each in _names(parsed(con, role.sql)):
        if each not in read:
            yield _Hidden(each, f"of which {called} is made; {remedy}")


def _columns(config: Config, role: str) -> list[str]:
    """The columns that a role names directly."""
    given = getattr(config.columns, role)
    return [each for each in (given if isinstance(given, list) else [given])
            if isinstance(each, str)]  # fmt: skip


def _is_of_item(config: Config, name: str) -> bool:
    """Whether a name is the item's role, category or price, or a column that the item finds."""
    columns = {each.lower() for role in _OF_ITEM for each in _columns(config, role)}
    if name in {*_OF_ITEM, *columns}:
        return True
    item = {each.lower() for each in _columns(config, "item")}
    keys = {table.lower(): given.logs_column.lower() for table, given in config.tables.items()}
    return keys.get(name.split(".")[0]) in item


def _dicts(node: Node) -> Iterator[dict[str, Node]]:
    """Every part of a syntax tree."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dicts(part)


def _names(node: Node) -> Iterator[str]:
    """What an expression takes for columns, in lower case, their parts with dots between; a
    column before a function (``a.upper()``), too."""
    for part in _dicts(node):
        if part.get("class") == "COLUMN_REF" and isinstance(names := part["column_names"], list):
            yield ".".join(map(str, names)).lower()
        elif part.get("class") in ("FUNCTION", "WINDOW"):
            before = [str(part.get(name) or "") for name in ("catalog", "schema")]
            if said := ".".join(each for each in before if each):
                yield said.lower()


def _delivered(node: Node) -> list[str]:
    """The names of an expression but those that it makes itself."""
    own = set(_own_names(node))
    return [each for each in _names(node) if each not in own]


def _own_names(node: Node) -> Iterator[str]:
    """Names that an expression makes itself: parameters of lambdas, columns of subqueries."""
    for part in _dicts(node):
        if part.get("class") == "LAMBDA":
            yield from _names(part.get("lhs"))
        if isinstance(aliases := part.get("column_name_alias"), list):
            yield from (str(each).lower() for each in aliases)
        if isinstance(alias := part.get("alias"), str) and alias:
            yield alias.lower()


def _calls(node: Node) -> Iterator[str]:
    """Functions that an expression calls, in lower case; ``OVER`` for a window."""
    for part in _dicts(node):
        if part.get("class") == "WINDOW":
            yield "OVER"
        elif part.get("class") == "FUNCTION":
            name, given = str(part.get("function_name")).lower(), part.get("arguments")
            # With one time, the other is that of the query.
            lone = isinstance(given, list) and len(given) + bool(part.get("schema")) == 1
            yield "now" if name == "age" and lone else name
