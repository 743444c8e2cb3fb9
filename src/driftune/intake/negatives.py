"""Negatives: rows without a click that are drawn for each accepted click of a staged day."""

from dataclasses import dataclass, field

from driftune.config import Config
from driftune.config.feature_names import of_item
from driftune.intake.sampling import hashed, sample
from driftune.lake.duck import Connection, connect, identifier, literal, one_row
from driftune.quality.staged import Staged

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
        con.execute(
            "CREATE OR REPLACE TABLE item_columns AS SELECT unnest(?::VARCHAR[]) AS name",
            [[*columns]],
        )
        _pool(con, config, staged, columns)
        fewer = sample(con, settings)
        domains = con.execute(
            "SELECT domain, count(*) FROM drawn JOIN staged USING (row_id) GROUP BY ALL ORDER BY 1"
        ).fetchall()
        con.execute("DROP TABLE pool")
    return Drawn(dict(domains), settings.from_, fewer, columns)


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
    # What its role or a table joined by it gives is the item's, whatever the rows look like.
    known = of_item(config)
    found = [name for name in features if name in known or name[2:] in (given or [])]
    asked = kept if given is not None else [*features, *kept]
    asked = [name for name in asked if name not in found]
    if not asked:
        return tuple(found)
    (rows,) = one_row(con, "SELECT count(*) FROM staged WHERE rejected = 0")
    parts = max(1, rows // LOOKED_AT)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE looked_at AS
        SELECT item_id, {", ".join(map(identifier, asked))} FROM staged
        WHERE rejected = 0 AND {hashed("item_id")} % {parts} = 0
        """
    )
    for name in asked:
        rows, others, unusual = one_row(
            con,
            f"""
            WITH counted AS (
                SELECT * FROM (
                    SELECT item_id, {identifier(name)} AS value, count(*) AS n
                    FROM looked_at GROUP BY ALL
                ) QUALIFY sum(n) OVER (PARTITION BY item_id) > 1
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
    session ``s``, its time ``t`` (microseconds), and ``key``, what it is."""
    parts = [
        *(literal(f"{config.seed} {staged.day}"), "user_id", "item_id", "domain"),
        *("epoch_us(event_time)", "request_id", "category", "price"),
        *map(identifier, columns),
    ]
    # A null is unlike the empty text, and no value runs into the next.
    texts = ", ".join(f"coalesce(({part})::VARCHAR, chr(30))" for part in parts)
    key = hashed(f"concat_ws(chr(31), {texts})")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pool AS
        SELECT row_id, {hashed("user_id")} AS u, {hashed("item_id")} AS i, {hashed("domain")} AS g,
               {hashed("request_id")} AS s, epoch_us(event_time) AS t, click_value = 1 AS positive,
               {key} AS key
        FROM staged WHERE rejected = 0
        """
    )
