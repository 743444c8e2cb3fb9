"""What a recommender of the user's own reads as the logs have it: columns, and its users' pasts.

A past is point in time: a row sees events of its user before it, none of its own instant.
"""

from datetime import date, timedelta

from driftune.config import Config
from driftune.config.recommender import History
from driftune.lake.duck import Connection, identifier
from driftune.lake.table import Lake

PREFIX = "r_"
# A lake written before a column was kept lacks it.
KEPT_LATER = "(SELECT NULL::VARCHAR AS request_id WHERE false)"
_ROLES = {
    "user": "user_id",
    "item": "item_id",
    "time": "event_time",
    "request": "request_id",
    **{name: name for name in ("domain", "hour", "category", "price", "position")},
}
_EVENTS = {
    "clicks": "click = 1",
    "conversions": 'click = 1 AND "convert" = 1 AND NOT own',
    "impressions": "true",
}


def raw_names(config: Config) -> tuple[str, ...]:
    """The columns that the recommender reads, as it calls them; none of the built-in one."""
    own = config.recommender
    if own is None:
        return ()
    past = () if own.history is None else own.history.columns
    return (*own.columns, *(f"history_{name}" for name in past))


def raw_select(config: Config) -> list[str]:
    """Select list of these columns over ``day_rows`` and the pasts of ``build_pasts``."""
    own = config.recommender
    if own is None:
        return []
    found = [f"day_rows.{_column(config, name)} AS {_as(name)}" for name in own.columns]
    if own.history is None:
        return found
    known = "coalesce(past_known.n, 0)"
    for number, name in enumerate(own.history.columns):
        newest = f"greatest({known} - {own.history.length} + 1, 1)"
        events = f"list_slice(past_events.e_{number}, {newest}, {known})"
        found.append(f"coalesce({events}, []) AS {_as(f'history_{name}')}")
    return found


def raw_joins(config: Config) -> str:
    """Joins that bring the pasts to ``day_rows``."""
    if config.recommender is None or config.recommender.history is None:
        return ""
    return (
        "ASOF LEFT JOIN past_known ON day_rows.user_id = past_known.past_user "
        "AND day_rows.event_time > past_known.seen "
        "LEFT JOIN past_events ON day_rows.user_id = past_events.past_user"
    )


def past_days(config: Config, view: Lake, day: date) -> list[date]:
    """The days before ``day`` whose rows may be in the pasts of its rows."""
    own = config.recommender
    if own is None or own.history is None:
        return []
    first = day - timedelta(days=own.history.days)
    return sorted(each for each in view.contents if first <= each < day)


def build_pasts(con: Connection, config: Config, view: Lake, day: date) -> None:
    """Create temp tables ``past_events`` (lists by user) and ``past_known`` (how many of them are
    known from ``seen`` on), for the users of the view ``day_rows``."""
    own = config.recommender
    if own is None or own.history is None:
        return
    past, picked = own.history, _picked(config, own.history)
    days = past_days(config, view, day)
    events = f"SELECT {picked}, true AS own FROM day_rows"
    if days:
        # Days from before a column was kept lack it.
        rows = f"(FROM {view.whole_relation(con, days)} UNION ALL BY NAME FROM {KEPT_LATER})"
        events += f" UNION ALL SELECT {picked}, false AS own FROM {rows}"
    asked = "user_id IN (SELECT user_id FROM day_rows)"
    first = "(SELECT min(event_time) FROM day_rows)"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE past_kept AS {_kept(past, f'({events})', asked, first)}"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE past_events AS
        SELECT user_id AS past_user, {_lists(past)} FROM past_kept GROUP BY user_id
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE past_known AS
        SELECT user_id AS past_user, seen, max(n) AS n FROM past_kept GROUP BY user_id, seen
        """
    )
    con.execute("DROP TABLE past_kept")


def snapshot_pasts(config: Config, rows: str, moment: str) -> str:
    """SQL of the events that rows from ``moment`` on may read, by user: a query of ``past_user``,
    ``seen`` (when each counts, microseconds since 1970) and ``e_0`` …, lists, oldest event first.

    ``rows``: the relation of the days before; ``moment``: SQL of a TIMESTAMP.
    """
    assert config.recommender is not None and config.recommender.history is not None
    past = config.recommender.history
    events = f"(SELECT {_picked(config, past)}, false AS own FROM {rows})"
    return f"""
        SELECT user_id AS past_user, list(epoch_us(seen) ORDER BY n) AS seen, {_lists(past)}
        FROM ({_kept(past, events, "user_id IS NOT NULL", moment)})
        GROUP BY user_id ORDER BY user_id
    """


def _picked(config: Config, past: History) -> str:
    """What is read of each event: its columns as ``v_0`` …."""
    columns = [f"{_column(config, name)} AS v_{number}" for number, name in enumerate(past.columns)]
    return ", ".join(["user_id", "event_time", "item_id", "click", '"convert"', *columns])


def _lists(past: History) -> str:
    """Lists of a user's events, oldest first, by column: ``e_0`` …."""
    return ", ".join(f"list(v_{n} ORDER BY n) AS e_{n}" for n in range(len(past.columns)))


def _kept(past: History, events: str, whose: str, moment: str) -> str:
    """SQL of the events that rows from ``moment`` on may read, numbered by user from the oldest.

    ``seen``: when an event counts. Of those that count at ``moment`` already, the newest suffice.
    """
    # Events of one instant have an order of their own, the same on every machine.
    order = ["event_time", "item_id", *(f"v_{number}" for number in range(len(past.columns)))]
    oldest_first = ", ".join(f"{name} NULLS LAST" for name in order)
    newest_first = ", ".join(f"{name} DESC NULLS FIRST" for name in order)
    return f"""
        SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY {oldest_first}) AS n
        FROM (
            SELECT *, event_time + INTERVAL ({round(past.lag_hours * 3600)}) SECOND AS seen,
                   seen < {moment} AS settled
            FROM {events}
            WHERE {_EVENTS[past.of]} AND {whose}
            QUALIFY NOT settled OR {past.length} >= row_number() OVER (
                PARTITION BY user_id, settled ORDER BY {newest_first})
        )
    """


def _column(config: Config, name: str) -> str:
    """The lake's column of a role or feature."""
    if name in _ROLES:
        return _ROLES[name]
    kind = "f" if name in config.features.categorical else "x"
    return identifier(f"{kind}_{name}")


def _as(name: str) -> str:
    return identifier(f"{PREFIX}{name}")
