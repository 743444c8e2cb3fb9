"""A day that is decided again: what gives way, what stays, and that nothing is lost on the way."""

import logging
import re
import time
from dataclasses import replace
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from driftune.config.loading import load_config
from driftune.config.marks import known_marks
from driftune.drift.counts import read_counts
from driftune.drift.detect import decide_day
from driftune.drift.measure import failed, measure_day
from driftune.drift.windows import draw_windows, read_profiles, windows_path
from driftune.owners import new_owner
from driftune.registry.by_hand import ask
from driftune.registry.decision_queries import is_decided
from driftune.registry.ended import ended
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed, queue
from driftune.registry.past import last_finetunes
from driftune.registry.records import Decision, GateReport
from driftune.registry.records.decision import NewDecision
from driftune.registry.redeciding import AskedBy, redecided_of, replace_decision, take_back_stale
from driftune.registry.review import approve
from driftune.registry.schema import decisions
from driftune.registry.stale_champions import stale_champions
from driftune.registry.status import domain_status
from driftune.reports.decision_page import decision_view
from driftune.reports.history import load_history
from tasks import drift as drift_tasks
from tests.checkpoint import judged_plainly
from tests.conftest import DOMAINS, World, impressions, made_once
from tests.crowning import DOMAIN, KEY, bring, crown, pending, random_adapter
from tests.forks import kill_at

AGAIN = AskedBy("ann", "tried on history")


def decide(params: Path, day: date, again: bool = False) -> list[str]:
    """Decide a day as flows do; the ids that stand."""
    config = load_config(params, env={})
    with Ledger(config) as ledger:
        windows = draw_windows(config, ledger, day, again=again)
        measured = measure_day(config, windows)
        return decide_day(config, ledger, windows, measured, AGAIN if again else None)


def rows_of(world: World, day: date) -> list[Decision]:
    with Ledger(world.config) as ledger:
        return ledger.decisions(decisions.c.day == day.isoformat())


def standing(world: World, day: date) -> dict[str, Decision]:
    return {row.domain: row for row in rows_of(world, day)}


def change(world: World, before: str, after: str) -> None:
    """Change a line of params.yaml."""
    text = world.params.read_text(encoding="utf-8")
    assert before in text
    world.params.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="session")
