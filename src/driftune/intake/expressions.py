"""Expression roles over text files: CSV and JSON lines say no types, so the values have to.

An expression sees a column as a number where its values read as numbers, else as text. Roles that
name a column directly always see its text, so that a broken value is quarantined as delivered.
"""

from typing import NamedTuple

from driftune.config import Config
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, one_row
from driftune.lake.evolution import Change, Evolution
from driftune.lake.loading import Loaded

# A leading zero or more digits than an integer holds make a code, which a number would spoil.
_INTEGER = "[+-]?(0|[1-9][0-9]{0,17})"
_CODE = "[+-]?(0[0-9].*|[0-9]{19,})"


def evaluate(
    con: Connection, config: Config, loaded: Loaded, evolution: Evolution
) -> tuple[Config, str, list[Change]]:
    """Evaluate the expression roles of a day that needs it, into the table ``evaluated``.

    That is one of text files. Returns the configuration whose roles name the results, the relation
    that holds them beside the columns of ``raw`` (as ``evolution`` reads them), and what is to be
    said of columns few of whose values have another form. Other days keep their configuration.
    """
    wanted = roles.expressions(config)
    if not wanted or not (loaded.has_text):
        return config, evolution.relation(), []
    forms = _forms(con, config)
    types = {form.column: form.kind for form in forms if form.kind != "VARCHAR"}
    replaced = ", ".join(f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in types.items())
    columns = "*" + (f" REPLACE ({replaced})" if replaced else "")
    names = {role: f"_driftune_{role}" for role in wanted}
    values = ", ".join(f"({sql}) AS {identifier(names[role])}" for role, sql in wanted.items())
    con.execute(
        f"""
        CREATE TEMP TABLE evaluated AS
        SELECT _driftune_id, {values}
        FROM (SELECT {columns} FROM {evolution.relation()})
        """
    )
    renamed = config.model_copy(update={"columns": config.columns.named(names)})
    relation = f"{evolution.relation()} JOIN evaluated USING (_driftune_id)"
    return renamed, relation, [_told(con, form) for form in forms if form.others]


class _Form(NamedTuple):
    """How expressions see a text column (quoted): its type, how many values are to be told, as
    most have another form, and the condition on those."""

    column: str
    kind: str
    others: int
    other: str


def _forms(con: Connection, config: Config) -> list[_Form]:
    """How the expressions see text columns: as numbers or truths where all values but few are.

    The share of others that is tolerated is ``quality.max_rejected_share``. Where one is a code,
    or the column names something and one is no whole number, all stay texts: 007 is not 7.
    """
    few, mentioned = config.quality.max_rejected_share, roles.mentioned(config)
    ids = roles.mentioned(config, ("user", "item", "request"))
    described = con.execute("DESCRIBE raw").fetchall()
    names = [name for name, kind, *_ in described if kind == "VARCHAR"]
    names = [name for name in names if name.lower() in mentioned]
    counts = []
    for name in names:
        counts += [f"count(*) FILTER ({condition})" for condition in _conditions(name)]
    figures = one_row(con, f"SELECT {', '.join(counts)} FROM raw") if counts else ()
    found = []
    for place, name in enumerate(names):
        given, integers, numbers, codes, truths = figures[5 * place : 5 * place + 5]
        filled, _, number, code, truth = _conditions(name)
        most = (1 - few) * given
        kind, others, other = "VARCHAR", 0, ""
        if name.lower() in ids:
            # A fraction or a word among ids must not change how the others are written.
            kind = "BIGINT" if given and integers == given else "VARCHAR"
        elif given and not codes and numbers >= most:
            kind = "BIGINT" if integers == numbers else "DOUBLE"
            others, other = given - numbers, f"{filled} AND NOT {number}"
        elif given and truths >= most:
            kind, others, other = "BOOLEAN", given - truths, f"{filled} AND NOT {truth}"
        elif given and numbers - codes >= most:
            others, other = codes, code
        found.append(_Form(identifier(name), kind, others, other))
    return found


def _conditions(name: str) -> tuple[str, str, str, str, str]:
    """SQL of a value to be given, a whole number, a number, a code, or a truth."""
    text = f"trim({identifier(name)})"
    integer, code = (f"regexp_full_match({text}, '{pattern}')" for pattern in (_INTEGER, _CODE))
    number = f"coalesce(isfinite(TRY_CAST({text} AS DOUBLE)), false)"
    return f"{text} <> ''", integer, number, code, f"(lower({text}) IN ('true', 'false'))"


def _told(con: Connection, form: _Form) -> Change:
    """What is said of values that have not the form of most."""
    (example,) = one_row(con, f"SELECT left(min({form.column}), 40) FROM raw WHERE {form.other}")
    seen = "all as text" if form.kind == "VARCHAR" else f"{form.kind}, and null for those"
    sentence = (
        f"Column {form.column} has one form: {form.others:,} of its values have not that of most, "
        f"such as '{example}'; expressions see {seen}."
    )
    return Change.of("column_mixed", sentence, form.others)
