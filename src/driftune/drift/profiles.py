"""Profiles: what a day's window of every domain holds, as counts over fixed cells.

A window is a fixed-size sample of one domain's day. Its cells (categories, hours, price steps,
steps of the champion's prediction …) are the same on every day, so that the profiles of several
days add up, and those of past days are kept and read again as long as the champion is the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftune.checksums import is_whole
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.cells import SIZES, Cells
from driftune.drift.counts import Counted, read_counts, write_counts
from driftune.errors import ModelOutputError
from driftune.features.days import encode_day
from driftune.features.encoder import Encoder
from driftune.lake.duck import parquet
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterBank
from driftune.models.recommender import Recommender
from driftune.training.groups import ItemGroups
from driftune.training.rows import columns, domains, from_arrow
from driftune.training.scoring import score_clicks

if TYPE_CHECKING:
    from pyarrow import Table

# To be raised when the cells or their meaning change.
FORMAT = 3


@dataclass(frozen=True)
class Profile:
    """One domain's window of one day: counts by part, each (cells,)."""

    parts: Mapping[str, np.ndarray]

    @property
    def rows(self) -> int:
        """Impressions in the window."""
        return int(self.parts["hour"].sum())

    @property
    def clicks(self) -> int:
        """Clicks in the window."""
        return int(self.parts["clicked"].sum())


@dataclass(frozen=True)
class Served:
    """Who serves a domain, as profiles depend on it: a mark, and what trained it.

    ``unseen_from``: microseconds since 1970; rows from then on did not train the champion.
    """

    mark: str
    unseen_from: int

    @property
    def label(self) -> str:
        """Both in one text."""
        return f"{self.mark} {self.unseen_from}"


@dataclass(frozen=True)
class Profiler:
    """Draws and keeps the profiles of any day of the lake, under given champions."""

    config: Config
    encoder: Encoder
    model: Recommender
    bank: AdapterBank
    lake: Lake
    served: Mapping[str, Served]
    groups: ItemGroups | None = None

    def of_day(self, day: date, keys: list[str]) -> dict[str, Profile]:
        """Profiles of the domains (keys) that have rows on the day; kept ones are read again."""
        path = self._path(day)
        kept = {each.key: each for each in (read_counts(path) if is_whole(path) else ())}
        grouped = "" if self.groups is None else f" {self.groups.label}"
        shown = " as shown" if self.encoder.debias else ""
        # Predictions of another precision are not those of the same champion.
        made = "" if self.model.precision == "fp32" else f" {self.model.precision}"
        marks = {key: f"{self.served[key].label}{grouped}{shown}{made}" for key in keys}
        missing = [key for key in keys if key not in kept or kept[key].label != marks[key]]
        if missing:
            found = self._draw(day, missing)
            kept |= {key: Counted(key, marks[key], found.get(key, {})) for key in missing}
            write_counts(path, kept.values())
        return {key: Profile(whole(kept[key].parts)) for key in keys if kept[key].parts}

    def encode(self, day: date) -> Path:
        """The day's encoded file, that its profiles are drawn from."""
        return encode_day(self.config, self.encoder, day, self.lake)

    def _path(self, day: date) -> Path:
        return profile_path(self.config, day, self.encode(day))

    def _draw(self, day: date, keys: list[str]) -> dict[str, dict[str, np.ndarray]]:
        table, totals = sample(self.config, self.encode(day), keys, self.encoder)
        if not table.num_rows:
            return {}
        rows = from_arrow(self.encoder, table)
        predicted = score_clicks(self.model, rows, self.bank)
        # Clicks are held against what the champion foresees where each row was shown: else a
        # category that is moved to another place would look like one of other interest.
        shown = score_clicks(self.model, rows.as_shown(), self.bank) if rows.stated else predicted
        names, domain = domains(table)
        for each in (predicted, shown):
            self._require_numbers(day, domain, [str(name) for name in names], each)
        first_unseen = np.array([self.served[str(name)].unseen_from for name in names])
        groups = None if self.groups is None else self.groups.groups
        cells = Cells(self.encoder, self.model, table, groups)
        parts = cells.count(domain, len(names), predicted, shown, rows.time >= first_unseen[domain])
        parts["rows"] = np.array([totals[str(name)] for name in names], dtype=float)
        return {
            str(name): {part: values[n] for part, values in parts.items()}
            for n, name in enumerate(names)
        }

    def _require_numbers(
        self, day: date, domain: np.ndarray, names: Sequence[str], predicted: np.ndarray
    ) -> None:
        """Refuse predictions (n,) of which some are NaN; ``domain`` (n,): their place in ``names``.

        Raises:
            ModelOutputError: telling of the first such domain.
        """
        broken = np.isnan(predicted)
        if not broken.any():
            return
        first = int(domain[broken].min())
        own = domain == first
        adapted = names[first] in self.bank.domains
        todo = "driftune rollback takes it back" if adapted else "train it anew: driftune pretrain"
        raise ModelOutputError(
            f"{int((own & broken).sum()):,} of {int(own.sum()):,} predictions of {day} are no "
            f"numbers: {'its adapter' if adapted else 'the frozen model'} overflows; {todo}"
        )


