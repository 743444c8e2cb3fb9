"""The story that random trials disturb: days of the main job and work by hand, without Prefect.

Each step can be done again: done twice, it leaves what it leaves when it is done once.
"""

import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import NamedTuple

import pandas as pd

from driftune.adaptation.adapt import adapt, look_again
from driftune.config import Config
from driftune.deployment.doctor import examine
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.windows import draw_windows
from driftune.errors import RegistryError
from driftune.guard.check import check_champions
from driftune.intake.ingest import ingest
from driftune.project import Project
from driftune.registry.champions import version_before
from driftune.registry.decision_queries import require_decided
from driftune.registry.ledger import BASE
from driftune.registry.reconcile import reconcile
from driftune.registry.rollback import rollback
from driftune.registry.waiting import looks_due
from driftune.reports import build_site
from driftune.retention.erase import erase
from driftune.retention.prune import prune
from tests.conftest import World
from tests.flows.conftest import SIMULATION
from tests.shifts import SHIFTED

DAY = 24 * 3600.0
# Past every age that the shipped settings keep something for.
AGED = 400 * DAY
WHY = "a drill"
ERASED = ("u00212", "u00527", "u00137")


class Step(NamedTuple):
    """One piece of work, and the day of the simulation that it is about."""

    work: str
    number: int = 4

    @property
    def day(self) -> date:
        """Its day."""
        return SIMULATION.calendar[self.number]

    def __str__(self) -> str:
        return f"{self.work} {self.day}"


STORY = (
    Step("day", 4),
    Step("day", 5),
    Step("rollback", 5),
    Step("day", 6),
    Step("erase", 6),
    Step("redelivery", 6),
    Step("day", 7),
    Step("prune", 7),
)
# How every trial ends: what is left over must go.
END = Step("end", 7)
# What may be done beside any step, and changes nothing of what it leaves.
BESIDE = ("reconcile", "report", "tidy", "doctor")


def deliver(world: World, step: Step) -> None:
    """Write the source's files that the step takes in: a redelivery lacks every tenth row."""
    if step.work == "redelivery":
        path = world.root / "logs" / f"impressions-{step.day}.parquet"
        rows = pd.read_parquet(path)
        rows[rows.index % 10 != 0].to_parquet(path, index=False)


def do(config: Config, step: Step) -> None:
    """Do a step's work.

    Raises:
        DriftuneError: when it is refused.
    """
    with Project(config) as project:
        WORKS[step.work](project, step.day)


def take_day(project: Project, day: date) -> None:
    """Take a day in, look at what waits and serves, decide, adapt, and report."""
    config, ledger = project.config, project.ledger
    touched = [day]
    try:
        ingest(config, ledger, day)
        for waiting in looks_due(ledger, day):
            look_again(project, waiting, day)
            touched.append(date.fromisoformat(ledger.decision(waiting).day))
        check_champions(config, ledger, day)
        windows = draw_windows(config, ledger, day)
        if windows:
            measured = [measure_domain(config, window) for window in windows]
            decide_day(config, ledger, windows, measured)
        for row in ledger.waiting(day):
            adapt(project, row.id)
    finally:
        build_site(config, ledger, days=touched)
    require_decided(ledger, day)


def _rollback(project: Project, _: date) -> None:
    """Go back by hand, to the version before the first promotion."""
    config, ledger = project.config, project.ledger
    for key, pointer in ledger.champions().items():
        if pointer.domain == SHIFTED and pointer.version != BASE:
            first = ledger.versions(key)[0].version
            try:
                rollback(config, ledger, key, version_before(ledger, key, first), WHY)
            except RegistryError as error:
                # Another process did it meanwhile.
                if "already serves" not in str(error) and "is version" not in str(error):
                    raise


def _erase(project: Project, _: date) -> None:
    erase(project.config, project.ledger, [*ERASED], WHY)


def _prune(seconds: float, project: Project, _: date) -> None:
    prune(project.config, project.ledger, time.time() + seconds)


def _reconcile(project: Project, _: date) -> None:
    reconcile(project.config, project.ledger)


def _report(project: Project, _: date) -> None:
    build_site(project.config, project.ledger, days=[])


def _doctor(project: Project, _: date) -> None:
    examine(project.config, deep=True)


def _end(project: Project, day: date) -> None:
    _reconcile(project, day)
    _prune(AGED, project, day)
    build_site(project.config, project.ledger)


WORKS: dict[str, Callable[[Project, date], None]] = {
    "day": take_day,
    "redelivery": take_day,
    "rollback": _rollback,
    "erase": _erase,
    "prune": partial(_prune, 100 * DAY),
    "tidy": partial(_prune, 0.0),
    "reconcile": _reconcile,
    "report": _report,
    "doctor": _doctor,
    "end": _end,
}
