"""A domain whose first measurement failed is decided as it would have been with the others."""

from datetime import date
from pathlib import Path

import pytest

from driftune.drift.detect import decide_day
from driftune.drift.measure import failed, measure_domain
from driftune.drift.windows import draw_windows
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from tests.conftest import DOMAINS, World, impressions
from tests.crowning import crown, random_adapter

LATE, *OTHERS = DOMAINS


def decided(world: World, day: date, fails: str | None = None) -> Decision:
    """Decide the day, with one domain's measurement failing; returns the late domain's decision."""
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        windows = draw_windows(world.config, ledger, day)
        measured = [
            failed(window, OSError("no space left"))
            if window.domain == fails
            else measure_domain(world.config, window)
            for window in windows
        ]
        decide_day(world.config, ledger, windows, measured)
        (row,) = (row for row in ledger.decisions() if row.domain == LATE)
    return row


@pytest.mark.slow
@pytest.mark.ci
def test_it_is_judged_among_all_of_its_day(trained_world: World, tmp_path: Path) -> None:
    day = trained_world.day(3)
    trained_world.write(day, impressions(day, 2400))
    undisturbed = World.copied(trained_world.root, tmp_path / "undisturbed")
    assert decided(trained_world, day, fails=LATE).state == "error"
    for domain in OTHERS:
        # Of champions that were trained on the day the day says nothing more.
        crown(trained_world, random_adapter(trained_world), [day], domain=domain)
    with Ledger(trained_world.config) as ledger:
        before = {row.id: row for row in ledger.decisions() if row.domain != LATE}
    late, expected = decided(trained_world, day), decided(undisturbed, day)
    assert (late.state, late.score, late.sentence) == (
        expected.state,
        expected.score,
        expected.sentence,
    )
    assert late.scores == expected.scores
    assert len(late.scores.limits) == len(expected.scores.limits) > 0
    with Ledger(trained_world.config) as ledger:
        assert {row.id: row for row in ledger.decisions() if row.domain != LATE} == before
