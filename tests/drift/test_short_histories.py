"""Logs that have just begun: one, two and three reference days, and the first days after them."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from driftune.adaptation.adapt import adapt
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.windows import draw_windows
from driftune.project import Project
from driftune.registry.by_hand import ask
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.training.pretrain import pretrain
from tests.conftest import DOMAINS, FIRST, World, impressions, made_once
from tests.crowning import DOMAIN, bring
from tests.marks import CI

VERDICTS = ("promoted", "rejected", "waiting", "undecided")


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Callable[..., World]:
    """A factory of worlds with so many reference days, pre-trained once per session."""

    def make(days: int, **drift: object) -> World:
        reference = {
            "first": str(FIRST),
            "last": str(FIRST + timedelta(days=days - 1)),
            "holdout": 0.2,
        }

        def fill(folder: Path) -> None:
            world = World(folder, reference=reference)
            for number in range(days):
                world.write(world.day(number), impressions(world.day(number), 2400))
            with Ledger(world.config) as ledger:
                pretrain(world.config, ledger)

        made = made_once(tmp_path_factory, f"short-{days}", fill)
        World.copied(made, tmp_path / "short")
        return World(tmp_path / "short", reference=reference, drift={**SMALL, **drift})

    return make


SMALL = {"min_rows": 150, "min_clicks": 30}


def decided(world: World, day: date) -> dict[str, Decision]:
    bring(world, day)
    with Ledger(world.config) as ledger:
        windows = draw_windows(world.config, ledger, day)
        decide_day(world.config, ledger, windows, measure_day(world.config, windows))
        return {row.domain: row for row in ledger.decisions() if row.day == str(day)}


def adapted(world: World, decision: str) -> Decision:
    with Ledger(world.config) as ledger:
        adapt(Project(world.config, ledger, mirrored=False), decision)
        return ledger.decision(decision)


@pytest.mark.slow
@pytest.mark.ci
def test_one_reference_day_and_one_day_are_enough_for_a_verdict_by_hand(
    short: Callable[..., World],
) -> None:
    world = short(1)
    rows = decided(world, world.day(1))
    assert {row.state for row in rows.values()} == {"insufficient"}
    assert {row.scores.rule for row in rows.values()} == {"nothing to judge by"}
    told = rows[DOMAIN].sentence
    assert told.startswith("Too little history to judge")
    assert told.endswith("days are compared with each other; this one counts from now on.")
    with Ledger(world.config) as ledger:
        asked = ask(ledger, DOMAIN, "ann", "the first days")
    done = adapted(world, asked.id)
    assert done.state in VERDICTS and done.gate is not None and done.gate.difference is not None
    # From the second day on drift is measured.
    rows = decided(world, world.day(2))
    other = rows[DOMAINS[1]]
    assert other.state == "stable" and other.scores.reference == (FIRST, world.day(1))


@pytest.mark.slow
@pytest.mark.ci
def test_one_reference_day_and_one_day_are_enough_for_a_verdict_by_age(
    short: Callable[..., World],
) -> None:
    world = short(1, max_age_days=1)
    rows = decided(world, world.day(1))
    assert {(row.state, row.scores.rule) for row in rows.values()} == {("pending", "age")}
    assert rows[DOMAIN].sentence.startswith("Not fine-tuned for 1 day. Too little history")
    done = adapted(world, rows[DOMAIN].id)
    assert done.state in VERDICTS and done.gate is not None and done.gate.difference is not None
    # A fine-tune by age on each day does not keep drift from being measured.
    other = decided(world, world.day(2))[DOMAINS[1]]
    assert other.score is not None and other.scores.reference == (FIRST, world.day(1))
    assert other.sentence.startswith("Not fine-tuned for 1 day. ")
    assert "Too little history" not in other.sentence


@pytest.mark.slow
@pytest.mark.ci
def test_without_age_or_hand_the_first_day_asks_for_nothing(short: Callable[..., World]) -> None:
    world = short(1, max_age_days=2)
    assert {row.state for row in decided(world, world.day(1)).values()} == {"insufficient"}


@pytest.mark.few(1)
@pytest.mark.parametrize("days", [2, pytest.param(3, marks=CI)])
@pytest.mark.slow
@pytest.mark.ci
def test_two_reference_days_are_compared_with_the_first_day(
    short: Callable[..., World], days: int
) -> None:
    world = short(days)
    rows = decided(world, world.day(days))
    assert {row.state for row in rows.values()} == {"stable"}
    assert {len(row.scores.reference) for row in rows.values()} == {days}
