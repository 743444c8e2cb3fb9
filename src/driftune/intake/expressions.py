"""Expressions of roles and features, over the columns of the logs and of side tables.

CSV and JSON lines say no types, so the values have to: an expression sees a column as a number
where its values read as numbers, else as text. Roles that name a column directly always see its
text, so that a broken value is quarantined as delivered.

A feature sees the roles, too, by their names where the logs have no such column: ids as text,
price, position and propensity as numbers. What was clicked is none of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from driftune.config import ColumnRole, Config
from driftune.config.columns import SqlRole
from driftune.config.tables import ROLES
from driftune.errors import SourceError
from driftune.lake import roles, values
from driftune.lake.duck import Connection, first_line, identifier, one_row
from driftune.lake.evolution import Change, Evolution
from driftune.lake.loading import Loaded
from driftune.lake.side_tables import ReadTable, join, structs

# A leading zero or more digits than an integer holds make a code, which a number would spoil.
_INTEGER = "[+-]?(0|[1-9][0-9]{0,17})"
_AS = "_driftune_as_"
_CODE = "[+-]?(0[0-9].*|[0-9]{19,})"


class Form(NamedTuple):
    """How expressions see a text column (quoted): its type, how many values are to be told, as
    most have another form, the condition on those, and whether it is of a side table."""

    column: str
    kind: str
    others: int
    other: str
    of_table: bool


def evaluate(
    con: Connection,
    config: Config,
    loaded: Loaded,
    evolution: Evolution,
    tables: Sequence[ReadTable] = (),
) -> tuple[Config, str, list[Form]]:
    """Evaluate the expressions of a day that needs it: of text files, of features, or over side
    tables.

    Returns the configuration whose roles and features name the results, the relation that holds
    them beside the columns of ``raw`` (as ``evolution`` reads them) and of the side tables, and
    the columns few of whose values have another form (see ``told``). Other days keep their
    configuration. Where values of text take another form, the results lie in the table
    ``evaluated``.

    Raises:
        SourceError: for an expression of a feature that names what there is not.
    """
    view = join(con, "raw", tables) if tables else "raw"
    relation = evolution.relation(view)
    given = roles.without_missing(config, loaded.types)
    wanted = roles.expressions(given)
    has_text = loaded.has_text or any(table.is_text for table in tables)
    if not wanted or not (has_text or tables or config.features.expressions()):
        return given, relation, []
    forms = []
    for place, texts in _texts(loaded, tables):
        forms += _forms(con, given, place, texts)
    replaced = {form.column: form.kind for form in forms if form.kind != "VARCHAR"}
    names = {name: f"_driftune_{name}" for name in wanted}
    types = {**loaded.types, **evolution.casts}
    for table in tables:
        types |= table.types
    levels = _Levels(config, given, names, types)
    # A relation's own name is a struct of all its columns, labels among them: this one has none
    # that a feature may write.
    seen = f"{levels.of_roles(relation, replaced, tables)} AS _driftune_seen"
    _check_features(con, config, loaded, seen)
    of_roles = {name: names[name] for name in given.columns.expressions()}
    features = config.features.expressions()
    results = [f"({sql}) AS {identifier(names[name])}" for name, sql in features.items()]
    columns, made = given.columns.named(of_roles), given.features.named(names)
    named = given.model_copy(update={"columns": columns, "features": made})
    if not has_text:
        return named, f"(SELECT {', '.join(['*', *results])} FROM {seen}) AS raw", []
    results += [identifier(name) for name in of_roles.values()]
    con.execute(
        f"CREATE TEMP TABLE evaluated AS SELECT _driftune_id, {', '.join(results)} FROM {seen}"
    )
    mixed = [form for form in forms if form.others]
    return named, f"{relation} JOIN evaluated USING (_driftune_id)", mixed


class _Levels(NamedTuple):
    """Relations one over the other, until roles and features can be evaluated.

    ``config``: as params.yaml has it; ``given``: without the roles that the day lacks; ``names``:
    the columns of results; ``types``: those of the columns.
    """

    config: Config
    given: Config
    names: dict[str, str]
    types: dict[str, str]

    def of_roles(self, relation: str, replaced: dict[str, str], tables: Sequence[ReadTable]) -> str:
        """The relation over which features are evaluated, with the results of the roles."""
        direct, computed = self._as_seen()
        casts = ", ".join(
            f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in replaced.items()
        )
        replace = f" REPLACE ({casts})" if casts else ""
        scan = _with(relation, direct)
        scan = f"(SELECT *{replace} FROM {scan})"
        scan = f"(SELECT *{structs(tables)} FROM {scan})" if tables else scan
        roles_of = self.given.columns.expressions()
        scan = _with(scan, {self.names[name]: f"({sql})" for name, sql in roles_of.items()})
        scan = _with(scan, computed)
        seen = {name.removeprefix(_AS): identifier(name) for name in (*direct, *computed)}
        return _with(scan, seen)

    def _as_seen(self) -> tuple[dict[str, str], dict[str, str]]:
        """SQL of the roles that features name, over columns as delivered, and over the results of
        expressions; by the columns that hold them."""
        features = self.config.features.expressions()
        mentioned = roles.mentioned(self.config, features) if features else frozenset()
        taken = {name.lower() for name in self.types}
        direct: dict[str, str] = {}
        computed: dict[str, str] = {}
        for name in ROLES:
            role = getattr(self.given.columns, name)
            if name not in mentioned - taken or getattr(self.config.columns, name) is None:
                continue
            target = computed if isinstance(role, SqlRole) else direct
            target[f"{_AS}{name}"] = self._value(name, role)
        return direct, computed

    def _value(self, name: str, role: ColumnRole | list[str] | None) -> str:
        """SQL of a role's value; null of one that the day lacks."""
        if name == "domain":
            return roles.domain_expression(self.given)
        if role is None:
            return "NULL::DOUBLE" if name in roles.OPTIONAL_NUMBERS else "NULL::VARCHAR"
        assert not isinstance(role, list)
        if name in roles.OPTIONAL_NUMBERS:
            kind = self.types.get(role) if isinstance(role, str) else None
            return values.number(roles.expression(role), kind)
        if name == "category":
            return f"{roles.expression(role)}::VARCHAR"
        return values.identity(role, self.types)


