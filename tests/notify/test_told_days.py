"""Days that were refused and domains that were kept out, told once however often they are run."""

import numpy as np
import pytest

from driftune.errors import DayRefusedError
from driftune.notify.deliver import deliver
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions
from tests.notify.conftest import Inbox
from tests.quality.days import NORTH, in_north, run


@pytest.fixture
def days(ingested_world: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with reference days whose events are told to the server."""
    monkeypatch.setenv("TEST_NOTIFY_URLS", inbox.url)
    return World(ingested_world.root, notify={"urls_env": "TEST_NOTIFY_URLS"})


def deliver_all(world: World) -> None:
    with Ledger(world.config) as ledger:
        deliver(world.config, ledger)


def test_a_refused_day_is_told_once_with_its_reasons(days: World, inbox: Inbox) -> None:
    day = days.day(3)
    frame = impressions(day)
    frame.loc[: len(frame) // 2, "user_id"] = None
    days.write(day, frame)
    for _ in range(2):
        with pytest.raises(DayRefusedError):
            run(days, day)
        deliver_all(days)
    (message,) = inbox.messages
    assert message["title"] == f"Driftune: day refused: {day}"
    assert "rejected" in message["message"]
    assert message["message"].endswith(f"workspace/reports/day/{day}.html")
    # Other content that is refused is news again.
    frame.loc[0, "user_id"] = "someone"
    days.write(day, frame.iloc[:-1])
    with pytest.raises(DayRefusedError):
        run(days, day)
    deliver_all(days)
    assert len(inbox.messages) == 2


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_that_is_kept_out_is_told_once(days: World, inbox: Inbox) -> None:
    day = days.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame) & (np.arange(len(frame)) % 2 == 0), "click"] = 7
    days.write(day, frame)
    for _ in range(2):
        run(days, day)
        deliver_all(days)
    (message,) = inbox.messages
    assert message["title"] == f"Driftune: domain kept out: {NORTH}, {day}"
    assert "in quarantine" in message["message"]


@pytest.mark.slow
@pytest.mark.ci
def test_a_run_that_was_killed_after_its_commit_tells_when_it_is_repeated(
    days: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = days.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    days.write(day, frame)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "announce", killed)
        with pytest.raises(KeyboardInterrupt):
            run(days, day)
    assert not run(days, day).changed
    deliver_all(days)
    assert len(inbox.messages) == 1