def _decided(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world = World.at(folder)
        day = world.day(3)
        with judged_plainly():
            bring(world, day, impressions(day, 2400))
        decide(world.params, day)

    return made_once(tmp_path_factory, "decided", make, _trained)


@pytest.fixture
def decided(_decided: Path, tmp_path: Path) -> World:
    """A world whose day 3 was decided for all domains: a copy of one made once per session."""
    return World.copied(_decided, tmp_path / "decided")


def stricter(world: World) -> None:
    """Ask for more clicks than the days have."""
    change(world, "min_clicks: 30", "min_clicks: 30000")


def test_under_the_same_settings_nothing_is_decided_again(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day, before = decided.day(3), rows_of(decided, decided.day(3))
    assert decide(decided.params, day, again=True) == []
    told = f"{day} was decided under these settings; nothing is decided again"
    assert told in caplog.messages
    # How pages are kept says nothing of a decision.
    change(decided, "html: alerts", "html: never")
    assert decide(decided.params, day, again=True) == []
    assert rows_of(decided, day) == before


@pytest.mark.slow
@pytest.mark.ci
def test_changed_settings_give_each_domain_one_new_decision_and_the_audit_keeps_who_and_why(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day = decided.day(3)
    first = standing(decided, day)
    assert {row.state for row in first.values()} == {"stable"}
    stricter(decided)
    # Without being asked, a day is not decided again.
    assert decide(decided.params, day) == []
    assert len(decide(decided.params, day, again=True)) == len(DOMAINS)
    assert f"{day}: {len(DOMAINS)} decisions are made again: drift changed" in caplog.messages
    second = standing(decided, day)
    assert {row.state for row in second.values()} == {"insufficient"}
    with Ledger(decided.config) as ledger:
        for domain, row in first.items():
            assert second[domain].id == f"{row.id}.2"
            old = ledger.decision(row.id)
            assert old.state == "superseded"
            assert old.note is not None and old.note.startswith("decided again by ann on ")
            assert old.note.endswith("UTC: drift changed (tried on history)")
        told = redecided_of(ledger, KEY)
        assert [(each["who"], each["why"]) for each in told] == [AGAIN]
        record = ledger.day(day)
        assert record is not None and record.revision == 1
        assert is_decided(ledger, day, record.revision)
    assert decide(decided.params, day, again=True) == decide(decided.params, day) == []
    # And back.
    change(decided, "min_clicks: 30000", "min_clicks: 30")
    assert len(decide(decided.params, day, again=True)) == len(DOMAINS)
    third = standing(decided, day)
    assert {row.state for row in third.values()} == {"stable"}
    assert third[DOMAIN].id == f"{first[DOMAIN].id}.3"
    signals = third[DOMAIN].scores.signals
    assert signals.keys() == first[DOMAIN].scores.signals.keys()
    for name, score in first[DOMAIN].scores.signals.items():
        # DuckDB's threads add up in any order: the last bits differ.
        assert signals[name].model_dump() == pytest.approx(score.model_dump(), rel=1e-9)


@pytest.mark.parametrize(
    "state", ["pending", "review", "rejected", "undecided", "waiting", "failed", "declined"]
)
@pytest.mark.few(1)
def test_what_was_not_promoted_gives_way(decided: World, state: str) -> None:
    day = decided.day(3)
    old = set_state(decided, day, state)
    stricter(decided)
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == f"{old}.2"
    with Ledger(decided.config) as ledger:
        assert ledger.decision(old).state == "superseded"
        assert ledger.claim(old) is None


def set_state(world: World, day: date, state: str, **values: object) -> str:
    """Give the domain's decision of the day another state; returns its id."""
    row = standing(world, day)[DOMAIN]
    with Ledger(world.config) as ledger, ledger.write() as connection:
        this = decisions.update().where(decisions.c.id == row.id)
        connection.execute(this.values(state=state, **values))
    return row.id


@pytest.mark.parametrize("state", ["claimed", "waiting"])
@pytest.mark.slow
@pytest.mark.ci
def test_what_a_run_is_at_work_on_stays_until_its_lease_is_lost(
    decided: World, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day = decided.day(3)
    lease = {"owner": new_owner(), "lease_until": time.time() + 600}
    old = set_state(decided, day, state, **lease)
    stricter(decided)
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == old
    assert sum(row.id.endswith(".2") for row in standing(decided, day).values()) == 3
    assert any(f"{old} stays as it is: a run is at work" in line for line in caplog.messages)
    set_state(decided, day, state, lease_until=time.time() - 1)
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == f"{old}.2"


def test_a_claim_that_comes_while_it_is_measured_keeps_its_decision(decided: World) -> None:
    day, config = decided.day(3), decided.config
    old = set_state(decided, day, "pending")
    stricter(decided)
    config = decided.config
    with Ledger(config) as ledger:
        windows = draw_windows(config, ledger, day, again=True)
        owner = ledger.claim(old)
        assert owner is not None
        found = decide_day(config, ledger, windows, measure_day(config, windows), AGAIN)
        assert old in found and f"{old}.2" not in found
        ledger.renew(old, owner)
        # What it was claimed for ends as it would have.
        assert ledger.release(old, owner, "no result", final=True) == "failed"


def promoted(world: World, day: date) -> str:
    """A decision of the day whose challenger serves as version 1; its id."""
    row = standing(world, day)[DOMAIN]
    crown(world, random_adapter(world), [day], decision=row.id)
    report = GateReport().document()
    return set_state(world, day, "promoted", adapter_version=1, gate=report)


def test_a_decision_whose_challenger_was_promoted_stays_and_a_line_says_so(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day = decided.day(3)
    kept = promoted(decided, day)
    stricter(decided)
    decide(decided.params, day, again=True)
    rows = standing(decided, day)
    assert (rows[DOMAIN].id, rows[DOMAIN].state) == (kept, "promoted")
    assert f"{kept} stays as it is: its challenger became version 1" in caplog.messages
    assert {row.state for name, row in rows.items() if name != DOMAIN} == {"insufficient"}
    with Ledger(decided.config) as ledger:
        assert ledger.champion_version(KEY) == 1
        assert take_back_stale(decided.config, ledger, day, AGAIN) == []


@pytest.mark.slow
@pytest.mark.ci
def test_the_windows_of_what_stays_stay(decided: World) -> None:
    day, config = decided.day(3), decided.config
    with Ledger(config) as ledger:
        change(decided, "min_clicks: 30", "min_clicks: 31")
        (window,) = [
            each
            for each in draw_windows(decided.config, ledger, day, again=True)
            if each.key == KEY
        ]
    before = read_profiles(config, window)
    promoted(decided, day)
    decide(decided.params, day, again=True)
    after = read_profiles(config, window)
    assert before.keys() == after.keys() and before[day].rows == after[day].rows


@pytest.mark.slow
@pytest.mark.ci
def test_two_runs_at_once_make_each_decision_once(decided: World, forks: ForkServerContext) -> None:
    day = decided.day(3)
    stricter(decided)
    with forks.Pool(2) as pool:
        calls = [pool.apply_async(decide, (decided.params, day, True)) for _ in range(3)]
        found = [call.get(timeout=240) for call in calls]
    rows = rows_of(decided, day)
    assert len(rows) == 2 * len(DOMAINS)
    assert sum(row.state == "superseded" for row in rows) == len(DOMAINS)
    made = {row.id for row in rows if row.state != "superseded"}
    assert all(set(ids) <= made for ids in found) and any(found)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "point",
    [
        "driftune.drift.windows:_write_windows",
        "driftune.registry.redeciding:insert_new",
        "driftune.registry.ledger:Ledger.decide_within",
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_kill_leaves_the_old_decisions_or_the_new_ones(
    decided: World, forks: ForkServerContext, point: str
) -> None:
    day, before = decided.day(3), standing(decided, decided.day(3))
    stricter(decided)
    kill_at(forks, point, decide, decided.params, day, True)
    assert {each: row.id for each, row in standing(decided, day).items()} == {
        each: row.id for each, row in before.items()
    }
    assert {row.state for row in rows_of(decided, day)} == {"stable"}
    decide(decided.params, day, again=True)
    assert {row.state for row in standing(decided, day).values()} == {"insufficient"}


def test_a_stale_champion_is_taken_back_and_its_day_decided_by_what_the_lake_holds(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day = decided.day(3)
    old = promoted(decided, day)
    bring(decided, day, impressions(day, 2400, seed=5))
    # The run of the day leaves the domain alone: its champion was trained on it.
    decide(decided.params, day)
    assert standing(decided, day)[DOMAIN].id == old
    with Ledger(decided.config) as ledger:
        (stale,) = stale_champions(ledger).values()
        assert f"driftune run --day {day} --decide-again takes it back" in stale.told
        (line,) = take_back_stale(decided.config, ledger, day, AGAIN)
        assert line == f"{DOMAIN}: version 1 is stale and taken back, the frozen base serves"
        assert ledger.champion_version(KEY) == 0
        assert "tried on history" in ledger.switches(KEY)[-1].reason
        # A second run finds it done.
        assert take_back_stale(decided.config, ledger, day, AGAIN) == []
    decide(decided.params, day, again=True)
    row = standing(decided, day)[DOMAIN]
    assert (row.revision, row.state) == (2, "stable")
    with Ledger(decided.config) as ledger:
        assert ledger.decision(old).state == "promoted"
        assert stale_champions(ledger) == {}
    assert decide(decided.params, day, again=True) == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_of_a_day_compared_with_one_that_changed_is_decided_again_too(
    decided: World,
) -> None:
    earlier, day = decided.day(3), decided.day(4)
    bring(decided, day)
    decide(decided.params, day)
    old = promoted(decided, day)
    bring(decided, earlier, impressions(earlier, 2400, seed=5))
    with Ledger(decided.config) as ledger:
        assert stale_champions(ledger)[KEY].day == str(day)
        assert take_back_stale(decided.config, ledger, earlier, AGAIN) == []
        assert len(take_back_stale(decided.config, ledger, day, AGAIN)) == 1
    decide(decided.params, day, again=True)
    rows = standing(decided, day)
    assert rows[DOMAIN].id == f"{old}.2"
    # The others used the changed day, too.
    assert all(row.id.endswith(".2") and row.stale is None for row in rows.values())
    with Ledger(decided.config) as ledger:
        assert ledger.decision(old).state == "promoted"
    assert decide(decided.params, day, again=True) == []


def test_a_decision_of_an_earlier_release_is_made_again(decided: World) -> None:
    day = decided.day(3)
    row = standing(decided, day)[DOMAIN]
    scores = row.scores.document()
    del scores["settings"]
    set_state(decided, day, "stable", scores=scores)
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == f"{row.id}.2"
    with Ledger(decided.config) as ledger:
        note = ledger.decision(row.id).note
    assert note is not None and "an earlier release did not keep its settings" in note


@pytest.mark.slow
@pytest.mark.ci
def test_an_error_is_made_anew_in_its_place(decided: World) -> None:
    day = decided.day(3)
    old = set_state(decided, day, "error")
    stricter(decided)
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == old
    assert standing(decided, day)[DOMAIN].state == "insufficient"
    # One that fails when it is made again is tried again by any run.
    second = set_state(decided, day, "error")
    others = standing(decided, day)
    decide(decided.params, day)
    assert standing(decided, day)[DOMAIN].state == "insufficient"
    assert standing(decided, day)[DOMAIN].id == second
    assert {name: row.id for name, row in others.items()} == {
        name: row.id for name, row in standing(decided, day).items()
    }


def test_a_decision_made_again_counts_once_among_those_that_share_the_error(
    decided: World,
) -> None:
    from driftune.registry.waiting import decided_with

    day = decided.day(3)
    set_state(decided, day, "rejected")
    asked = pending(decided, day, number=1, domain=DOMAINS[1])
    stricter(decided)
    with Ledger(decided.config) as ledger:
        assert decided_with(ledger, ledger.decision(asked)) == 2
    decide(decided.params, day, again=True)
    with Ledger(decided.config) as ledger:
        count = sa.select(sa.func.count()).where(decisions.c.state == "superseded")
        assert ledger.one(count)[0] > 0
        assert decided_with(ledger, ledger.decision(asked)) <= 1


def acted(world: World, day: date, state: str = "rejected") -> str:
    """A decision of the domain about a later day, for which a fine-tune was asked; its id."""
    return pending(world, day, state=state)


@pytest.mark.slow
@pytest.mark.ci
def test_a_stale_champion_serves_where_nothing_could_be_trained_in_its_place(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    day = decided.day(3)
    promoted(decided, day)
    newer = acted(decided, decided.day(4))
    bring(decided, day, impressions(day, 2400, seed=5))
    with Ledger(decided.config) as ledger:
        (stale,) = stale_champions(ledger).values()
        assert stale.newer == newer and "--decide-again" not in stale.told
        assert take_back_stale(decided.config, ledger, day, AGAIN) == []
        assert ledger.champion_version(KEY) == 1
    (line,) = [each for each in caplog.messages if "goes on serving" in each]
    assert f"decision {newer} is newer; driftune adapt --domain {KEY} --why …" in line


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_is_taken_back_while_the_day_cannot_be_decided(decided: World) -> None:
    day = decided.day(3)
    promoted(decided, day)
    bring(decided, day, impressions(day, 2400, seed=5))
    (decided.config.home / "model" / "backbone").rename(decided.config.home / "model" / "away")
    with pytest.raises(Exception, match="backbone"):
        drift_tasks.take_back_stale.fn(decided.config, day, AGAIN)
    with Ledger(decided.config) as ledger:
        assert ledger.champion_version(KEY) == 1


def test_an_error_takes_the_place_of_no_decision(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    day, config = decided.day(3), decided.config
    old = set_state(decided, day, "waiting")
    stricter(decided)
    config = decided.config
    with Ledger(config) as ledger:
        windows = draw_windows(config, ledger, day, again=True)
        measured = [
            failed(window, OSError("no such file")) if window.key == KEY else each
            for window, each in zip(windows, measure_day(config, windows), strict=True)
        ]
        found = decide_day(config, ledger, windows, measured, AGAIN)
        assert old in found and ledger.decision(old).state == "waiting"
        assert redecided_of(ledger, KEY) == []
    assert any(line.startswith(f"{old} stays as it is: ") for line in caplog.messages)
    # The next attempt succeeds.
    decide(decided.params, day, again=True)
    assert standing(decided, day)[DOMAIN].id == f"{old}.2"


def test_what_a_person_asked_for_stays(decided: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "driftune")
    day, other = decided.day(3), DOMAINS[1]
    with Ledger(decided.config) as ledger:
        asked = ask(ledger, DOMAIN, "ben", "a sale begins").id
    held = standing(decided, day)[other].id
    with Ledger(decided.config) as ledger:
        with ledger.write() as connection:
            this = decisions.update().where(decisions.c.id == held)
            connection.execute(this.values(state="review"))
        approve(ledger, held, "ben", "")
    stricter(decided)
    decide(decided.params, day, again=True)
    rows = standing(decided, day)
    for name, id_ in ((DOMAIN, asked), (other, held)):
        assert (rows[name].id, rows[name].state) == (id_, "pending")
    assert f"{asked} stays as it is: ben asked for it" in caplog.messages
    assert f"{held} stays as it is: ben approved it" in caplog.messages


def test_what_a_decision_ended_as_is_kept_and_counts(decided: World) -> None:
    day = decided.day(3)
    old = set_state(decided, day, "rejected", note="the gate kept the champion")
    stricter(decided)
    decide(decided.params, day, again=True)
    with Ledger(decided.config) as ledger:
        assert ended(ledger)[old] == ("rejected", "the gate kept the champion")
        (told,) = redecided_of(ledger, KEY)
        assert told["verdict"] == f"decided again as {old}.2 (was rejected)"
        rows = {row["domain"]: row["last_adaptation"] for row in domain_status(ledger)}
        assert rows == {name: old if name == DOMAIN else None for name in DOMAINS}
        tried = last_finetunes(ledger, ledger.decision(old).backbone, decided.day(9))
        assert {row.domain_key: row.tried for row in tried if row.tried} == {KEY: day}
        history = load_history(decided.config, ledger, "r")
        assert history.ended[old].state == "rejected"
        late = replace(history, kept="9999-12-31")
        assert late.pages == {(KEY, str(day))}
        rows_of_day = [row for row in rows_of(decided, day) if row.domain_key == KEY]
        (earlier,) = decision_view(decided.config, history, rows_of_day)["earlier"]
        assert earlier["was"] == "Before, it was rejected: the gate kept the champion"


def successor(row: Decision, state: str) -> NewDecision:
    """What takes the place of a decision, in a state."""
    return {
        "id": f"{row.id}.2",
        "domain": row.domain,
        "domain_key": row.domain_key,
        "day": row.day,
        "revision": row.revision,
        "backbone": row.backbone,
        "state": state,
        "score": row.score,
        "scores": row.scores,
        "sentence": row.sentence,
        "data_version": row.data_version,
        "champion_version": row.champion_version,
    }


def test_a_successor_that_is_out_of_date_sends_nobody_and_withdraws_the_alert_before(
    decided: World,
) -> None:
    day = decided.day(3)
    with Ledger(decided.config) as ledger:
        row = ledger.decisions(decisions.c.domain_key == KEY)[0]
        values = successor(row, "pending")
        with ledger.write() as connection:
            queue(connection, "alert", row.id, domain=DOMAIN, domain_key=KEY, day=str(day))
    acted(decided, decided.day(4))
    ledger = Ledger(decided.config)
    ledger.told = ("alert",)
    with ledger:
        queued = {each.id for each in owed(ledger)}
        made = replace_decision(ledger, row.id, AGAIN, values, known_marks(decided.config))
        assert made.id == values["id"]
        assert queued - {each.id for each in owed(ledger)} == {f"alert:{row.id}"}
        assert f"alert:{made.id}" not in {each.id for each in owed(ledger)}


def test_who_comes_second_leaves_the_note_of_the_first(
    decided: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    with Ledger(decided.config) as ledger:
        row = ledger.decisions(decisions.c.domain_key == KEY)[0]
        values = successor(row, "stable")
        known = known_marks(decided.config)
        first = replace_decision(ledger, row.id, AGAIN, values, known)
        note = ledger.decision(row.id).note
        late: NewDecision = {**values, "id": f"{row.id}.3"}
        assert replace_decision(ledger, row.id, AskedBy("bob", "late"), late, known) == first
        assert ledger.decision(row.id).note == note
        assert [each["who"] for each in redecided_of(ledger, KEY)] == ["ann"]
    assert f"{row.id} was decided again as {row.id}.2 already" in caplog.messages


@pytest.mark.slow
@pytest.mark.ci
def test_windows_of_decisions_that_stand_are_not_overwritten(decided: World) -> None:
    day, path = decided.day(3), windows_path(decided.config, decided.day(3))
    before = {(each.key, each.label): each for each in read_counts(path)}
    set_state(decided, day, "error")
    text = decided.params.read_text(encoding="utf-8")
    fewer = re.sub(r"sample_rows: \d+", "sample_rows: 40", text)
    assert fewer != text
    decided.params.write_text(fewer, encoding="utf-8")
    decide(decided.params, day)
    after = {(each.key, each.label): each for each in read_counts(path)}
    assert before.keys() == after.keys()
    same = {
        key
        for key, each in before.items()
        if all(
            np.array_equal(counts, after[key].parts[part]) for part, counts in each.parts.items()
        )
    }
    # The one that ended in an error was drawn anew.
    assert same == {key for key in before if key[0] != KEY}
