"""Sampling: which rows are drawn for a click, out of the rows of its day.

What is drawn follows from the rows' values alone, never from where they lie: candidates are sorted
by a hash of what they are, and a click's hash says which it takes. MD5 is the same on every machine
and in every version of DuckDB, whose own hash is not.
"""

from driftune.config.negatives import Negatives
from driftune.lake.duck import Connection, one_row

# Microseconds before and after a session in which others' rows count as of its time.
AROUND = 30 * 60 * 1_000_000


def sample(con: Connection, settings: Negatives) -> int:
    """Draw rows for each click of ``pool`` into the table ``drawn``; returns the clicks that have
    fewer than wanted.

    ``pool`` (row_id, u, i, g, s, t, positive, key): hashes of each row's user, item, domain and
    session, its time in microseconds, whether it is a click, and a hash of what it is. ``drawn``
    (row_id, i, other): the item ``i`` of the row ``other`` is drawn for the click ``row_id``.
    """
    wanted = settings.per_positive
    con.execute("CREATE OR REPLACE TABLE drawn (row_id BIGINT, i BIGINT, other BIGINT)")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE clicked AS SELECT DISTINCT u, i FROM pool WHERE positive"
    )
    _candidates(con, settings)
    _draw(con, wanted, 0, wanted)
    _draw(con, wanted, wanted, 2 * wanted)
    if settings.from_ == "session":
        _windows(con, whole=True)
        _draw(con, wanted, 3 * wanted, 2 * wanted)
    _rest(con, wanted)
    (fewer,) = one_row(con, "SELECT count(*) FROM lacking")
    for table in ("places", "windows", "clicked", "lacking"):
        con.execute(f"DROP TABLE {table}")
    return int(fewer)


def hashed(text: str) -> str:
    """SQL of a text's hash, the same on every machine: the first 60 bits of its MD5."""
    return f"('0x' || substr(md5({text}), 1, 15))::BIGINT"


def _candidates(con: Connection, settings: Negatives) -> None:
    """Create ``places``, the candidates numbered within their group ``g`` (from 0), and
    ``windows``, the places that each click may draw from."""
    rows = "SELECT g, t, i, key, row_id FROM pool"
    if settings.from_ == "uniform":
        con.execute("UPDATE pool SET g = 0")
        rows = (
            "SELECT 0 AS g, 0 AS t, i, min(key) AS key, arg_min(row_id, key) AS row_id "
            "FROM pool GROUP BY i"
        )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE places AS
        SELECT row_number() OVER (ORDER BY g, t, key) AS place, g, t, i, key, row_id FROM ({rows})
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE lacking AS "
        f"SELECT row_id, u, g, s, t, key, {settings.per_positive} AS lack "
        "FROM pool WHERE positive"
    )
    _windows(con, whole=settings.from_ != "session")


