"""Messages to a real web server: once per event, never in the way, no secret told."""

import json
import logging
import time
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest
from typer.testing import CliRunner

from driftune.adaptation.claim import Claim
from driftune.adaptation.conclude import conclude
from driftune.cli import app
from driftune.config.loading import load_config
from driftune.errors import ConfigError
from driftune.notify import targets
from driftune.notify.deliver import deliver
from driftune.project import Project
from driftune.registry import outbox
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed, settle, take
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.rollback import going_back, restore
from driftune.registry.schema import messages
from tests.conftest import World
from tests.notify.conftest import SECRET, Inbox, decide, mail_server
from tests.registry.conftest import KEY, challenger, report


def texts(inbox: Inbox) -> list[str]:
    return [f"{each['title']}\n{each['message']}" for each in inbox.messages]


def test_an_alert_says_what_where_and_what_to_do(told: World, ledger: Ledger, inbox: Inbox) -> None:
    decide(ledger)
    assert deliver(told.config, ledger) == 1
    assert texts(inbox) == [
        "Driftune: drift: home · north, 2026-03-10\nDrifted: clicks moved.\n"
        "Drift 2.0×, 1 triggers.\nA fine-tune follows.\n"
        f"https://review.example/d/decision/2026-03-10/{KEY}.html"
    ]


def test_a_held_decision_s_message_says_how_to_approve_it(
    told: World, ledger: Ledger, inbox: Inbox
) -> None:
    decision = decide(ledger, state="review")
    deliver(told.config, ledger)
    assert "waits for approval: home · north" in texts(inbox)[0]
    assert f"driftune approve {decision}" in texts(inbox)[0]


@pytest.mark.parametrize("rule", ["age", "by hand"])
def test_a_fine_tune_that_is_due_has_no_line_of_a_word(
    told: World, ledger: Ledger, inbox: Inbox, rule: str
) -> None:
    decide(ledger, scores={"rule": rule})
    deliver(told.config, ledger)
    (text,) = texts(inbox)
    assert text.startswith("Driftune: fine-tune: home · north")
    assert "Drifted: clicks moved.\nA fine-tune follows.\n" in text


def test_a_stable_domain_is_no_news(told: World, ledger: Ledger, inbox: Inbox) -> None:
    decide(ledger, state="stable")
    assert deliver(told.config, ledger) == 0
    assert inbox.messages == []


def test_a_repeated_run_tells_once(told: World, ledger: Ledger, inbox: Inbox) -> None:
    for _ in range(2):
        decide(ledger)
        deliver(told.config, ledger)
    assert len(inbox.messages) == 1


def test_off_by_default_nothing_is_kept(make_world: Callable[..., World]) -> None:
    config = make_world().config
    with Ledger(config) as ledger:
        decide(ledger)
        assert owed(ledger) == []
        assert deliver(config, ledger) == 0


def test_only_the_chosen_events_are_told(make_world: Callable[..., World], inbox: Inbox) -> None:
    config = make_world(notify={"urls_env": "URLS", "events": ["rollback"]}).config
    with Ledger(config) as ledger:
        decide(ledger)
        assert owed(ledger) == []


def test_promotion_rollback_rejection_and_failure_are_told(
    told: World, ledger: Ledger, inbox: Inbox
) -> None:
    config = told.config
    gate = {
        **report("promote").document(),
        "metric": "ctr_auc",
        "difference": {"estimate": 0.04, "low": 0.01, "high": 0.07},
        "rules": [{"name": "interval", "verdict": "fail", "sentence": "Does not exclude zero."}],
        "weak": {"champion": "ranks clicks worse than chance (CTR-AUC 0.480)"},
    }
    for day, verdict in (("2026-03-10", "promote"), ("2026-03-11", "reject")):
        decision = decide(ledger, day)
        owner = ledger.claim(decision)
        assert owner
        values = GateReport.model_validate({**gate, "decision": verdict})
        challenger(config, decision)
        conclude(
            Project(config, ledger, mirrored=False),
            Claim(decision, owner),
            TrainingFigures(),
            values,
        )
    rollback_by_hand(told, ledger)
    failed = decide(ledger, "2026-03-12")
    owner = ledger.claim(failed)
    assert owner
    ledger.release(failed, owner, f"no route to http://ann:{SECRET}@host", final=True)
    deliver(config, ledger)
    found = {text.splitlines()[0]: text for text in texts(inbox)}
    promoted = found["Driftune: promoted: home · north, 2026-03-10"]
    assert "Version 1 serves home · north." in promoted
    assert "CTR-AUC +0.0400 (+0.0100 to +0.0700)" in promoted
    rejected = found["Driftune: rejected: home · north, 2026-03-11"]
    assert "Does not exclude zero." in rejected
    weak = "Weak: The champion ranks clicks worse than chance (CTR-AUC 0.480)."
    assert weak in rejected and weak in promoted
    back = found["Driftune: rolled back: home · north"]
    assert "Version 1 was taken back; the frozen base serves home · north." in back
    assert "a bad menu" in back
    assert "no route to http://…@host" in found["Driftune: failed: home · north, 2026-03-12"]
    assert SECRET not in json.dumps(inbox.messages)


