"""Numbers of JSON lines whose writing a double does not hold."""

import json
import re
from collections.abc import Collection

from driftune.lake.duck import Connection, identifier, literal, one_row

_NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"


def restore_numbers(
    con: Connection, objects: str, table: str, columns: list[str], ids: Collection[str]
) -> None:
    """Give numbers of ``table`` back the writing that the file's ``objects`` have.

    DuckDB writes a number with a fraction or an exponent anew, from a double. Where that may lose
    something (an id, or more digits than a double holds), the number as it was written takes its
    place.
    """
    suspects = [name for name in columns if _is_suspect(con, table, name, name in ids)]
    for name in suspects:
        column = identifier(name)
        key = re.escape(json.dumps(name, ensure_ascii=False))
        pattern = literal(rf"{key}\s*:\s*({_NUMBER})\s*[,}}]")
        con.execute(
            f"""
            UPDATE {table} SET {column} = found.written
            FROM (SELECT row_number() OVER () - 1 AS place,
                         regexp_extract(json::VARCHAR, {pattern}, 1) AS written
                  FROM {objects}) AS found
            WHERE found.place = {table}.rowid AND written <> '' AND written <> {column}
              AND TRY_CAST(written AS DOUBLE) = TRY_CAST({column} AS DOUBLE)
            """
        )


def _is_suspect(con: Connection, table: str, name: str, is_id: bool) -> bool:
    column = identifier(name)
    looks = f"regexp_full_match({column}, {literal(_NUMBER)}) AND regexp_matches({column}, '[.eE]')"
    if not is_id:
        looks += f" AND (length({column}) >= 17 OR {column} ILIKE '%e%')"
    return bool(one_row(con, f"SELECT coalesce(bool_or({looks}), false) FROM {table}")[0])