def profile_path(config: Config, day: date, encoded: Path) -> Path:
    """Where the profiles of a day lie, by its encoded file."""
    made_of = f"{FORMAT} {encoded.stem} {config.drift.sample_rows}"
    name = f"{day}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.parquet"
    return Workspace(config).profiles / name


def sample(
    config: Config, encoded: Path, keys: list[str], encoder: Encoder
) -> tuple["Table", dict[str, tuple[int, int]]]:
    """Draw ``drift.sample_rows`` rows of each domain at most from an encoded day, by a row's hash.

    Returns an Arrow table in the order of the file, and per domain the rows and clicks that it was
    drawn from. Threads have no say in the draw; of rows alike in user, time, item and click the
    first of the file come first.
    """
    size = config.drift.sample_rows
    identity = "hash(user_hash, event_time, c_1, click)"
    source = parquet(encoded, options="file_row_number = true")
    with connect_within(config, [encoded]) as con:
        con.execute("CREATE TEMP TABLE wanted AS SELECT unnest(?::VARCHAR[]) AS domain_key", [keys])
        totals = con.execute(
            f"SELECT domain_key, count(*), sum(click)::BIGINT FROM {source} "
            "SEMI JOIN wanted USING (domain_key) GROUP BY 1"
        ).fetchall()
        # Domains much larger than their window are thinned before they are ranked.
        con.execute(
            "CREATE TEMP TABLE shares AS "
            "SELECT unnest(?::VARCHAR[]) AS domain_key, unnest(?::UBIGINT[]) AS most",
            [[key for key, *_ in totals], [_most(count, size) for _, count, _ in totals]],
        )
        # Ranked by number and hash alone: rows are wide, and only those drawn are read whole.
        con.execute(
            f"""
            CREATE TEMP TABLE drawn AS
            SELECT file_row_number AS place FROM (
                SELECT file_row_number, domain_key, {identity} AS h, most
                FROM {source} JOIN shares USING (domain_key)
            )
            WHERE h <= most
            QUALIFY row_number() OVER (
                PARTITION BY domain_key ORDER BY h, file_row_number
            ) <= {size}
            """
        )
        table = con.sql(
            f"SELECT {columns(encoder)}, hour, price FROM {source} AS rows "
            "SEMI JOIN drawn ON drawn.place = rows.file_row_number ORDER BY file_row_number"
        ).to_arrow_table()
    return table, {key: (count, clicks) for key, count, clicks in totals}


def _most(count: int, size: int) -> int:
    """The hash up to which rows are ranked: enough for the window with all but certainty."""
    kept = size + 10 * size**0.5 + 100
    return 2**64 - 1 if kept >= count else int(2**64 * (kept / count))


def whole(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parts with those that nothing was counted in."""
    return {part: parts[part] if part in parts else np.zeros(n) for part, n in SIZES.items()}
