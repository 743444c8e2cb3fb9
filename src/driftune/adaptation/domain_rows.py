"""Rows of domains from the encoded days: of one, or of all of a group in one pass."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.features.days import encode_day
from driftune.features.encoder import Encoder
from driftune.lake.clock import day_end, day_start
from driftune.lake.table import Lake
from driftune.training.rows import Rows, load_domains, load_rows

Span = tuple[int, int]
"""The instants that rows begin and end at (not included), microseconds since 1970."""


class DomainRows:
    """Domains' rows of one moment of the lake, ``view``."""

    def __init__(self, config: Config, encoder: Encoder, view: Lake) -> None:
        self.config, self.encoder, self.view = config, encoder, view
        self._ahead: dict[tuple[str, Span], Rows] = {}

    def read_ahead(self, wanted: Mapping[str, Span]) -> None:
        """Read the rows that each of these domains will ask for, in one pass over the days.

        Each is handed out once, so that no more is held than is in use.

        Raises:
            LakeError: when a day is missing or damaged.
        """
        begins = min(begin for begin, _ in wanted.values())
        ends = max(end for _, end in wanted.values())
        found = load_domains(self.encoder, self._files(begins, ends), [*wanted], begins, ends)
        self._ahead = {(key, wanted[key]): rows for key, rows in found.items()}

    def between(self, key: str, begins: int, ends: int) -> Rows:
        """The domain's rows of an interval of time, in its order."""
        rows = self._ahead.pop((key, (begins, ends)), None)
        if rows is None:
            rows = load_rows(self.encoder, self._files(begins, ends), key)
        first, last = np.searchsorted(rows.time, [begins, ends])
        return rows.take(np.arange(first, last))

    def _files(self, begins: int, ends: int) -> list[Path]:
        days = touching(self.config, self.view.contents, begins, ends)
        return [encode_day(self.config, self.encoder, each, self.view) for each in days]


def touching(config: Config, days: Iterable[date], begins: int, ends: int) -> list[date]:
    """Those of the days that share an instant with an interval (microseconds since 1970)."""
    first, last = np.array([begins, ends], dtype="datetime64[us]").tolist()
    return sorted(
        day for day in days if day_start(config, day) < last and day_end(config, day) > first
    )
