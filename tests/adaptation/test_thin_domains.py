"""Adaptations for domains with little in them: each ends in a state, and says why in a line."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from driftune.adaptation.adapt import adapt
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from driftune.registry.waiting import looks_due
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, bring, pending

LENIENT = {"domain": {"min_rows": 10**6}, "severity": {"domain_click_rate_absurd": "warning"}}
UNDECIDED = {"undecided", "waiting"}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def brought(world: World, change: Change) -> str:
    """A day on which the domain's rows are changed, and a drift decision; returns its id."""
    day = world.day(3)
    frame = impressions(day, 2400)
    there = (frame["scene"] + " · " + frame["region"]) == DOMAIN
    bring(world, day, pd.concat([frame[~there], change(frame[there].copy())]))
    return pending(world, day)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("change", "states"),
    [
        (lambda own: own.head(0), {"failed"}),
        (lambda own: own.head(1), {"failed"}),
        (lambda own: own.head(4), {"failed", *UNDECIDED}),
        (lambda own: own.assign(click=np.int8(0), ordered=np.int8(0)), UNDECIDED),
        (lambda own: own.assign(click=np.int8(1)), UNDECIDED),
        (lambda own: own.assign(user_id="u1"), UNDECIDED),
        (lambda own: own.assign(category="noodles"), {"rejected", "promoted", *UNDECIDED}),
        (lambda own: own.assign(ordered=np.int8(0)), {"rejected", "promoted", *UNDECIDED}),
    ],
    ids=[
        *("no row", "one row", "four rows", "no clicks", "only clicks", "one user"),
        *("one category", "no conversions"),
    ],
)
def test_an_adaptation_of_a_thin_domain_ends(
    trained_world: World, change: Change, states: set[str]
) -> None:
    world = World(trained_world.root, quality=LENIENT)
    decision = brought(world, change)
    with Project(world.config, mirrored=False) as project:
        assert adapt(project, decision) in states
        row = project.ledger.decision(decision)
    assert row.state in states
    if row.state == "failed":
        assert row.note is not None
        assert "too few to train on and judge" in row.note and "\n" not in row.note
    with Ledger(world.config) as ledger:
        assert ledger.champion_version(KEY) in (0, 1)


def test_a_damaged_report_of_one_challenger_holds_up_no_other_s_look(trained_world: World) -> None:
    day = bring(trained_world, trained_world.day(3))
    decision = pending(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        with ledger.write() as connection:
            damage = decisions.update().where(decisions.c.id == decision)
            connection.execute(damage.values(state="waiting", gate={"looks": "none"}))
        assert looks_due(ledger, trained_world.day(4)) == [decision]
