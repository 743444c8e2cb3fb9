"""Numbers of JSON lines whose writing a double does not hold."""

import json
import re
from collections.abc import Collection
from pathlib import Path

from driftune.lake.derived import Derived
from driftune.lake.duck import Connection, identifier, literal, one_row
from driftune.lake.readers.parsed import Parsed, write_parsed

_NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"


def restore_numbers(
    con: Connection,
    objects: str,
    parsed: Parsed,
    columns: list[str],
    derived: Derived,
    ids: Collection[str],
    target: Path,
) -> Parsed:
    """Give numbers back the writing that the file's ``objects`` have.

    DuckDB writes a number with a fraction or an exponent anew, from a double. Where that may lose
    something (an id, or more digits than a double holds), the number as it was written takes its
    place, in a file beside ``target``.
    """
    looks = [f"coalesce(bool_or({_is_suspect(name, name in ids)}), false)" for name in columns]
    found = one_row(con, f"SELECT {', '.join(looks)} FROM {parsed.relation}")
    suspects = [name for name, is_one in zip(columns, found, strict=True) if is_one]
    if not suspects:
        return parsed
    texts = ", ".join(f"{_written(name)} AS _driftune_w{n}" for n, name in enumerate(suspects))
    replaced = ", ".join(_restored(name, n) for n, name in enumerate(suspects))
    scan = (
        f"(SELECT * EXCLUDE (_driftune_row) REPLACE ({replaced}) FROM {parsed.relation} "
        f"POSITIONAL JOIN (SELECT {texts} FROM {objects}))"
    )
    own = ", ".join(map(identifier, columns))
    again = target.with_suffix(".numbers.parquet")
    return write_parsed(con, f"(SELECT {own} FROM {scan})", columns, derived, again)


def _is_suspect(name: str, is_id: bool) -> str:
    """SQL condition on a value to be a number that DuckDB may have written anew."""
    column = identifier(name)
    looks = f"contains({column}, '.') OR contains(lower({column}), 'e')"
    if not is_id:
        looks = f"contains(lower({column}), 'e') OR length({column}) >= 17 AND ({looks})"
    # Most texts begin with a letter, and are told by that alone.
    return (
        f"CASE WHEN {column} < ':' AND ({looks}) "
        f"THEN regexp_full_match({column}, {literal(_NUMBER)}) ELSE false END"
    )


def _written(name: str) -> str:
    """SQL of the numbers that an object has under a name, also within what is nested."""
    key = re.escape(json.dumps(name, ensure_ascii=False))
    pattern = literal(rf"{key}\s*:\s*({_NUMBER})\s*[,}}]")
    return f"regexp_extract_all(json::VARCHAR, {pattern}, 1)"


def _restored(name: str, number: int) -> str:
    column = identifier(name)
    same = f"TRY_CAST(written AS DOUBLE) = TRY_CAST({column} AS DOUBLE)"
    found = f"list_filter(_driftune_w{number}, lambda written: {same})[1]"
    return f"coalesce({found}, {column}) AS {column}"
