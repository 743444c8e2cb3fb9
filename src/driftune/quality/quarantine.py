"""Quarantine: rejected rows as they were delivered, with file, row number and reasons."""

import hashlib
from pathlib import Path

from driftune.config.quality import DOMAIN_REFUSED
from driftune.io import replacing
from driftune.lake.duck import Connection, connect, identifier, literal, one_row
from driftune.lake.kept import PREFIX
from driftune.lake.loading import delivered_types
from driftune.quality.parts import Example, Rejection
from driftune.quality.staged import Staged

EXAMPLES = 12
# A line that is no row, as it was delivered.
TEXT = "_text"
# Such lines have no columns, but their text.
_LINES = f"""
    UNION ALL BY NAME
    SELECT 'row_unreadable' AS _reasons, file AS _file, line AS _line, problem AS _problem,
           text AS {TEXT}
    FROM (FROM unreadable ORDER BY file, line)
"""
# The user's id as the lake would have it: the delivered column may be of any type or expression.
USER = "_driftune_user"
# What a quarantine file has beside the delivered columns, in lower case.
OURS = ("_reasons", "_domain", "_file", "_row", "_element", "_line", "_problem", TEXT, USER)


def write_quarantine(staged: Staged, target: Path) -> int:
    """Write a delivery's rejected rows to its quarantine file and return their number.

    One without rejected rows has no quarantine file; that of an earlier delivery is removed.
    """
    with connect(staged.database, reach=staged.reach) as con:
        (rejected,) = one_row(con, "SELECT count(*) FROM broken")
        (unreadable,) = one_row(con, "SELECT count(*) FROM unreadable")
        rejected = int(rejected + unreadable)
        if not rejected:
            target.unlink(missing_ok=True)
            return 0
        lines = _LINES if unreadable else ""
        with replacing(target) as part:
            con.execute(
                f"""
                COPY (
                    SELECT * FROM (
                        SELECT staged.reasons AS _reasons, staged.domain AS _domain,
                               staged.user_id AS {USER},
                               staged.file AS _file, staged.file_row AS _row, {_element(con)}
                               {_delivered(con)}
                        FROM staged LEFT JOIN raw ON raw._driftune_id = staged.row_id
                        WHERE staged.rejected = 1 ORDER BY staged.row_id
                    ) {lines}
                ) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)
                """
            )
    return rejected


def _element(con: Connection) -> str:
    """The number of a list's element, where rows are lists."""
    found = con.execute("SELECT 1 FROM parsed WHERE element IS NOT NULL LIMIT 1").fetchall()
    return "staged.element AS _element," if found else ""


def _delivered(con: Connection) -> str:
    """The delivered columns; one that is called like a column of ours has a prefix.

    Whole numbers that Parquet would hold as floats are their digits.
    """
    types = delivered_types(con)
    taken = {*OURS, *(name.lower() for name in types)}
    selected = []
    for name, kind in types.items():
        value, shown = f"raw.{identifier(name)}", name
        if name.lower() in OURS:
            while shown.lower() in taken:
                shown = PREFIX + shown
            taken.add(shown.lower())
        wide = "::VARCHAR" if kind in ("HUGEINT", "UHUGEINT") else ""
        selected.append(f"{value}{wide} AS {identifier(shown)}")
    return ", ".join(selected)


def accepted_hash(staged: Staged) -> str:
    """Hash of which of the delivery's rows are accepted; its content hash where all are.

    Side tables that are as they are now belong to what the rows are.
    """
    own, undated = staged.content_hash, staged.fetched.undated
    content = hashlib.sha256(f"{own} {undated}".encode()).hexdigest() if undated else own
    with connect(staged.database, reach=staged.reach) as con:
        count, *marks = one_row(
            con, "SELECT count(*), bit_xor(hash(row_id)), sum(hash(row_id)) FROM broken"
        )
    if not count:
        return content
    # Row numbers go on from file to file.
    order = [file.sha256 for file in staged.fetched.files]
    text = " ".join(map(str, [content, *order, count, *marks]))
    return hashlib.sha256(text.encode()).hexdigest()


def count_rejected(staged: Staged) -> list[Rejection]:
    """Count rejected rows by file, reason, column and domain (a row may break several rules)."""
    columns = {rule.name: rule.column for rule in staged.rules}
    columns |= {DOMAIN_REFUSED: "(domain)", "row_unreadable": "(whole row)"}
    with connect(staged.database, reach=staged.reach) as con:
        rows = con.execute(
            """
            SELECT file, reason, coalesce(domain, '') AS domain, sum(n)::BIGINT AS rows
            FROM (SELECT file, domain, n, unnest(string_split(reasons, ', ')) AS reason
                  FROM tally WHERE rejected)
            GROUP BY ALL ORDER BY rows DESC, reason, domain, file
            """
        ).fetchall()
    return [
        {"file": file, "reason": reason, "column": columns[reason], "domain": domain, "rows": n}
        for file, reason, domain, n in rows
    ]


def examples(staged: Staged) -> list[Example]:
    """A few rejected rows for the report, one or two of each reason, with their values."""
    convert = ', convert_label AS "convert"' if staged.has_conversions else ""
    with connect(staged.database, reach=staged.reach) as con:
        if not con.execute("SELECT 1 FROM broken LIMIT 1").fetchall():
            return []
        cursor = con.execute(
            f"""
            SELECT file, file_row, reasons, user_id, item_id, event_time::VARCHAR AS event_time,
                   domain, click_label AS click{convert}
            FROM staged WHERE row_id IN (
                SELECT row_id FROM broken
                QUALIFY row_number() OVER (PARTITION BY reasons ORDER BY row_id) <= 2
                ORDER BY row_id LIMIT {EXAMPLES}
            )
            ORDER BY row_id
            """
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
