"""Exact copies of rows: found by their fingerprints, sorted as plain numbers.

Grouping strings or hashes in a database costs several times what sorting 64-bit numbers does.
"""

from collections.abc import Iterable

import numpy as np

from driftune.lake.duck import Connection, identifier

# Rows whose fingerprints are sorted at once: a quarter of a GB, twice for a moment.
PASS_ROWS = 1 << 25


def find_copies(
    con: Connection, columns: Iterable[str], rows: int, pass_rows: int = PASS_ROWS
) -> None:
    """Create the table ``copies`` (row_id, copy_number) of the rows of ``raw`` whose
    ``columns`` are repeated.

    The first of equal rows has number 1; rows that occur once are not in it. Two different rows
    may have one fingerprint (64 bits); so those that share one are compared by a second hash.
    """
    passes = -(-rows // pass_rows)
    source = "raw"
    if passes > 1:
        con.execute("CREATE TABLE fingerprints AS SELECT _driftune_fingerprint FROM raw")
        source = "fingerprints"
    con.execute("CREATE TABLE twice (fingerprint UBIGINT)")
    found = 0
    for number in range(passes):
        of_pass = f" WHERE _driftune_fingerprint % {passes} = {number}" if passes > 1 else ""
        part = con.execute(f"SELECT _driftune_fingerprint AS f FROM {source}{of_pass}")
        repeated = _repeated(part.fetchnumpy()["f"])
        found += len(repeated)
        if len(repeated):
            con.execute("INSERT INTO twice SELECT unnest(?)", [repeated])
    con.execute("DROP TABLE IF EXISTS fingerprints")
    con.execute("CREATE TABLE copies (row_id BIGINT, copy_number BIGINT)")
    if found:
        values = ", ".join(map(identifier, columns))
        con.execute(
            f"""
            INSERT INTO copies
            SELECT row_id, row_number() OVER (PARTITION BY fingerprint, content ORDER BY row_id)
            FROM (
                SELECT _driftune_id AS row_id, _driftune_fingerprint AS fingerprint,
                       md5(row({values})::VARCHAR) AS content
                FROM raw SEMI JOIN twice ON _driftune_fingerprint = fingerprint
            )
            """
        )
    con.execute("DROP TABLE twice")


def _repeated(fingerprints: np.ndarray) -> np.ndarray:
    """The distinct values that occur more than once."""
    fingerprints.sort()
    again = fingerprints[1:] == fingerprints[:-1]
    return np.unique(fingerprints[1:][again])
