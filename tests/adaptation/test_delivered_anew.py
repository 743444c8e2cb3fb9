"""A day that brought a champion is delivered anew with other labels: everyone is told."""

import json
from collections.abc import Callable
from datetime import date

import pytest

from driftune.notify.words import message_of
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.rollback import rollback
from driftune.reports.site import build_site
from tests.conftest import Ended, World, impressions
from tests.crowning import DOMAIN, KEY, bring, crown, pending, random_adapter


def promoted(world: World, day: date) -> str:
    """A decision of the day that brought version 1; returns its id."""
    decision = pending(world, day)
    with Ledger(world.config) as ledger:
        owner = ledger.claim(decision)
        assert owner is not None
        crown(world, random_adapter(world), [day], decision=decision)
        with ledger.write() as connection:
            ledger.finish(
                connection,
                decision,
                owner,
                "promoted",
                gate=GateReport(),
                training=TrainingFigures(),
                adapter_version=1,
            )
    return decision


def flipped(world: World, day: date) -> None:
    """Deliver the day once more with the opposite clicks."""
    frame = impressions(day, 2400)
    frame["click"] = 1 - frame["click"]
    frame["ordered"] = 0
    bring(world, day, frame)


@pytest.fixture
def lenient(next_day_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world with messages, and without the rule that would keep such a day out."""
    text = next_day_world.params.read_text(encoding="utf-8")
    monkeypatch.setenv("TEST_NOTIFY_URLS", "json://127.0.0.1:9/")
    text = text.replace("urls_env: null", "urls_env: TEST_NOTIFY_URLS")
    text = text.replace("severity: {}", "severity: {domain_click_rate_absurd: warning}")
    next_day_world.params.write_text(text, encoding="utf-8")
    assert next_day_world.config.notify.kinds
    assert next_day_world.config.quality.severity
    return next_day_world


@pytest.mark.slow
@pytest.mark.ci
def test_the_champion_is_stale_on_terminal_pages_and_in_a_message(
    lenient: World, driftune: Callable[..., Ended]
) -> None:
    world, day = lenient, lenient.day(3)
    promoted(world, day)
    with Ledger(world.config) as ledger:
        build_site(world.config, ledger)
    assert "(stale)" not in driftune("status", folder=world.root).out
    flipped(world, day)
    todo = f"driftune rollback {KEY} takes it back at once"
    changed = f"version 1 rests on a day that has changed: {day} was delivered anew (revision 2)"
    status = driftune("status", folder=world.root)
    assert "v1 (stale)" in status.out
    assert f"{DOMAIN}: {changed}" in status.out
    (told,) = json.loads(driftune("status", "--json", folder=world.root).out)["domains"]
    assert todo in told["champion_stale"]
    assert f"champion of {DOMAIN}: version 1; stale: {changed}" in driftune(
        "doctor", folder=world.root
    ).out  # fmt: skip
    with Ledger(world.config) as ledger:
        build_site(world.config, ledger, days=[world.day(4)])
        (message,) = [each for each in owed(ledger) if each.kind == "stale"]
        assert ledger.champion_version(KEY) == 1
    words = message_of(world.config, message)
    assert words.title == f"Driftune: champion is stale: {DOMAIN}"
    assert words.body.startswith(f"V{changed[1:]}")
    reports = world.config.home / "reports"
    for page in ("index.html", f"domain/{KEY}.html", f"decision/{day}/{KEY}.html"):
        text = (reports / page).read_text(encoding="utf-8")
        assert changed in text and todo in text, page


@pytest.mark.slow
@pytest.mark.ci
def test_one_that_was_taken_back_is_stale_no_more(lenient: World) -> None:
    world, day = lenient, lenient.day(3)
    promoted(world, day)
    flipped(world, day)
    with Ledger(world.config) as ledger:
        rollback(world.config, ledger, KEY, 0, "its labels were wrong")
        build_site(world.config, ledger)
    page = world.config.home / "reports/index.html"
    assert "has changed" not in page.read_text(encoding="utf-8")
