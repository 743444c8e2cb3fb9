"""Champions of domains whose figures are not defined: what the guard says, whom it takes back."""

import warnings

import pytest

from driftune.guard.check import check_champions
from driftune.registry.checks import Check, checks_of
from driftune.registry.ledger import BASE, Ledger
from driftune.reports.site import build_site
from driftune.reports.summary import day_rows
from tests.conftest import World
from tests.crowning import crown
from tests.undefined import DOMAINS, ROWS, SHIFTED, STEADY, adapter, shown_wrong

# Domain → verdict and its reason; the others may hold or be worse by their figures.
FOUND = {
    "no click": ("insufficient", "too few positives"),
    "only clicks": ("insufficient", "too few negatives"),
    "one row": ("insufficient", "too few positives"),
    "one user": ("insufficient", "too few users"),
    "equal scores": ("holds", "same scores"),
    "some not numbers": (
        "insufficient",
        " of 500 predictions are no numbers in what it is set against",
    ),
    "certain": ("worse", f"{ROWS} of {ROWS} predictions are no numbers"),
    "steady": ("worse", f"{ROWS} of {ROWS} predictions are no numbers"),
    "shifted": ("worse", f"{ROWS} of {ROWS} predictions are no numbers"),
}


@pytest.fixture
def crowned(undefined_world: World) -> World:
    """A champion in every domain; of two it overflows, and one of these replaced another."""
    last = [undefined_world.day(2)]
    for domain in DOMAINS:
        crown(undefined_world, adapter(overflows=domain == STEADY), last, domain=domain)
    crown(undefined_world, adapter(overflows=True), last, version=2, domain=SHIFTED)
    return undefined_world


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_not_defined_decides_nothing_and_a_champion_without_numbers_goes(
    crowned: World,
) -> None:
    world, day = crowned, crowned.day(3)
    with Ledger(world.config) as ledger, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        check_champions(world.config, ledger, day, mirrored=False)
        found: dict[str, Check] = {each.domain: each for each in checks_of(ledger, day)}
        serving = {row.domain: row.version for row in ledger.champions().values()}
        told = {row.domain: ledger.switches(key)[-1].reason
                for key, row in ledger.champions().items()}  # fmt: skip
        day_rows(ledger, day)
        build_site(world.config, ledger)
    assert set(found) == {*DOMAINS} - {"no label · all"}
    for domain, check in found.items():
        verdict, rule = FOUND.get(domain.removesuffix(" · all"), (check.verdict, ""))
        assert (check.verdict, rule in check.rule) == (verdict, True), (domain, check.rule)
        taken_back = verdict == "worse"
        assert (check.restored is not None) == taken_back
    assert (serving[STEADY], serving["certain · all"], serving[SHIFTED]) == (BASE, BASE, 1)
    assert told[STEADY] == (
        f"worse than the frozen base on {day}: {ROWS} of {ROWS} predictions are no numbers"
    )
    assert serving["some not numbers · all"] == serving["one user · all"] == 1
    assert list(shown_wrong(world)) == []
