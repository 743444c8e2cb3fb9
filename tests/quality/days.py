"""Days of a small world in which known things go wrong."""

from datetime import date

from driftune.intake.ingest import Ingested, ingest
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.conftest import World

NORTH = "home · north"


def run(world: World, day: date) -> Ingested:
    """Bring a day in."""
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day)


def broken(quality: DayQuality) -> dict[str, dict[str, object]]:
    """The broken checks by rule."""
    return {check["rule"]: check for check in quality.checks if not check["success"]}


def in_north(frame):
    """The rows of one domain."""
    return (frame["scene"] == "home") & (frame["region"] == "north")
