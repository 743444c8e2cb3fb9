"""Point-in-time counters that see the row's own day: all rows at least a lag older than a row.

A row at time t sees rows of its day and of the days of ``history_days`` with time ≤ t − lag. The
weight of a row halves with each half-life between its hour and that of t, by the hours of UTC.
Weights are integers, counted from the day's midnight, and so are their sums: these are the same
on every machine. What every row of the day sees is summed once, by key; the rest, of about a day,
is summed by key up to each time, and looked up where the lag ends.

A conversion comes hours or days after its impression, and nothing says when: a row has those that
its day was delivered with. Rows of the own day give none, only rows of the days before.
"""

from datetime import date

from driftune.config import Config
from driftune.config.features import Counters
from driftune.lake.duck import Connection, one_row

SCALE = 1 << 20
_HOUR = 3_600_000_000  # microseconds
# ``settled``: the weight of rows of days before, whose conversions are known.
_PAST = 'sum(w) AS w, sum(w * click) AS clicks, sum(w) AS settled, sum(w * "convert") AS bought'
_RECENT = (
    "bool_or(own) AS own, sum(w) AS w, sum(w * click) AS clicks, "
    "sum(CASE WHEN NOT own THEN w END) AS settled, "
    'sum(CASE WHEN NOT own THEN w * "convert" END) AS bought'
)
_FIGURES = ("w", "clicks", "settled", "bought")
# Sums up to a row, then looked up where the lag ends: a window that reaches back by a lag takes
# time that grows faster than its rows.
_RUNNING = ", ".join(f"sum({name}) OVER upto AS {name}" for name in _FIGURES)


def build_fresh(
    con: Connection,
    config: Config,
    source: str,
    keys: list[list[str]],
    needed: list[str],
    day: date,
) -> None:
    """Create temp tables ``overall`` and ``counter_0`` … for the view ``day_rows``.

    ``source``: the rows of the days before; ``keys``: the columns of each counter, as SQL;
    ``needed``: all of them. Each table has its key and ``moment`` (microseconds since 1970), for
    every pair of them among the day's rows, and the figures of ``build_counters``.
    """
    counters = config.features.counters
    lag = round((counters.lag_hours or 0) * _HOUR)
    columns = ", ".join([*needed, "epoch_us(event_time) AS moment", "click", '"convert"'])
    bounds = "min(epoch_us(event_time)), max(epoch_us(event_time))"
    first, last = one_row(con, f"SELECT {bounds} FROM day_rows")
    # An empty day: nothing is asked, and nothing is summed.
    cut, newest = ((first or 0) - lag, (last or 0) - lag)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW past_rows AS
        SELECT *, {_weight(counters, day)} AS w FROM (SELECT {columns} FROM {source})
        WHERE moment <= {cut}
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE recent_rows AS
        SELECT *, {_weight(counters, day)} AS w FROM (
            SELECT {columns}, false AS own FROM {source}
            WHERE epoch_us(event_time) BETWEEN {cut} + 1 AND {newest}
            UNION ALL SELECT {columns}, true AS own FROM day_rows
        )
        """
    )
    _overall(con, lag)
    smoothing = f"({counters.smoothing} * {_weight(counters, day, 'asked.moment')})"
    for number, key in enumerate(keys):
        _counter(con, number, key, lag, smoothing)
    con.execute("DROP TABLE recent_rows")


def _weight(counters: Counters, day: date, moment: str = "moment") -> str:
    """The weight of a row at ``moment``, as SQL: an integer, 2^20 at the day's midnight in UTC."""
    hours = f"{moment} // {_HOUR} - epoch_us(TIMESTAMP '{day}') // {_HOUR}"
    return f"round({SCALE} * pow(2, ({hours}) / {24 * counters.half_life_days}))::BIGINT"


def _overall(con: Connection, lag: int) -> None:
    """Figures of all rows seen at each moment; ``days``: weights of hours with rows, 24 a day."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE overall AS
        WITH before AS (
            SELECT {_PAST},
                   (SELECT sum(w) FROM (SELECT DISTINCT moment // {_HOUR}, w FROM past_rows))
                       AS hours,
                   max(moment // {_HOUR}) AS newest
            FROM past_rows
        ), moments AS (
            SELECT moment, {_RECENT}, any_value(w) AS hour_weight FROM recent_rows GROUP BY moment
        ), hours AS (
            SELECT *, row_number() OVER (PARTITION BY moment // {_HOUR} ORDER BY moment) AS place
            FROM moments
        ), added AS MATERIALIZED (
            SELECT moment, own, {_RUNNING},
                   sum(CASE WHEN place = 1 AND moment // {_HOUR} > coalesce(newest, -1)
                       THEN hour_weight END) OVER upto AS hours
            FROM hours, (SELECT newest FROM before)
            WINDOW upto AS (ORDER BY moment ROWS UNBOUNDED PRECEDING)
        ), summed AS (
            SELECT asked.moment, {_summed(*_FIGURES, "hours")}
            FROM (FROM added WHERE own) AS asked
            ASOF LEFT JOIN added AS seen ON asked.moment - {lag} >= seen.moment
            CROSS JOIN before
        )
        SELECT moment, w AS shown, clicks / w AS ctr, bought / nullif(settled, 0) AS cvr,
               hours / 24 AS days
        FROM summed WHERE w > 0
        """
    )


def _counter(con: Connection, number: int, columns: list[str], lag: int, smoothing: str) -> None:
    key = ", ".join(columns)
    same = " AND ".join(f"asked.{part} = seen.{part}" for part in columns)
    asked = ", ".join(f"asked.{part}" for part in columns)
    known = " AND ".join(f"asked.{part} = before.{part}" for part in columns)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE counter_{number} AS
        WITH before AS (
            SELECT {key}, {_PAST} FROM past_rows GROUP BY {key}
        ), moments AS (
            SELECT {key}, moment, {_RECENT} FROM recent_rows GROUP BY {key}, moment
        ), added AS MATERIALIZED (
            SELECT {key}, moment, own, {_RUNNING} FROM moments
            WINDOW upto AS (PARTITION BY {key} ORDER BY moment ROWS UNBOUNDED PRECEDING)
        ), summed AS (
            SELECT {asked}, asked.moment, {_summed(*_FIGURES)},
                   {smoothing} AS drawn
            FROM (FROM added WHERE own) AS asked
            ASOF LEFT JOIN added AS seen ON {same} AND asked.moment - {lag} >= seen.moment
            LEFT JOIN before ON {known}
        )
        SELECT {", ".join(f"summed.{part}" for part in columns)}, moment,
               w / overall.days AS shown,
               (clicks + drawn * overall.ctr) / (w + drawn) AS ctr,
               (bought + drawn * overall.cvr) / (settled + drawn) AS cvr
        FROM summed JOIN overall USING (moment)
        WHERE w > 0
        """
    )


def _summed(*names: str) -> str:
    """What all rows of the day see, and what is seen besides, as a select list."""
    return ", ".join(
        f"(coalesce(before.{name}, 0) + coalesce(seen.{name}, 0))::DOUBLE AS {name}"
        for name in names
    )
