"""Review first: what is held, approved, declined, overtaken, and by whom."""

import json
from collections.abc import Callable
from datetime import date
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from driftune.cli import app
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.errors import LedgerError, RegistryError
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.overdue import end_outdated
from driftune.registry.reconcile import reconcile
from driftune.registry.records import Scores
from driftune.registry.review import approve, awaiting, decline, reviews_of
from driftune.registry.rows import Switch
from driftune.registry.schema import decisions, reviews
from tests.conftest import World
from tests.registry.conftest import KEY, Decide

DAY, NEXT = "2026-03-10", "2026-03-11"


def test_a_held_decision_is_neither_offered_nor_claimed(ledger: Ledger, decide: Decide) -> None:
    held = decide(state="review")
    assert ledger.waiting(date.max) == []
    assert ledger.claim(held) is None
    assert [row.id for row in awaiting(ledger)] == [held]


def test_an_approved_decision_waits_for_its_adaptation_and_the_audit_says_why(
    ledger: Ledger, decide: Decide
) -> None:
    held = decide(state="review")
    found = approve(ledger, held, "ann", "a new menu")
    assert (found.state, found.told) == ("pending", "approved")
    assert [row.id for row in ledger.waiting(date.max)] == [held]
    (told,) = reviews_of(ledger, KEY)
    assert {**told, "at": ""} == {
        "at": "",
        "decision": held,
        "verdict": "approved",
        "who": "ann",
        "why": "a new menu",
    }
    assert ledger.claim(held) is not None


def test_a_declined_decision_ends_and_needs_a_reason(ledger: Ledger, decide: Decide) -> None:
    held = decide(state="review")
    with pytest.raises(RegistryError, match="give --why"):
        decline(ledger, held, "ann", " ")
    assert decline(ledger, held, "ann", "a holiday").state == "declined"
    row = ledger.decision(held)
    assert (row.state, row.note) == ("declined", "declined by ann: a holiday")
    assert ledger.claim(held) is None
    with pytest.raises(RegistryError, match=r"was declined by ann on .* UTC, its state is 'decl"):
        approve(ledger, held, "bob", "")


@pytest.mark.few(3)
@pytest.mark.parametrize("state", ["pending", "claimed", "promoted", "stable"])
def test_a_decision_that_does_not_wait_is_refused_in_a_line(
    ledger: Ledger, decide: Decide, state: str
) -> None:
    decision = decide(state=state)
    with pytest.raises(RegistryError, match=f"does not wait for approval, its state is '{state}'"):
        approve(ledger, decision, "ann", "")
    assert ledger.decision(decision).state == state
    with pytest.raises(LedgerError, match="'nothing' is not in the ledger"):
        approve(ledger, "nothing", "ann", "")


def test_processes_that_race_approve_once(
    config: Config, ledger: Ledger, decide: Decide, forks: ForkServerContext
) -> None:
    held = decide(state="review")
    arguments = [(str(config.source_file), held, f"person {number}") for number in range(2)]
    with forks.Pool(2) as pool:
        lines = pool.starmap_async(_approve, arguments).get(timeout=120)
    assert lines.count("approved") == 1
    assert all("was approved by person" in line for line in lines if line != "approved")
    assert len(reviews_of(ledger)) == 1


def _approve(params: str, decision: str, who: str) -> str:
    with Ledger(load_config(params, env={})) as ledger:
        try:
            return approve(ledger, decision, who, "").told
        except RegistryError as error:
            return str(error)


def test_a_newer_decision_that_asks_takes_the_held_one_s_place(
    ledger: Ledger, decide: Decide
) -> None:
    older, elsewhere = decide(state="review"), decide(state="review", key="search-south")
    decide(NEXT, state="stable")
    assert ledger.decision(older).state == "review"
    newer = decide("2026-03-12", state="review")
    assert ledger.decision(older).state == "superseded"
    assert ledger.decision(older).note == f"decision {newer} of the domain is newer"
    assert {row.id for row in awaiting(ledger)} == {newer, elsewhere}
    # A day that is replayed later overtakes nothing.
    decide("2026-03-09", state="review")
    assert ledger.decision(newer).state == "review"


def test_what_is_held_overtakes_nothing_that_was_approved(ledger: Ledger, decide: Decide) -> None:
    older = decide(state="review")
    approve(ledger, older, "ann", "")
    decide(NEXT, state="review")
    assert ledger.claim(older) is not None