def _with(relation: str, columns: dict[str, str]) -> str:
    """A relation with further columns, of SQL by name."""
    if not columns:
        return relation
    named = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())
    return f"(SELECT *, {named} FROM {relation})"


def _check_features(con: Connection, config: Config, loaded: Loaded, relation: str) -> None:
    """See that the features' expressions name nothing but what there is.

    Raises:
        SourceError: for the first that does.
    """
    for name, sql in config.features.expressions().items():
        try:
            con.execute(f"DESCRIBE SELECT ({sql}) FROM {relation}")
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            beside = ", TABLE.COLUMN of a table" if config.tables else ""
            raise SourceError(
                f"{loaded.parts[0].file.uri}: {config.expression_key(name)} = {sql!r} cannot be "
                f"computed ({' '.join(first_line(error).split())}); name columns of the logs"
                f"{beside}, or roles ({', '.join(ROLES)}) in params.yaml"
            ) from None


def _texts(loaded: Loaded, tables: Sequence[ReadTable]) -> list[tuple[str, list[str]]]:
    """The relations that have columns whose types no file says, and those columns.

    A side table's form is that of its whole file, whichever of its rows the day joins.
    """
    read = [("raw", loaded.types, loaded.has_text)]
    read += [(table.whole, table.types, table.is_text) for table in tables]
    return [
        (place, [name for name, kind in types.items() if kind == "VARCHAR"])
        for place, types, is_text in read
        if is_text
    ]


def _forms(con: Connection, config: Config, view: str, texts: Sequence[str]) -> list[Form]:
    """How the expressions see the text columns of a relation: as numbers or truths where all values
    but few are.

    The share of others that is tolerated is ``quality.max_rejected_share``. Where one is a code,
    or the column names something and one is no whole number, all stay texts: 007 is not 7.
    """
    few, mentioned = config.quality.max_rejected_share, roles.mentioned(config)
    ids = roles.mentioned(config, ("user", "item", "request"))
    # A table's column is mentioned with its table.
    names = [name for name in texts if mentioned.issuperset(_words(config, name))]
    counts = []
    for name in names:
        counts += [f"count(*) FILTER ({condition})" for condition in _conditions(name)]
    figures = one_row(con, f"SELECT {', '.join(counts)} FROM {view}") if counts else ()
    found = []
    for place, name in enumerate(names):
        given, integers, numbers, codes, truths = figures[5 * place : 5 * place + 5]
        filled, _, number, code, truth = _conditions(name)
        most = (1 - few) * given
        kind, others, other = "VARCHAR", 0, ""
        if ids.issuperset(_words(config, name)):
            # A fraction or a word among ids must not change how the others are written.
            kind = "BIGINT" if given and integers == given else "VARCHAR"
        elif given and not codes and numbers >= most:
            kind = "BIGINT" if integers == numbers else "DOUBLE"
            others, other = given - numbers, f"{filled} AND NOT {number}"
        elif given and truths >= most:
            kind, others, other = "BOOLEAN", given - truths, f"{filled} AND NOT {truth}"
        elif given and numbers - codes >= most:
            others, other = codes, code
        found.append(Form(identifier(name), kind, others, other, config.is_of_table(name)))
    return found


def _conditions(name: str) -> tuple[str, str, str, str, str]:
    """SQL of a value to be given, a whole number, a number, a code, or a truth."""
    text = f"trim({identifier(name)})"
    integer, code = (f"regexp_full_match({text}, '{pattern}')" for pattern in (_INTEGER, _CODE))
    number = f"coalesce(isfinite(TRY_CAST({text} AS DOUBLE)), false)"
    return f"{text} <> ''", integer, number, code, f"(lower({text}) IN ('true', 'false'))"


def _words(config: Config, column: str) -> list[str]:
    """The names by which an expression has a column: its own, or a table's and its own there."""
    return column.lower().split(".", 1) if config.is_of_table(column) else [column.lower()]


def told(con: Connection, form: Form) -> Change:
    """What is said of values that have not the form of most, with one of ``raw`` as it is: rows of
    users who were erased are out of it. Of a side table, which may know of them, none is shown."""
    example = None
    if not form.of_table:
        query = f"SELECT left(min({form.column}), 40) FROM raw WHERE {form.other}"
        (example,) = one_row(con, query)
    such = "" if example is None else f", such as '{example}'"
    seen = "all as text" if form.kind == "VARCHAR" else f"{form.kind}, and null for those"
    sentence = (
        f"Column {form.column} has one form: {form.others:,} of its values have not that of most"
        f"{such}; expressions see {seen}."
    )
    return Change.of("column_mixed", sentence, form.others)