def rollback_by_hand(told: World, ledger: Ledger) -> None:
    """The champion's pointer back to the base, and the message of it, in one transaction."""
    with ledger.write() as connection:
        switch = going_back(
            ledger.champions()[KEY],
            0,
            who="ann",
            reason="a bad menu",
            data_version=None,
            backbone=None,
        )
        restore(ledger, connection, switch)


def test_a_transaction_that_fails_tells_nothing(told: World, ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.write() as connection:
        ledger.tell(connection, "failure", "x", run="r", error="e", todo="t")
        raise RuntimeError
    assert owed(ledger) == []


def test_a_target_that_refuses_is_logged_once_without_its_secret_and_asked_again(
    told: World, ledger: Ledger, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.status = 500
    decide(ledger)
    decide(ledger, "2026-03-11")
    with caplog.at_level(logging.WARNING):
        assert deliver(told.config, ledger) == 0
    (record,) = caplog.records
    assert record.getMessage().startswith("notify: json #1 took no message (")
    assert "error=500" in record.getMessage()
    assert SECRET not in caplog.text
    inbox.status = 200
    assert deliver(told.config, ledger) == 2
    assert len(inbox.messages) == 2


def test_a_target_that_does_not_answer_holds_up_for_seconds_only(
    told: World,
    ledger: Ledger,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(targets, "TIMEOUT", 0.3)
    inbox.delay = 30
    for day in range(10, 15):
        decide(ledger, f"2026-03-{day}")
    started = time.monotonic()
    assert deliver(told.config, ledger) == 0
    assert time.monotonic() - started < 3
    assert "no answer within 0.3 seconds" in caplog.text
    assert len(owed(ledger)) == 5


def test_only_the_target_that_missed_it_is_asked_again(
    told: World, ledger: Ledger, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Inbox()
    monkeypatch.setenv("TEST_NOTIFY_URLS", f"{inbox.url}\n{other.url}")
    other.status = 503
    decide(ledger)
    assert deliver(told.config, ledger) == 0
    other.status = 200
    assert deliver(told.config, ledger) == 1
    assert (len(inbox.messages), len(other.messages)) == (1, 1)
    other.close()


def test_a_sender_that_died_leaves_its_message_to_be_sent_again(
    told: World, ledger: Ledger, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(ledger)
    (row,) = owed(ledger)
    assert take(ledger, row.id)
    assert owed(ledger) == []
    assert not take(ledger, row.id)
    later = time.time() + outbox.LEASE_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert deliver(told.config, ledger) == 1
    assert len(inbox.messages) == 1
    settle(ledger, row.id, [], done=True)
    assert not take(ledger, row.id)


@pytest.mark.slow
@pytest.mark.ci
def test_processes_that_deliver_at_once_send_once(
    told: World, ledger: Ledger, inbox: Inbox, forks: ForkServerContext
) -> None:
    for day in range(10, 16):
        decide(ledger, f"2026-03-{day}")
    with forks.Pool(2) as pool:
        pool.map(_deliver, [str(told.params)] * 2)
    deliver(told.config, ledger)
    titles = [each["title"] for each in inbox.messages]
    assert len(titles) == len(set(titles)) == 6


def _deliver(params: str) -> int:
    config = load_config(params, env={})
    with Ledger(config) as ledger:
        return deliver(config, ledger)


def test_old_news_is_dropped(
    told: World, ledger: Ledger, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(ledger)
    monkeypatch.setattr(outbox, "KEPT_SECONDS", 0.0)
    assert deliver(told.config, ledger) == 0
    assert inbox.messages == []


def test_a_variable_that_is_not_set_is_named_and_nothing_fails(
    told: World, ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_NOTIFY_URLS")
    decide(ledger)
    assert deliver(told.config, ledger) == 0
    assert "TEST_NOTIFY_URLS is not set in the environment" in caplog.text
    assert len(owed(ledger)) == 1


def test_a_ledger_of_an_earlier_release_gets_the_outbox(told: World, ledger: Ledger) -> None:
    with ledger.write() as connection:
        messages.drop(connection)
    with Ledger(told.config) as opened:
        assert owed(opened) == []


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "**bold** `code` [a](http://evil)",
        "a\nTo: b\r\n\x1b[31m",
        "@all",
    ],
)
def test_a_hostile_name_arrives_as_text_in_one_line(
    told: World, ledger: Ledger, inbox: Inbox, name: str
) -> None:
    decide(ledger, domain=name)
    deliver(told.config, ledger)
    (message,) = inbox.messages
    shown = name.replace("\n", r"\n").replace("\r", r"\r").replace("\x1b", r"\x1b")
    assert message["title"] == f"Driftune: drift: {shown}, 2026-03-10"
    assert len(message["message"].splitlines()) == 4


def test_a_chat_sees_no_mention_and_no_link_in_a_name(
    told: World, ledger: Ledger, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = inbox.server.server_port
    monkeypatch.setenv("TEST_NOTIFY_URLS", f"mmost://127.0.0.1:{port}/{SECRET}?format=markdown")
    decide(ledger, domain="<!channel> @all [a](http://evil)")
    assert deliver(told.config, ledger) == 1
    (message,) = inbox.messages
    text = json.dumps(message, ensure_ascii=False)
    assert "channel" in text
    assert not any(sign in text for sign in ("<!", "@all", "]("))


def test_a_mail_server_gets_plain_text(
    told: World, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server() as (port, mails):
        to = "mailto://127.0.0.1:{}?mode=insecure&from=driftune@a.example&to=ann@b.example"
        monkeypatch.setenv("TEST_NOTIFY_URLS", to.format(port))
        decide(ledger, domain="<b>home</b>")
        assert deliver(told.config, ledger) == 1
    (mail,) = mails
    parsed = message_from_bytes(mail, policy=default)
    assert parsed["Subject"] == "Driftune: drift: <b>home</b>, 2026-03-10"
    body = parsed.get_body(("plain",))
    assert body is not None
    assert "Drifted: clicks moved." in body.get_content()
    assert parsed.get_body(("html",)) is None


@pytest.mark.parametrize(
    "section",
    [
        {"urls_env": f"slack://{SECRET}/{SECRET}"},
        {"urls_env": SECRET + "!"},
        {"urls": f"slack://{SECRET}"},
        {"events": [f"slack://{SECRET}"]},
        {"site": f"https://ann:{SECRET}@host/"},
    ],
)
def test_an_address_in_params_is_refused_and_not_told(
    make_world: Callable[..., World], section: dict[str, Any]
) -> None:
    world = make_world(notify=section)
    with pytest.raises(ConfigError, match="notify") as caught:
        load_config(world.params, env={})
    assert SECRET not in str(caught.value)


def run(world: World, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--config", str(world.params)])


def test_the_command_says_what_each_target_answered(
    told: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(told, "notify", "--test")
    assert (done.exit_code, done.output) == (0, "json #1: taken\n")
    assert inbox.messages[0]["title"] == "Driftune: test"
    monkeypatch.setenv("TEST_NOTIFY_URLS", f"{inbox.url} nonsense://{SECRET} {SECRET}")
    inbox.status = 403
    done = run(told, "notify", "--test")
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0].startswith("json #1: not taken: ")
    assert lines[1:] == [
        "nonsense #2: not taken: Apprise knows no such URL",
        "target #3: not taken: Apprise knows no such URL",
    ]
    assert SECRET not in done.output


def test_the_command_sends_what_is_owed(told: World, ledger: Ledger, inbox: Inbox) -> None:
    decide(ledger)
    inbox.status = 500
    assert run(told, "notify").exit_code == 1
    inbox.status = 200
    assert run(told, "notify").output == "1 sent, 0 left\n"
