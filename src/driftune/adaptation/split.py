"""Split: which of a domain's rows train a challenger, which choose its epoch, which judge it.

Rows are split by time alone: rows of one instant stay together, so that none of an instant that
the gate judges has had a part in training.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from driftune.adaptation.domain_rows import DomainRows
from driftune.config import Config
from driftune.errors import LakeError
from driftune.features.encoder import Encoder
from driftune.lake.clock import day_end, day_start
from driftune.lake.table import Lake
from driftune.registry.records import Decision
from driftune.registry.records.training import Span, SplitSpans
from driftune.training.rows import Rows


@dataclass(frozen=True)
class Split:
    """A domain's mature rows up to the day, split by time: train, then select, then the gate's.

    ``windows``: the rows to train on, or, longest first, choices of them that all end where
    selection begins. ``day_rows`` counts those of the newest day; ``lake`` is the version of all
    that the lake held up to the day: the rows, and the days that their counters saw.
    """

    windows: list[Rows]
    select: Rows
    gate: Rows
    day_rows: int
    lake: str

    @property
    def train(self) -> Rows:
        """The rows of the longest window."""
        return self.windows[0]

    def spans(self, window: int = 0) -> SplitSpans:
        """Sizes and time spans (UTC), as the decision records them, of the window chosen."""
        return SplitSpans(
            train=_span(self.windows[window]), select=_span(self.select), gate=_span(self.gate)
        )


def split_rows(
    config: Config,
    encoder: Encoder,
    key: str,
    day: date,
    since: date | None = None,
    source: DomainRows | None = None,
) -> Split:
    """Split the domain's rows of the adaptation window by time.

    The gate gets the newest share of the day's own rows, selection the newest share of the
    rest of the shortest window. The counters of every row come from rows before it, so no gate
    row reaches those that train. ``since``: the day on which drift began. Rows from then on are a
    window of their own if they are newer than the usual one and make up a batch at least; if they
    are older, they are the window.
    Rows whose labels are not mature at the end of the day are left for later days: all of the
    window lies ``gate.label_delay_hours`` earlier then.

    Raises:
        LakeError: when the window has too few rows to split.
    """
    source = source or DomainRows(config, encoder, Lake.of(config))
    rows = source.between(key, *span(config, day, since))
    cuts = cut(config, rows.time, day, since)
    starts, chosen, begins = cuts.starts, cuts.select, cuts.gate
    if min(len(rows) - begins, begins - chosen, chosen - starts[-1]) < 1:
        raise LakeError(f"{key}: {len(rows)} rows up to {day} are too few to train on and judge")
    positions = np.arange(len(rows))
    return Split(
        [rows.take(positions[start:chosen]) for start in starts],
        rows.take(positions[chosen:begins]),
        rows.take(positions[begins:]),
        cuts.day_rows,
        lake_version(source.view, day),
    )


class Cuts(NamedTuple):
    """Positions in a domain's rows: where windows, selection and the gate's rows begin.

    ``day_rows``: how many are of the newest day.
    """

    starts: list[int]
    select: int
    gate: int
    day_rows: int


def cut(config: Config, time: np.ndarray, day: date, since: date | None = None) -> Cuts:
    """Where a domain's rows, at these instants (rows,) of its ``span``, are cut.

    Where a pooled adapter is a start, no row that selects is older than those that its own
    training leaves out: they must not have trained what they judge.
    """
    settings = config.adapter
    usual, today = (
        mature_until(config, day - timedelta(days=back)) for back in (settings.train_days, 1)
    )
    drift = _drift_began(config, day, since)
    day_rows = int(np.count_nonzero(time >= today))
    gate = _instant(time, len(time) - round(day_rows * settings.gate_share))
    newer = int(np.searchsorted(time, drift)) if drift > usual else 0
    starts = [0, newer] if newer and gate - newer >= settings.batch_size else [0]
    first = starts[-1]
    if settings.start != "champion":
        first = max(first, int(np.searchsorted(time, usual)))
    share = settings.folds * settings.select_share
    select = _instant(time, gate - round((gate - first) * share))
    return Cuts(starts, select, gate, day_rows)


def span(config: Config, day: date, since: date | None) -> tuple[int, int]:
    """The instants that the rows of an adaptation begin and end at, the end not included."""
    usual = mature_until(config, day - timedelta(days=config.adapter.train_days))
    return min(usual, _drift_began(config, day, since)), mature_until(config, day)


def _drift_began(config: Config, day: date, since: date | None) -> int:
    """When drift began, at most ``adapter.drift_days`` ago; where it is not known, as usual."""
    if since is None:
        return mature_until(config, day - timedelta(days=config.adapter.train_days))
    earliest = mature_until(config, day - timedelta(days=config.adapter.drift_days))
    return max(_microseconds(day_start(config, since)), earliest)


def split_of_decision(
    config: Config, encoder: Encoder, decision: Decision, source: DomainRows | None = None
) -> Split:
    """The split of a decision's rows (a row of the ledger), since the drift that it found began.

    Raises:
        LakeError: as ``split_rows``.
    """
    return split_rows(
        config,
        encoder,
        decision.domain_key,
        date.fromisoformat(decision.day),
        decision.scores.since,
        source,
    )


def rows_since(
    config: Config, encoder: Encoder, key: str, since: str, day: date, view: Lake
) -> Rows:
    """The domain's rows from an instant on (UTC) whose labels are mature at the end of ``day``."""
    begins = int(np.datetime64(since, "us").astype(np.int64))
    return DomainRows(config, encoder, view).between(key, begins, mature_until(config, day))


def mature_until(config: Config, day: date) -> int:
    """Impressions before this instant (microseconds since 1970) have mature labels as of ``day``.

    The end of the day in the logs' zone less ``gate.label_delay_hours``: the data's clock.
    """
    return _microseconds(day_end(config, day) - timedelta(hours=config.gate.label_delay_hours))


def lake_version(view: Lake, day: date) -> str:
    """The version of all that the lake holds up to a day."""
    return view.version(each for each in view.contents if each <= day)


def _microseconds(instant: datetime) -> int:
    return int(np.datetime64(instant, "us").astype(np.int64))


def _instant(time: np.ndarray, position: int) -> int:
    """The position itself, or that of the first row of the same instant."""
    return int(np.searchsorted(time, time[position])) if position < len(time) else position


def _span(rows: Rows) -> Span:
    return Span(rows=len(rows), first=_moment(rows, 0), last=_moment(rows, -1))


def _moment(rows: Rows, position: int) -> str:
    return str(np.datetime64(int(rows.time[position]), "us"))
