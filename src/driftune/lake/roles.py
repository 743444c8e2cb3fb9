"""Column roles as DuckDB expressions over the source columns: the one place that knows them."""

import re
from collections.abc import Collection

from driftune.config import ColumnRole, Config
from driftune.config.columns import SqlRole
from driftune.lake.duck import identifier

_DOT = "·"
DOMAIN_JOIN = f" {_DOT} "
OTHER_DOMAIN = "other"
OPTIONAL_NUMBERS = ("price", "position", "propensity")
_NAMES = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')
OPTIONAL = (*OPTIONAL_NUMBERS, "request")


def expression(role: ColumnRole) -> str:
    """Return the SQL expression of a role."""
    return f"({role.sql})" if isinstance(role, SqlRole) else identifier(role)


def expressions(config: Config) -> dict[str, str]:
    """The SQL expressions of roles, by role, and of features, by their columns in the lake."""
    return config.expressions()


def needed_columns(config: Config) -> dict[str, str]:
    """Source columns that the roles name directly, with the params.yaml key that names them.

    Those of side tables are none.
    """
    columns = config.columns
    time = columns.time.column
    needed = {} if time is None else {time: "columns.time.column"}
    for name in ("user", "item", "click", "convert", "category", "request", *OPTIONAL_NUMBERS):
        role = getattr(columns, name)
        if isinstance(role, str):
            needed[role] = f"columns.{name}"
    domain = columns.domain
    if isinstance(domain, str):
        needed[domain] = "columns.domain"
    elif isinstance(domain, list):
        needed.update(dict.fromkeys(domain, "columns.domain"))
    for key, given in (
        ("features.categorical", config.features.categorical),
        ("features.numerical", config.features.numerical),
    ):
        for name, feature in given.items():
            if isinstance(feature, str):
                needed[feature] = key if feature == name else f"{key}.{name}"
    return {name: key for name, key in needed.items() if not config.is_of_table(name)}


def delivered_columns(config: Config) -> dict[str, str]:
    """Columns that the files must have, with the params.yaml key that names each: those of the
    roles, keys of side tables, and where lists become rows, what the lists are taken from."""
    needed, explode = needed_columns(config), config.source.explode
    for name, table in config.tables.items():
        key = f"tables.{name}.{'key' if table.matches is None else 'matches'}"
        needed.setdefault(table.logs_column, key)
    if explode is None:
        return needed
    found = {name: key for name, key in needed.items() if name not in explode.made}
    return found | explode.sources


def looked_into(config: Config) -> frozenset[str]:
    """Names, in lower case, of columns that are read with the structure of their values."""
    explode = config.source.explode
    paths = explode.sources if explode else {}
    found = {name.lower() for path in paths for name in (path, path.split(".")[0])}
    return mentioned(config) | found


def labels(config: Config) -> dict[str, ColumnRole]:
    """The roles that are labels, by their names; no conversion where the log has none."""
    given = {name: getattr(config.columns, name) for name in ("click", "convert")}
    return {name: role for name, role in given.items() if role is not None}


def numbers(config: Config) -> dict[str, ColumnRole]:
    """Roles and features that are numbers, by their canonical names."""
    given = {name: getattr(config.columns, name) for name in OPTIONAL_NUMBERS}
    found: dict[str, ColumnRole] = {name: role for name, role in given.items() if role is not None}
    return found | {f"x_{name}": role for name, role in config.features.numerical.items()}


def id_columns(config: Config) -> frozenset[str]:
    """Columns whose values name something: users, items, lists, domains, categories, and keys of
    side tables."""
    columns, domain = config.columns, config.columns.domain
    given = [columns.user, columns.item, columns.request, columns.category]
    given += domain if isinstance(domain, list) else [domain]
    given += [*config.features.categorical.values()]
    keys = [table.logs_column for table in config.tables.values()]
    return frozenset([*(role for role in given if isinstance(role, str)), *keys])


def without_missing(config: Config, delivered: Collection[str]) -> Config:
    """The configuration without the optional roles whose column is not delivered: they are null."""
    gone = {
        name: None
        for name in OPTIONAL
        if isinstance(role := getattr(config.columns, name), str)
        and role not in delivered
        and not config.is_of_table(role)
    }
    return config.model_copy(update={"columns": config.columns.model_copy(update=gone)})


def mentioned(config: Config, names: Collection[str] | None = None) -> frozenset[str]:
    """Names, in lower case, that the expressions of the roles (these, or all and those of the
    features) take for columns."""
    found = expressions(config)
    texts = " ".join(sql for role, sql in found.items() if names is None or role in names)
    return frozenset(
        (quoted.replace('""', '"') or plain).lower() for quoted, plain in _NAMES.findall(texts)
    )


def domain_expression(config: Config) -> str:
    """The domain's name; null when a part of it is null or empty.

    Of several columns, no two lists of parts make one name: a middle dot that stands alone in a
    part has a backslash before it.
    """
    role = config.columns.domain
    if isinstance(role, list):
        parts = [f"nullif(trim({identifier(column)}::VARCHAR), '')" for column in role]
        if len(parts) > 1:
            parts = [_escaped(part) for part in parts]
        return f" || '{DOMAIN_JOIN}' || ".join(parts)
    return f"nullif(trim({expression(role)}::VARCHAR), '')"


def domain_part(domain: str, number: int) -> str:
    """SQL of the part (from 1) that a domain of several columns has from one of them."""
    part = f"split_part({domain}, '{DOMAIN_JOIN}', {number})"
    return _words(part, rf"'\\+{_DOT}'", "word[2:]")


def _escaped(part: str) -> str:
    """A part without the separator: a word that is a dot, or escapes one, has a backslash more."""
    return _words(part, rf"'\\*{_DOT}'", r"'\' || word")


def _words(text: str, pattern: str, changed: str) -> str:
    """SQL of a text whose words of a pattern are changed; few texts have a dot, and are split."""
    word = f"CASE WHEN regexp_full_match(word, {pattern}) THEN {changed} ELSE word END"
    words = f"list_transform(string_split({text}, ' '), lambda word: {word})"
    return (
        f"CASE WHEN contains({text}, '{_DOT}') THEN array_to_string({words}, ' ') ELSE {text} END"
    )
