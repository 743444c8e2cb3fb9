"""Messages of real flows: what a day tells, and a run that failed."""

from collections.abc import Iterator

import pytest

from driftune.errors import SourceError
from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import SHIFT_DAY
from tests.notify.conftest import SECRET, Inbox
from tests.shifts import SHIFTED


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """A server that the flows tell."""
    opened = Inbox()
    monkeypatch.setenv("TEST_NOTIFY_URLS", opened.url)
    monkeypatch.setenv("DRIFTUNE__NOTIFY__URLS_ENV", "TEST_NOTIFY_URLS")
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_tells_its_alert_and_what_became_of_it_once(simulated: World, inbox: Inbox) -> None:
    for _ in range(2):
        daily(SHIFT_DAY, str(simulated.params))
    titles = [message["title"] for message in inbox.messages]
    assert len(titles) == 2
    assert titles[0] == f"Driftune: drift: {SHIFTED}, {SHIFT_DAY}"
    assert titles[1].split(":")[1] in (" promoted", " rejected")


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_whose_target_is_away_is_done_all_the_same(simulated: World, inbox: Inbox) -> None:
    inbox.status = 500
    assert daily(SHIFT_DAY, str(simulated.params))["domains"]
    assert inbox.messages == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_run_that_failed_is_told_once_without_a_secret(
    simulated: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTUNE__SOURCE__URI", f"nowhere://ann:{SECRET}@host/{{day}}")
    for _ in range(2):
        with pytest.raises(SourceError):
            daily(SHIFT_DAY, str(simulated.params))
    (message,) = inbox.messages
    assert message["title"] == f"Driftune: failed: daily {SHIFT_DAY}"
    assert "source.uri" in message["message"]
    assert SECRET not in str(message)
