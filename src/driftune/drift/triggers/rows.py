"""Rows of domains' days and of the days that they are compared with, read from the lake at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.drift.triggers.columns import LakeColumn
from driftune.lake.duck import Connection
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake

if TYPE_CHECKING:
    import pandas as pd

# What tells a row from the others: the sample is drawn by its hash, as those of windows are.
_IDENTITY = "hash(rows.user_id, rows.event_time, rows.item_id, rows.click)"


@dataclass(frozen=True)
class Compared:
    """A domain's (key) day, and the reference days that it is compared with; ``rows``: how many
    the domain has on the day, and on those.
    """

    key: str
    day: date
    reference: Sequence[date]
    rows: tuple[int, int]


@dataclass(frozen=True)
class Sides:
    """The values of a column on the day and on the days that it is compared with."""

    now: "pd.Series[float] | pd.Series[str]"
    then: "pd.Series[float] | pd.Series[str]"
    is_number: bool


class Drawn:
    """Sampled rows, held by the database, one domain's at a time in memory."""

    def __init__(self, con: Connection, columns: Sequence[LakeColumn], most: int) -> None:
        self._con = con
        self._columns = columns
        self._most = most

    def sides(self, key: str, day: date) -> dict[LakeColumn, Sides]:
        """The columns of a domain (key) and day, with the most frequent categories by name."""
        if not self._columns:
            return {}
        query = "SELECT * FROM drawn WHERE domain_key = ? AND of_day = ? ORDER BY h, place"
        frame = self._con.execute(query, [key, day]).df()
        now, then = frame[frame["side"] == 0], frame[frame["side"] == 1]
        found = {}
        for number, column in enumerate(self._columns):
            pair = now[f"v{number}"], then[f"v{number}"]
            if not (column.is_number or column.raw):
                pair = _as_categories(*pair, self._most)
            today, others = (each.reset_index(drop=True) for each in pair)
            found[column] = Sides(today, others, column.is_number)
        return found


@contextmanager
def drawn_rows(
    config: Config, lake: Lake, wanted: Sequence[Compared], columns: Sequence[LakeColumn]
) -> Iterator[Drawn]:
    """Draw ``drift.sample_rows`` rows at most of each domain's day, and as many of the days that
    it is compared with, by a hash: the lake is read once for all.

    Raises:
        LakeError: when the lake lacks one of the days.
    """
    with connect_within(config, [lake.place]) as con:
        if columns and wanted:
            _draw(con, config, lake, wanted, columns)
            yield Drawn(con, columns, config.drift.top_categories)
        else:
            yield Drawn(con, (), 0)


def _draw(
    con: Connection,
    config: Config,
    lake: Lake,
    wanted: Sequence[Compared],
    columns: Sequence[LakeColumn],
) -> None:
    size = config.drift.sample_rows
    asked = [
        (each.key, each.day, number, day, _most(each.rows[number], size))
        for each in wanted
        for number, days in enumerate(([each.day], each.reference))
        for day in days
    ]
    con.execute(
        "CREATE TEMP TABLE wanted AS SELECT unnest(?::VARCHAR[]) AS domain_key, "
        "unnest(?::DATE[]) AS of_day, unnest(?::INTEGER[]) AS side, unnest(?::DATE[]) AS day, "
        "unnest(?::UBIGINT[]) AS most",
        [list(each) for each in zip(*asked, strict=True)],
    )
    values = ", ".join(f"{column.sql} AS v{n}" for n, column in enumerate(columns))
    order = ", ".join(f"v{number}" for number in range(len(columns)))
    days = {day for each in wanted for day in (each.day, *each.reference)}
    con.execute(
        f"""
        CREATE TEMP TABLE drawn AS
        SELECT *, row_number() OVER (
            PARTITION BY domain_key, of_day, side ORDER BY h, {order}
        ) AS place
        FROM (
            SELECT rows.domain_key, of_day, side, most, {_IDENTITY} AS h, {values}
            FROM {lake.whole_relation(con, days)} AS rows JOIN wanted USING (domain_key, day)
        )
        WHERE h <= most
        QUALIFY place <= {size}
        ORDER BY domain_key, of_day
        """
    )


def _most(count: int, size: int) -> int:
    """The hash up to which rows are ranked: enough for the sample with all but certainty."""
    kept = size + 10 * size**0.5 + 100
    return 2**64 - 1 if kept >= count else int(2**64 * (kept / count))


def _as_categories(
    now: "pd.Series[str]", then: "pd.Series[str]", most: int
) -> tuple["pd.Series[str]", "pd.Series[str]"]:
    """The most frequent categories of the reference by name, what is null as one, the rest as one.

    Distances of many rare values are far apart between samples of one distribution.
    """
    counts = then.value_counts()
    ranked = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))
    kept = {name for name, _ in ranked[:most]}

    def named(side: "pd.Series[str]") -> "pd.Series[str]":
        return side.where(side.isna() | side.isin(kept), "(other)").fillna("(none)")

    return named(now), named(then)
