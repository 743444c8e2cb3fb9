"""Point-in-time rolling counters: decayed impressions and rates from days strictly before a day.

Weights are integers (a power of the half-life, scaled), so that sums are exact and the same on
every machine whatever the order in which DuckDB's threads add them. Counters that see the day
itself up to a lag are made by ``features.fresh``.
"""

from collections.abc import Sequence
from datetime import date

from driftune.config import Config
from driftune.features.fresh import SCALE, build_fresh
from driftune.lake.duck import Connection, identifier

_ROLES = {"user": "user_id", "item": "item_id", "domain": "domain_key", "category": "category"}


def lake_column(name: str) -> str:
    """The lake's column of a role or an extra categorical feature."""
    return identifier(_ROLES.get(name, f"f_{name}"))


def counter_columns(config: Config) -> list[str]:
    """Names of the counter features, in order; of conversions where the log has them."""
    figures = ("shown", "ctr") if config.columns.convert is None else ("shown", "ctr", "cvr")
    return [
        f"{figure}_{'_'.join(key)}" for key in config.features.counters.per for figure in figures
    ]


def history(config: Config, stored: Sequence[date], day: date) -> list[date]:
    """The days whose rows may enter the counters of ``day``: before it, within the horizon."""
    horizon = config.features.counters.history_days
    return [other for other in stored if 0 < (day - other).days <= horizon]


def build_counters(con: Connection, config: Config, past: str | None, day: date) -> None:
    """Create temp tables ``counter_0`` … for ``day`` from the relation ``past``.

    Each holds its key columns and ``shown`` (impressions per day, decayed), ``ctr`` and ``cvr``
    (clicks and conversions per impression, smoothed toward the overall rate). Without ``past``
    the tables are empty, and the features null. With ``lag_hours`` each also has the ``moment``
    at which a row sees them.
    """
    counters = config.features.counters
    source = past or "(SELECT * FROM day_rows WHERE false)"
    needed = sorted({lake_column(part) for key in counters.per for part in key})
    if counters.lag_hours is not None:
        keys = [[lake_column(part) for part in key] for key in counters.per]
        build_fresh(con, config, source, keys, needed, day)
        return
    weight = f"round({SCALE} * pow(2, -(DATE '{day}' - day) / {counters.half_life_days}))::BIGINT"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW past_rows AS
        SELECT {", ".join(needed)}, {weight} AS w, click, "convert", day FROM {source}
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE overall AS
        SELECT sum(w)::DOUBLE AS shown,
               sum(w * click)::DOUBLE / sum(w) AS ctr,
               sum(w * "convert")::DOUBLE / sum(w) AS cvr,
               (SELECT sum(w) FROM (SELECT DISTINCT day, w FROM past_rows))::DOUBLE AS days
        FROM past_rows
        """
    )
    smoothing = counters.smoothing * SCALE
    for number, key in enumerate(counters.per):
        columns = ", ".join(lake_column(part) for part in key)
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE counter_{number} AS
            SELECT {columns},
                   w / overall.days AS shown,
                   (clicks + {smoothing} * overall.ctr) / (w + {smoothing}) AS ctr,
                   (conversions + {smoothing} * overall.cvr) / (w + {smoothing}) AS cvr
            FROM (
                SELECT {columns}, sum(w)::DOUBLE AS w, sum(w * click)::DOUBLE AS clicks,
                       sum(w * "convert")::DOUBLE AS conversions
                FROM past_rows GROUP BY {columns}
            ), overall
            """
        )


def counter_select(config: Config) -> str:
    """Select list of the counter features over ``day_rows`` joined by ``counter_joins``."""
    parts = []
    for number, key in enumerate(config.features.counters.per):
        name = "_".join(key)
        table = f"counter_{number}"
        parts += [
            f"CASE WHEN overall.days > 0 THEN ln(1 + coalesce({table}.shown, 0)) END "
            f"AS {identifier(f'shown_{name}')}",
            f"coalesce({table}.ctr, overall.ctr) AS {identifier(f'ctr_{name}')}",
        ]
        if config.columns.convert is not None:
            parts.append(f"coalesce({table}.cvr, overall.cvr) AS {identifier(f'cvr_{name}')}")
    return ", ".join(parts)


def counter_joins(config: Config) -> str:
    """Joins that bring the counters to ``day_rows``."""
    fresh = config.features.counters.lag_hours is not None
    at = "{0}.moment = epoch_us(day_rows.event_time)"
    joins = [f"LEFT JOIN overall ON {at.format('overall')}" if fresh else "CROSS JOIN overall"]
    for number, key in enumerate(config.features.counters.per):
        columns = [lake_column(part) for part in key]
        matches = " AND ".join(
            f"day_rows.{column} = counter_{number}.{column}" for column in columns
        )
        if fresh:
            matches += f" AND {at.format(f'counter_{number}')}"
        joins.append(f"LEFT JOIN counter_{number} ON {matches}")
    return " ".join(joins)
