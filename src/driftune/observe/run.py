"""A run of a flow: how long its stations took, kept for the day's page and as metrics."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from driftune.config import Config
from driftune.errors import DriftuneError
from driftune.observe.context import about
from driftune.observe.logs import logged
from driftune.observe.metrics import publish
from driftune.registry.database import DatabaseFault
from driftune.registry.ledger import Ledger
from driftune.registry.runs import record_run

log = logging.getLogger("driftune")

# The station that a run of a day does not come to when the lake holds the day already.
TAKEN_IN = "stage"


@dataclass
class Run:
    """A run under way. ``stations``: seconds by name, in the order in which they began."""

    config: Config
    flow: str
    day: date | None
    started: float
    stations: dict[str, float] = field(default_factory=dict)
    succeeded: bool | None = None

    @contextmanager
    def station(self, name: str) -> Iterator[None]:
        """Time a station; one that is entered again adds up."""
        begun = time.monotonic()
        self.stations.setdefault(name, 0.0)
        with about(station=name):
            try:
                yield
            finally:
                self.stations[name] += time.monotonic() - begun

    def note(self) -> None:
        """Keep what the run of a day took so far, for its page; of one that took the day in."""
        if self.day is None or TAKEN_IN not in self.stations:
            return
        with _harmless(self.flow), Ledger(self.config) as ledger:
            record_run(ledger, self.day, self.started, self.stations, self.succeeded)


@contextmanager
def observed(
    config: Config, flow: str, *, day: date | None = None, run: str | None = None
) -> Iterator[Run]:
    """Observe a run: its log lines name it, its durations are kept, its metrics are published.

    What goes wrong in that is a warning, and neither fails the run nor hides its error.
    """
    begun = Run(config, flow, day, time.time())
    with logged(config), about(run=run, flow=flow, day=day):
        try:
            yield begun
            begun.succeeded = True
        except BaseException:
            begun.succeeded = False
            raise
        finally:
            begun.note()
            with _harmless(flow):
                publish(config, flow, begun.started, begun.stations, begun.succeeded is True)


@contextmanager
def _harmless(flow: str) -> Iterator[None]:
    try:
        yield
    except (DriftuneError, OSError, DatabaseFault) as error:
        log.warning("%s: its durations or metrics were not kept (%s)", flow, error)
