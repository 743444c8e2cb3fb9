"""Times in the ledger keep their order when the wall clock is set back."""

import time

import pytest

from driftune.registry.ledger import BASE, Ledger
from driftune.registry.rows import Switch
from tests.registry.conftest import KEY, Decide
from tests.registry.test_ledger import DAY, VALUES


def switch(ledger: Ledger, version: int) -> None:
    with ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain="home",
                action="promote",
                expected=version - 1,
                version=version,
                decision_id=None,
                who="the test",
                reason="a drill",
            ),
        )


@pytest.fixture
def clock_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86400)


def test_a_decision_after_a_promotion_is_adapted_for_though_the_clock_was_set_back(
    ledger: Ledger, decide: Decide, request: pytest.FixtureRequest
) -> None:
    switch(ledger, BASE + 1)
    request.getfixturevalue("clock_set_back")
    decision = decide()
    assert ledger.claim(decision) is not None


def test_a_promotion_overtakes_an_older_decision_though_the_clock_was_set_back(
    ledger: Ledger, decide: Decide, request: pytest.FixtureRequest
) -> None:
    decision = decide()
    request.getfixturevalue("clock_set_back")
    switch(ledger, BASE + 1)
    assert ledger.claim(decision) is None
    assert ledger.decision(decision).state == "superseded"


def test_why_an_attempt_did_not_end_is_forgotten_when_the_next_one_does(
    ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    ledger.release(decision, owner, "MLflow was away", final=False)
    assert ledger.decision(decision).note == "MLflow was away"
    owner = ledger.claim(decision)
    with ledger.write() as connection:
        ledger.finish(connection, decision, owner, "rejected")
    assert ledger.decision(decision).note is None


def test_a_day_delivered_anew_ends_what_waits_though_the_clock_was_set_back(
    ledger: Ledger, decide: Decide, request: pytest.FixtureRequest
) -> None:
    decision = decide()
    ledger.record_day(DAY, content_hash="one", **VALUES)
    request.getfixturevalue("clock_set_back")
    assert ledger.record_day(DAY, content_hash="other", **VALUES) == 2
    row = ledger.decision(decision)
    assert (row.state, row.stale is None) == ("superseded", False)
    assert ledger.claim(decision) is None
