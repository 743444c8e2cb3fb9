"""What is to be said of a day's files, lines and ids beside what its rules say of single rows."""

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, one_row
from driftune.lake.evolution import Change
from driftune.lake.loading import Loaded
from driftune.lake.source import Fetched
from driftune.lake.types import FLOATS, WHOLE

# Ids that are compared with each other; of more, a part of them.
_COMPARED = 1_000_000
# Whole numbers below these are exact in the float types.
_EXACT = {"FLOAT": 2**24, "DOUBLE": 2**53}


def file_changes(con: Connection, fetched: Fetched, loaded: Loaded) -> list[Change]:
    """Files that were ignored or hold nothing, and lines that are no rows."""
    found = []
    empty = [part.file.uri for part in loaded.parts if not part.rows]
    if empty:
        sentence = f"Every file of the day holds rows: {empty[0]} is the first that holds none."
        found.append(Change.of("files_empty", sentence, len(empty)))
    if fetched.ignored:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in fetched.ignored[:3])
        others = len(fetched.ignored) - 3
        more = f" and {others} others" if others > 0 else ""
        sentence = f"Every file of the day is a log: {names}{more} are ignored."
        found.append(Change.of("files_ignored", sentence, len(fetched.ignored)))
    first = ", ".join(f"arg_min({name}, (file, line))" for name in ("file", "line", "problem"))
    rows, file, line, problem = one_row(con, f"SELECT count(*), {first} FROM unreadable")
    if rows:
        sentence = f"Every line of the files is a row: line {line} of {file} {problem}."
        found.append(Change.of("row_unreadable", sentence, rows))
    return found


def check_rows(con: Connection, config: Config, loaded: Loaded) -> None:
    """See that expressions make one row of each.

    Raises:
        SourceError: when they do not: no row could be told from the others.
    """
    if not roles.expressions(config):
        return
    (rows,) = one_row(con, "SELECT count(*) FROM parsed")
    if rows != loaded.rows:
        raise SourceError(
            f"{loaded.parts[0].file.uri}: the expressions of the roles make {rows:,} rows of "
            f"{loaded.rows:,}; let each be a value of its row; source.explode makes rows of lists"
        )


def id_changes(con: Connection, config: Config, loaded: Loaded) -> list[Change]:
    """Ids that a float cannot tell from their neighbours, and ids that differ only in case."""
    found = []
    for name in sorted(roles.id_columns(config)):
        kind = loaded.types.get(name, "")
        if kind in FLOATS:
            column = identifier(name)
            rows, example = one_row(
                con,
                f"SELECT count(*), any_value({column}::VARCHAR) FROM raw "
                f"WHERE abs({column}) >= {_EXACT[kind]}",
            )
            if rows:
                said = f"Ids are exact: '{name}' is {kind}, which cannot tell {example} from"
                sentence = f"{said} its neighbours; deliver whole numbers or text."
                found.append(Change.of("id_inexact", sentence, rows))
    for column, role, source in (
        ("user_id", "users", config.columns.user),
        ("item_id", "items", config.columns.item),
    ):
        # Numbers have no case.
        if not isinstance(source, str) or loaded.types.get(source) not in WHOLE:
            found += _case_changes(con, column, role, max(1, loaded.rows // _COMPARED))
    return found


def _case_changes(con: Connection, column: str, role: str, parts: int) -> list[Change]:
    """Ids that differ only in case, among one in ``parts`` of them."""
    looked_at = f"FROM parsed WHERE hash(lower({column})) % {parts} = 0"
    # Of two such ids one at least has a capital.
    if not con.execute(f"SELECT 1 {looked_at} AND lower({column}) <> {column} LIMIT 1").fetchall():
        return []
    one, other, pairs = one_row(
        con,
        f"""
        SELECT min(one), arg_min(other, one), count(*) FROM (
            SELECT min({column}) AS one, max({column}) AS other {looked_at}
            GROUP BY lower({column}) HAVING one <> other
        )
        """,
    )
    if not pairs:
        return []
    about = "" if parts == 1 else f" (of 1 in {parts} looked at)"
    said = f"No {role} differ only in case: '{one}' and '{other}' are two, one of {pairs}"
    return [Change.of("id_case", f"{said} such pairs{about}.", pairs)]