def test_an_approval_overtakes_what_was_approved_before(ledger: Ledger, decide: Decide) -> None:
    older = decide(state="review")
    approve(ledger, older, "ann", "")
    newer = decide(NEXT, state="review")
    approve(ledger, newer, "ann", "")
    assert ledger.claim(older) is None
    assert ledger.decision(older).state == "superseded"
    assert ledger.claim(newer) is not None


def switched(ledger: Ledger) -> None:
    with ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain="home",
                action="promote",
                expected=BASE,
                version=1,
                decision_id=None,
                who="ann",
                reason="by hand",
            ),
        )


def test_approval_of_an_overtaken_decision_ends_it_in_one_line(
    ledger: Ledger, decide: Decide
) -> None:
    held = decide(state="review")
    switched(ledger)
    found = approve(ledger, held, "ann", "")
    assert found.state == ledger.decision(held).state == "superseded"
    assert "champion was switched to version 1" in found.told
    assert reviews_of(ledger) == []


def test_reconcile_ends_what_was_overtaken_and_lists_what_waits(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    gone, held = decide(state="review"), decide(state="review", key="search-south")
    decide(NEXT, state="promoted")
    found = reconcile(config, ledger)
    assert [line["what"].split(":")[0] for line in found["outdated"]] == [gone]
    assert [line["what"].split(":")[0] for line in found["approval"]] == [held]
    assert end_outdated(ledger) == []


def test_a_redelivery_of_its_day_ends_a_held_decision(ledger: Ledger, decide: Decide) -> None:
    values: dict[str, Any] = {"lake_version": 1, "rows": 9, "rejected": 0, "verdict": "ok"}
    ledger.record_day(date.fromisoformat(DAY), content_hash="a", **values)
    held = decide(state="review")
    ledger.record_day(date.fromisoformat(DAY), content_hash="b", **values)
    assert ledger.decision(held).state == "superseded"


def test_a_ledger_without_reviews_gets_them(config: Config, ledger: Ledger) -> None:
    with ledger.write() as connection:
        reviews.drop(connection)
    with Ledger(config) as opened:
        assert reviews_of(opened) == []
        assert opened.read(sa.select(decisions)) == []


def run(world: World, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--config", str(world.params)])


@pytest.fixture
def held(make_world: Callable[..., World]) -> World:
    """A world in which review comes first."""
    return make_world(review="first")


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_lists_approves_declines_and_tells_history(held: World) -> None:
    values: dict[str, Any] = {
        "day": DAY, "revision": 1, "backbone": "b", "score": 2.0, "scores": Scores(),
        "sentence": "Clicks moved.", "data_version": "v1", "champion_version": 0,
    }  # fmt: skip
    assert "nothing waits" in run(held, "approve", "--list").output
    with Ledger(held.config) as ledger:
        for key in ("north", "south", "east"):
            ledger.decide(id=key, domain=key, domain_key=key, state="review", **values)
    assert run(held, "approve", "--list").output.splitlines()[0] == "east  east: Clicks moved."
    assert "3 domain(s) wait for approval" in run(held, "status").output
    done = run(held, "approve", "north", "gone", "--why", "a new menu")
    assert done.exit_code == 1
    assert "north: approved; the next daily run adapts, or: driftune adapt north" in done.output
    assert "gone: decision 'gone' is not in the ledger" in done.output
    declined = run(held, "approve", "south", "--reject", "--why", "a holiday", "--json")
    assert json.loads(declined.output)["decisions"][0]["state"] == "declined"
    assert run(held, "approve", "east", "--reject").exit_code == 1
    assert "approved north by" in run(held, "history", "north").output
    reviewed = json.loads(run(held, "history", "south", "--json").output)["reviews"]
    assert [(each["verdict"], each["why"]) for each in reviewed] == [("declined", "a holiday")]
    page = (held.config.home / "reports" / "decision" / DAY / "north.html").read_text()
    assert "a new menu" in page


@pytest.mark.parametrize("arguments", [(), ("one", "--list"), ("--list", "--why", "x")])
def test_the_command_wants_ids_or_the_list(held: World, arguments: tuple[str, ...]) -> None:
    assert run(held, "approve", *arguments).exit_code == 2
