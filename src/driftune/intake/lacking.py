"""Columns and expressions of params.yaml that a day's files cannot give."""

import re

import duckdb

from driftune.config import Config
from driftune.config.messages import near
from driftune.errors import SourceError
from driftune.lake.duck import Connection, first_line
from driftune.lake.loading import delivered_types
from driftune.lake.readers.part import Part

# Columns of a file that a message names.
SHOWN = 20
_DELIMITERS = ",;|\t~"
_UNKNOWN = re.compile(r'Referenced column "([^"]+)"')


def missing_column(part: Part, column: str, key: str) -> SourceError:
    """The error for a file without a column that ``key`` of params.yaml names."""
    given = ", ".join([*part.columns][:SHOWN])
    if len(part.columns) > SHOWN:
        given += f" and {len(part.columns) - SHOWN} more"
    remedy = near(column, [*part.columns]) or "; name one of these there, or deliver it"
    (first, *others) = part.columns or [""]
    if part.file.format == "csv" and not others and any(sign in first for sign in _DELIMITERS):
        remedy = "; its header reads as one name: set source.csv.delimiter"
    elif part.file.format == "csv" and not remedy.startswith("; did"):
        remedy += "; of a file without a header, write the names: source.csv.header"
    # Names of columns are data of any shape.
    said = " ".join(f"the file has {given}{remedy}".split())
    return SourceError(
        f"{part.file.uri}: column '{column}' ({key} in params.yaml) is missing; {said}"
    )


def failed_role(con: Connection, config: Config, uri: str, error: duckdb.Error) -> SourceError:
    """The error for expressions that a day's rows cannot give; each that fails is named."""
    failed = []
    for role, sql in config.columns.expressions().items():
        try:
            con.execute(f"SELECT count(x) FROM (SELECT ({sql}) AS x FROM raw)").fetchall()
        except duckdb.Error as why:
            unknown, names = _UNKNOWN.search(str(why)), delivered_types(con)
            meant = near(unknown[1], [*names]) if unknown else ""
            failed.append(f"columns.{role}.sql = {sql!r}: {first_line(why)}{meant}")
    said = "; ".join(failed) or first_line(error)
    return SourceError(
        f"{uri}: a column role cannot be computed ({said}); correct columns in params.yaml"
    )
