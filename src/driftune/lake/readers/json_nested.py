"""What is nested in JSON lines, with the structure that expressions look into."""

import json
from collections.abc import Collection

from driftune.io import Json
from driftune.lake.duck import Connection, identifier, literal, one_row

# More digits than a 64-bit number or a double is sure to hold.
_LONG = r"[0-9]{19,}|\.[0-9]{16,}"


def structured(
    con: Connection, objects: str, relation: str, columns: Collection[str], ids: Collection[str]
) -> dict[str, tuple[str, str]]:
    """For those of ``columns`` that hold objects or lists: SQL of their values, and its type.

    Texts within stay texts; so do numbers where one has more digits than a number may keep, and of
    columns whose expressions name something (``ids``, in lower case).
    """
    found = {}
    for name in columns:
        path = literal(f"$.{json.dumps(name, ensure_ascii=False)}")
        (nested,) = one_row(
            con,
            f"SELECT coalesce(bool_or(json_type(json, {path}) IN ('OBJECT', 'ARRAY')), false) "
            f"FROM {objects}",
        )
        if not nested:
            continue
        column = identifier(name)
        structure, long = one_row(
            con,
            f"SELECT json_group_structure({column}::JSON), "
            f"coalesce(bool_or(regexp_matches({column}, '{_LONG}')), false) "
            f"FROM {relation} WHERE json_valid({column})",
        )
        as_text = bool(long) or name.lower() in ids
        kind = literal(json.dumps(_typed(json.loads(structure), as_text)))
        sql = f"json_transform(CASE WHEN json_valid({column}) THEN {column} END, {kind})"
        ((described),) = con.execute(f"SELECT typeof({sql}) FROM {relation} LIMIT 1").fetchall()
        found[name] = (sql, str(described[0]))
    return found


def _typed(structure: Json, long: bool) -> Json:
    """A structure whose leaves are texts, whole numbers, fractions or truths."""
    if isinstance(structure, dict):
        return {name: _typed(inner, long) for name, inner in structure.items()}
    if isinstance(structure, list):
        return [_typed(inner, long) for inner in structure]
    if structure in ("UBIGINT", "BIGINT") and not long:
        return "BIGINT"
    if structure == "DOUBLE" and not long:
        return "DOUBLE"
    return "BOOLEAN" if structure == "BOOLEAN" else "VARCHAR"
