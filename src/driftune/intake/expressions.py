"""Expression roles over text files: CSV says no types, so the columns' values have to.

An expression sees a column as a number where its values read as numbers, else as text. Roles that
name a column directly always see its text, so that a broken value is quarantined as delivered.
"""

from driftune.config import Config
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, one_row
from driftune.lake.source import Fetched

# A leading zero or more digits than an integer holds make a code, which a number would spoil.
_INTEGER = "[+-]?(0|[1-9][0-9]{0,17})"
_CODE = "[+-]?(0[0-9].*|[0-9]{19,})"


def over_typed_columns(con: Connection, config: Config, fetched: Fetched) -> tuple[Config, str]:
    """Evaluate the expression roles of a day of text files.

    Returns the configuration whose roles name the results, and the relation that holds them
    beside the columns of ``raw``. Other days keep their configuration and ``raw`` itself.
    """
    wanted = roles.expressions(config)
    if not wanted or all(file.format != "csv" for file in fetched.files):
        return config, "raw"
    types = _number_types(con, config.quality.max_rejected_share)
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
        FROM (SELECT {columns} FROM raw)
        """
    )
    renamed = config.model_copy(update={"columns": config.columns.named(names)})
    return renamed, "raw JOIN evaluated USING (_driftune_id)"


def _number_types(con: Connection, tolerated: float) -> dict[str, str]:
    """BIGINT or DOUBLE for each text column whose values, but a tolerated share, are numbers."""
    described = con.execute("DESCRIBE raw").fetchall()
    names = [name for name, kind, *_ in described if kind == "VARCHAR"]
    names.remove("_driftune_file")
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
        ]
    figures = one_row(con, f"SELECT {', '.join(counts)} FROM raw") if counts else ()
    found = {}
    for place, name in enumerate(names):
        given, integers, numbers, codes = figures[4 * place : 4 * place + 4]
        if given and not codes and numbers >= (1 - tolerated) * given:
            found[name] = "BIGINT" if integers == numbers else "DOUBLE"
    return found