def _windows(con: Connection, *, whole: bool) -> None:
    """Create ``windows`` (row_id, low, n): of each lacking click the first of the places that it
    may draw from, and their number; ``whole``: all of its group."""
    if whole:
        con.execute(
            """
            CREATE OR REPLACE TEMP TABLE windows AS
            SELECT row_id, low, n FROM lacking
            JOIN (SELECT g, min(place) AS low, count(*) AS n FROM places GROUP BY g) USING (g)
            """
        )
        return
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE windows AS
        WITH times AS (
            SELECT g, t, min(place) AS first, max(place) AS last FROM places GROUP BY g, t
        ), named AS (
            SELECT row_id, g, t, coalesce(s, key) AS s FROM lacking
        ), sessions AS (
            SELECT g, s, min(t) - {AROUND} AS since, max(t) + {AROUND} AS until
            FROM named GROUP BY g, s
        ), bounded AS (
            SELECT sessions.g, sessions.s, since, until, times.first AS low
            FROM sessions ASOF JOIN times ON sessions.g = times.g AND times.t >= sessions.since
        ), spans AS (
            SELECT bounded.g, bounded.s, low, times.last - low + 1 AS n
            FROM bounded ASOF JOIN times ON bounded.g = times.g AND times.t <= bounded.until
        )
        SELECT row_id, low, n FROM named JOIN spans USING (g, s)
        """
    )


def _draw(con: Connection, wanted: int, first: int, draws: int) -> None:
    """Let each lacking click draw so many places, numbered from ``first``, out of its window, and
    keep what it may have: no item that its user clicked, none twice, and no more than it lacks."""
    # One MD5 is four numbers of 32 bits, of which each is scaled to the window.
    attempts = f"range({first // 4}, {-(-(first + draws) // 4)}) AS blocks (block)"
    found = f"""
        SELECT row_id, i, any_value(lack) AS lack, min(attempt) AS attempt,
               arg_min(other, attempt) AS other
        FROM (
            SELECT row_id, u, lack, 4 * block + part AS attempt, low + (word * n >> 32) AS place
            FROM (
                SELECT row_id, u, lack, block, part, low, n,
                       ('0x' || substr(digits, 1 + 8 * part, 8))::BIGINT AS word
                FROM (
                    SELECT lacking.row_id, u, lack, block, low, n,
                           md5(key || ' ' || block) AS digits
                    FROM lacking JOIN windows USING (row_id), {attempts}
                ), range(4) AS parts (part)
            )
            WHERE 4 * block + part BETWEEN {first} AND {first + draws - 1}
        ) JOIN (SELECT place, i, row_id AS other FROM places) USING (place)
        ANTI JOIN clicked USING (u, i)
        ANTI JOIN drawn USING (row_id, i)
        GROUP BY row_id, i
    """
    if draws > wanted:
        number = "row_number() OVER (PARTITION BY row_id ORDER BY attempt)"
        found = f"FROM (SELECT *, {number} AS number FROM ({found})) WHERE number <= lack"
    con.execute(f"INSERT INTO drawn SELECT row_id, i, other FROM ({found})")
    _lack(con, wanted)


def _lack(con: Connection, wanted: int) -> None:
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE lacking AS
        SELECT lacking.* REPLACE ({wanted} - coalesce(n, 0) AS lack)
        FROM lacking LEFT JOIN (SELECT row_id, count(*) AS n FROM drawn GROUP BY row_id)
        USING (row_id) WHERE coalesce(n, 0) < {wanted}
        """
    )


def _rest(con: Connection, wanted: int) -> None:
    """Give clicks that still lack rows items of their group one after the other, from a hashed
    start on: as many as there are that their user did not click.

    Items are numbered without those that the user clicked: of those before an item are taken away.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE items AS
        SELECT row_number() OVER (PARTITION BY g ORDER BY i) - 1 AS rank, g, i,
               arg_min(row_id, key) AS other
        FROM places SEMI JOIN lacking USING (g) GROUP BY g, i
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE gone AS
        SELECT u, g, rank - skip + 1 AS since, max(skip) AS skip FROM (
            SELECT u, g, rank, row_number() OVER (PARTITION BY u, g ORDER BY rank) AS skip
            FROM (SELECT DISTINCT u, g FROM lacking) JOIN clicked USING (u) JOIN items USING (g, i)
        ) GROUP BY ALL
        """
    )
    con.execute(
        f"""
        INSERT INTO drawn
        WITH sizes AS (SELECT g, count(*) AS n FROM items GROUP BY g),
        lefts AS (
            SELECT lacking.row_id, u, g, key, lack, sizes.n - coalesce(c, 0) AS n
            FROM lacking JOIN sizes USING (g)
            LEFT JOIN (SELECT u, g, max(skip) AS c FROM gone GROUP BY u, g) USING (u, g)
        ), steps AS (
            SELECT row_id, u, g, lack, step,
                   ({hashed("key || ' rest'")} + step) % n AS left_at
            FROM lefts, range({2 * wanted}) AS steps (step) WHERE n > 0 AND step < n
        ), ranked AS (
            SELECT row_id, steps.g, lack, step, left_at + coalesce(skip, 0) AS rank
            FROM steps ASOF LEFT JOIN gone
            ON steps.u = gone.u AND steps.g = gone.g AND steps.left_at >= gone.since
        )
        SELECT row_id, i, other FROM (
            SELECT row_id, i, other, lack,
                   row_number() OVER (PARTITION BY row_id ORDER BY step) AS number
            FROM ranked JOIN items USING (g, rank) ANTI JOIN drawn USING (row_id, i)
        ) WHERE number <= lack
        """
    )
    con.execute("DROP TABLE items; DROP TABLE gone")
    _lack(con, wanted)
