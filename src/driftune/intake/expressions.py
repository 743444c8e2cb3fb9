"""Expression roles over text files: CSV and JSON lines say no types, so the values have to.

An expression sees a column as a number where its values read as numbers, else as text. Roles that
name a column directly always see its text, so that a broken value is quarantined as delivered.
"""

from driftune.config import Config
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, one_row
from driftune.lake.evolution import Evolution
from driftune.lake.loading import Loaded

# A leading zero or more digits than an integer holds make a code, which a number would spoil.
_INTEGER = "[+-]?(0|[1-9][0-9]{0,17})"
_CODE = "[+-]?(0[0-9].*|[0-9]{19,})"


def evaluate(
    con: Connection, config: Config, loaded: Loaded, evolution: Evolution
) -> tuple[Config, str]:
    """Evaluate the expression roles of a day that needs it, into the table ``evaluated``.

    That is one of text files, or one whose roles make several rows of one. Returns the
    configuration whose roles name the results, and the relation that holds them beside the columns
    of ``raw`` (as ``evolution`` reads them). Other days keep their configuration.
    """
    wanted = roles.expressions(config)
    if not loaded.has_text and not roles.explodes(config):
        return config, evolution.relation()
    if not wanted:
        return config, evolution.relation()
    types = _number_types(con, config) if loaded.has_text else {}
    replaced = ", ".join(
        f"TRY_CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
        for name, kind in types.items()
    )
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
    placed = "(SELECT *, rowid AS _driftune_place FROM evaluated)"
    return renamed, f"{evolution.relation()} JOIN {placed} USING (_driftune_id)"


def _number_types(con: Connection, config: Config) -> dict[str, str]:
    """A type for each text column of the expressions whose values, but few, are numbers or truths.

    The share of others that is tolerated is ``quality.max_rejected_share``.
    """
    tolerated, mentioned = config.quality.max_rejected_share, roles.mentioned(config)
    ids = roles.mentioned(config, ("user", "item", "request"))
    described = con.execute("DESCRIBE raw").fetchall()
    names = [name for name, kind, *_ in described if kind == "VARCHAR"]
    names = [name for name in names if name.lower() in mentioned]
    counts = []
    for name in map(identifier, names):
        text = f"trim({name})"
        integer, code = (f"regexp_full_match({text}, '{pattern}')" for pattern in (_INTEGER, _CODE))
        number = f"coalesce(isfinite(TRY_CAST({text} AS DOUBLE)), false)"
        counts += [
            f"count(*) FILTER ({text} <> '')",
            f"count(*) FILTER ({integer})",
            f"count(*) FILTER ({number})",
            f"count(*) FILTER ({code})",
            f"count(*) FILTER (lower({text}) IN ('true', 'false'))",
        ]
    figures = one_row(con, f"SELECT {', '.join(counts)} FROM raw") if counts else ()
    found = {}
    for place, name in enumerate(names):
        given, integers, numbers, codes, truths = figures[5 * place : 5 * place + 5]
        if given and name.lower() not in ids and truths >= (1 - tolerated) * given:
            found[name] = "BOOLEAN"
        if name.lower() in ids:
            # A fraction or a word among ids must not change how the others are written.
            if given and integers == given:
                found[name] = "BIGINT"
        elif given and not codes and numbers >= (1 - tolerated) * given:
            found[name] = "BIGINT" if integers == numbers else "DOUBLE"
    return found
