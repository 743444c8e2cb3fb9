"""Negatives: rows without a click that are drawn for each accepted click of a staged day.

What is drawn follows from the rows' values alone, never from where they lie: candidates are sorted
by a hash of what they are, and a click's hash says which it takes. MD5 is the same on every machine
and in every version of DuckDB, whose own hash is not.
"""

from dataclasses import dataclass, field

from driftune.config import Config
from driftune.config.negatives import Negatives
from driftune.lake.duck import Connection, connect, identifier, literal, one_row
from driftune.quality.staged import Staged

# Microseconds before and after a session in which others' rows count as of its time.
AROUND = 30 * 60 * 1_000_000
# Rows of an item of which one may have another value, and the column is still the item's.
ONE_IN = 100
# Rows that are looked at, about, to tell whose columns are.
LOOKED_AT = 200_000


@dataclass(frozen=True)
class Drawn:
    """The rows drawn for a day by domain, what from (``source``, empty: none are wanted), the
    clicks that have ``fewer`` than wanted, and the lake's columns that come with the item."""

    domains: dict[str, int] = field(default_factory=dict)
    source: str = ""
    fewer: int = 0
    columns: tuple[str, ...] = ()


def draw(config: Config, staged: Staged) -> Drawn:
    """Draw the negatives of a validated day, where they are wanted, into the table ``drawn``.

    ``drawn`` (row_id, other): a copy of the accepted click ``row_id`` with the item of the row
    ``other``. Clicks that were rejected draw nothing and are drawn for nothing.
    """
    settings = config.negatives
    if settings is None:
        return Drawn()
    reach, memory = staged.reach, config.resources.memory
    with connect(staged.database, reach=reach, memory=memory) as con:
        columns = _item_columns(con, config, staged)
        con.execute("CREATE OR REPLACE TABLE drawn (row_id BIGINT, i BIGINT, other BIGINT)")
        con.execute(
            "CREATE OR REPLACE TABLE item_columns AS SELECT unnest(?::VARCHAR[]) AS name",
            [[*columns]],
        )
        _pool(con, config, staged, columns)
        _candidates(con, settings)
        wanted = settings.per_positive
        _sample(con, wanted, 0, wanted)
        _sample(con, wanted, wanted, 2 * wanted)
        if settings.from_ == "session":
            _windows(con, whole=True)
            _sample(con, wanted, 3 * wanted, 2 * wanted)
        _rest(con, wanted)
        (fewer,) = one_row(con, "SELECT count(*) FROM lacking")
        domains = con.execute(
            "SELECT domain, count(*) FROM drawn JOIN staged USING (row_id) GROUP BY ALL ORDER BY 1"
        ).fetchall()
        for table in ("pool", "places", "windows", "clicked", "lacking"):
            con.execute(f"DROP TABLE {table}")
    return Drawn(dict(domains), settings.from_, int(fewer), columns)


def drawn_select(con: Connection, columns: dict[str, str]) -> str:
    """The drawn rows as a query; ``columns``: those of the lake, and the SQL of each over
    ``staged`` and the keys of its domains."""
    of_item = con.execute("SELECT name FROM item_columns").fetchall()
    taken = {"item_id", "category", "price", *(name for (name,) in of_item)}
    given = {"click": "0::TINYINT", "convert": "0::TINYINT", "propensity": "NULL::DOUBLE"}
    # No probability is known with which it would have been shown.
    selected = ", ".join(
        f"{given.get(name, f'other.{identifier(name)}' if name in taken else sql)} "
        f"AS {identifier(name)}"
        for name, sql in columns.items()
    )
    others = ", ".join(
        f"{columns[name]} AS {identifier(name)}" for name in columns if name in taken
    )
    return f"""
        SELECT {selected}, true AS drawn
        FROM drawn JOIN staged USING (row_id) JOIN keys USING (domain)
        JOIN (SELECT row_id AS other, {others} FROM staged) AS other USING (other)
    """


def _item_columns(con: Connection, config: Config, staged: Staged) -> tuple[str, ...]:
    """The features and kept columns that belong to the item, by their names in the lake."""
    features = [f"f_{name}" for name in config.features.categorical]
    features += [f"x_{name}" for name in config.features.numerical]
    kept = [column.name for column in staged.evolution.kept]
    assert config.negatives is not None
    given = config.negatives.item
    found = [] if given is None else [name for name in features if name[2:] in given]
    asked = kept if given is not None else [*features, *kept]
    if not asked:
        return tuple(found)
    (rows,) = one_row(con, "SELECT count(*) FROM staged WHERE rejected = 0")
    parts = max(1, rows // LOOKED_AT)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE looked_at AS
        SELECT item_id, {", ".join(map(identifier, asked))} FROM staged
        WHERE rejected = 0 AND {_hash("item_id")} % {parts} = 0
        """
    )
    for name in asked:
        rows, others, unusual = one_row(
            con,
            f"""
            WITH counted AS (
                SELECT item_id, {identifier(name)} AS value, count(*) AS n FROM looked_at
                GROUP BY ALL
                QUALIFY sum(n) OVER (PARTITION BY item_id) > 1
            )
            SELECT sum(n),
                   sum(n) - (SELECT sum(most) FROM
                             (SELECT max(n) AS most FROM counted GROUP BY item_id)),
                   sum(n) - (SELECT max(n) FROM (SELECT sum(n) AS n FROM counted GROUP BY value))
            FROM counted
            """,
        )
        # One that is nearly always the same, or null, tells nothing of whose it is.
        if rows and unusual and ONE_IN * others <= rows and 10 * others <= unusual:
            found.append(name)
    con.execute("DROP TABLE looked_at")
    return tuple(found)


def _pool(con: Connection, config: Config, staged: Staged, columns: tuple[str, ...]) -> None:
    """Create ``pool``: of each accepted row hashes of user ``u``, item ``i``, domain ``g`` and
    session ``s``, its time ``t`` (microseconds), and ``key``, what it is; ``clicked`` (u, i)."""
    parts = [
        *(literal(f"{config.seed} {staged.day}"), "user_id", "item_id", "domain"),
        *("epoch_us(event_time)", "request_id", "category", "price"),
        *map(identifier, columns),
    ]
    # A null is unlike the empty text, and no value runs into the next.
    texts = ", ".join(f"coalesce(({part})::VARCHAR, chr(30))" for part in parts)
    key = _hash(f"concat_ws(chr(31), {texts})")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pool AS
        SELECT row_id, {_hash("user_id")} AS u, {_hash("item_id")} AS i, {_hash("domain")} AS g,
               {_hash("request_id")} AS s, epoch_us(event_time) AS t, click_value = 1 AS positive,
               {key} AS key
        FROM staged WHERE rejected = 0
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE clicked AS SELECT DISTINCT u, i FROM pool WHERE positive"
    )


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


def _sample(con: Connection, wanted: int, first: int, draws: int) -> None:
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
                   ({_hash("key || ' rest'")} + step) % n AS left_at
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


def _hash(text: str) -> str:
    """SQL of a text's hash: the first 60 bits of its MD5."""
    return f"('0x' || substr(md5({text}), 1, 15))::BIGINT"
