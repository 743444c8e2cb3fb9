"""The ledger: decisions written once, claimed once, ended once; a pointer moved by one hand."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.errors import LedgerBusyError, LedgerError, RegistryError
from driftune.registry.claims import ATTEMPTS
from driftune.registry.ledger import Ledger
from driftune.registry.records.decision import NewDecision
from driftune.registry.rows import Switch
from driftune.registry.schema import champions, days, decisions
from driftune.registry.status import domain_status
from tests.conftest import World
from tests.registry.conftest import KEY, Decide

DAY = date(2026, 3, 10)
VALUES: dict[str, Any] = {"lake_version": 1, "rows": 9, "rejected": 0, "verdict": "ok"}


def test_a_decision_is_written_once(ledger: Ledger, decide: Decide) -> None:
    first = decide(score=2.0)
    decide(score=9.0)
    assert [row.score for row in ledger.decisions()] == [2.0]
    decision = ledger.decision(first)
    row, written = ledger.decide(
        **{name: getattr(decision, name) for name in NewDecision.__required_keys__}
    )
    assert not written
    assert row.id == first


def test_an_unknown_decision_is_named(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="'nothing' is not in the ledger"):
        ledger.decision("nothing")


def test_a_claim_belongs_to_one(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    assert ledger.claim(decision) is None
    assert ledger.decision(decision).state == "claimed"


@pytest.mark.parametrize("state", ["stable", "insufficient", "promoted", "rejected", "failed"])
def test_only_pending_decisions_are_claimed(ledger: Ledger, decide: Decide, state: str) -> None:
    assert ledger.claim(decide(state=state)) is None


def test_processes_that_race_claim_once(
    config: Config, ledger: Ledger, decide: Decide, forks: ForkServerContext
) -> None:
    decision = decide()
    arguments = (str(config.source_file), decision)
    with forks.Pool(3) as pool:
        calls = [pool.apply_async(_claim, arguments) for _ in range(6)]
        owners = [call.get(timeout=120) for call in calls]
    assert sum(owner is not None for owner in owners) == 1
    assert ledger.decision(decision).attempts == 1


def _claim(params: str, decision: str) -> str | None:
    with Ledger(load_config(params, env={})) as ledger:
        return ledger.claim(decision)


def test_an_expired_lease_is_claimed_again_and_the_first_owner_has_lost(
    ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    ledger.lease_seconds = -1
    first = ledger.claim(decision)
    ledger.lease_seconds = 60
    assert [row.id for row in ledger.waiting(DAY)] == [decision]
    second = ledger.claim(decision)
    assert first and second and first != second
    assert ledger.waiting(DAY) == []
    with pytest.raises(LedgerError, match="no longer claimed"), ledger.write() as connection:
        ledger.finish(connection, decision, first, "promoted")
    with ledger.write() as connection:
        ledger.finish(connection, decision, second, "rejected")
    assert ledger.decision(decision).state == "rejected"


def test_the_claim_of_a_killed_process_is_free_at_once(
    config: Config, ledger: Ledger, decide: Decide, forks: ForkServerContext
) -> None:
    decision = decide()
    with forks.Pool(1) as pool:
        owner = pool.apply(_claim, (str(config.source_file), decision))
        assert ledger.claim(decision) is None
    assert owner is not None
    assert [row.id for row in ledger.waiting(DAY)] == [decision]
    assert ledger.claim(decision) not in (None, owner)


def test_the_claim_of_another_machine_is_kept(
    ledger: Ledger, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = decide()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "another:machine")
        elsewhere.setattr("os.getpid", lambda: 2**22 + 1)
        assert ledger.claim(decision)
    assert ledger.claim(decision) is None
    assert ledger.waiting(DAY) == []


def test_a_claim_given_back_waits_again_until_the_last_attempt(
    ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    states = []
    for _ in range(ATTEMPTS):
        owner = ledger.claim(decision)
        assert owner is not None
        states.append(ledger.release(decision, owner, "out of memory", final=False))
    assert states == ["pending"] * (ATTEMPTS - 1) + ["failed"]
    assert ledger.decision(decision).note == "out of memory"


def test_a_final_release_ends_the_decision(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    assert ledger.release(decision, owner, "too few rows", final=True) == "failed"
    assert ledger.claim(decision) is None


def test_a_release_by_another_changes_nothing(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    ledger.claim(decision)
    assert ledger.release(decision, "somebody else", "", final=True) == "claimed"


def test_waiting_reaches_up_to_the_day(ledger: Ledger, decide: Decide) -> None:
    wanted = [decide("2026-03-09"), decide("2026-03-10")]
    decide("2026-03-11")
    decide("2026-03-10", key="other", state="stable")
    assert [row.id for row in ledger.waiting(DAY)] == wanted


def test_changed_content_of_a_day_gets_the_next_revision(ledger: Ledger) -> None:
    assert ledger.record_day(DAY, content_hash="a", **VALUES) == 1
    assert ledger.record_day(DAY, content_hash="a", **VALUES) == 1
    assert ledger.record_day(DAY, content_hash="a", **VALUES | {"verdict": "warning"}) == 1
    assert ledger.day(DAY).verdict == "warning"
    assert ledger.record_day(DAY, content_hash="b", **VALUES) == 2
    assert [(row.day, row.content_hash) for row in ledger.days()] == [(str(DAY), "b")]


def move(ledger: Ledger, expected: int, version: int) -> None:
    with ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain="home",
                action="promote",
                expected=expected,
                version=version,
                decision_id=None,
                who="test",
                reason="a test",
            ),
        )


def test_the_pointer_moves_only_from_where_it_stands(ledger: Ledger) -> None:
    with pytest.raises(RegistryError, match="champion is version 0, not 3"):
        move(ledger, expected=3, version=4)
    move(ledger, expected=0, version=1)
    with pytest.raises(RegistryError, match="champion is version 1, not 0; another run moved it"):
        move(ledger, expected=0, version=2)
    move(ledger, expected=1, version=2)
    assert ledger.champion_version(KEY) == 2
    assert [(row.from_version, row.to_version) for row in ledger.switches(KEY)] == [(0, 1), (1, 2)]


def test_two_that_move_the_pointer_at_once_leave_one(
    config: Config, ledger: Ledger, forks: ForkServerContext
) -> None:
    arguments = (str(config.source_file), time.time() + 1)
    with forks.Pool(2) as pool:
        calls = [pool.apply_async(_move, (*arguments, version)) for version in (1, 2)]
        moved = [call.get(timeout=120) for call in calls]
    assert sorted(moved) == [False, True]
    assert len(ledger.switches(KEY)) == 1


def _move(params: str, start: float, version: int) -> bool:
    with Ledger(load_config(params, env={})) as ledger:
        time.sleep(max(0.0, start - time.time()))
        try:
            move(ledger, expected=0, version=version)
        except RegistryError:
            return False
    return True


@contextmanager
def rival(ledger: Ledger, table: sa.Table, **values: Any) -> Iterator[None]:
    """Another run, whose row is there just before this one's first insert into the table.

    PostgreSQL lets this happen between any look and the insert that follows.
    """
    waiting = [table.insert().values(**values)]

    def meddle(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if waiting and statement.startswith(f"INSERT INTO {table.name} "):
            connection.execute(waiting.pop())

    sa.event.listen(ledger.engine, "before_cursor_execute", meddle)
    try:
        yield
    finally:
        sa.event.remove(ledger.engine, "before_cursor_execute", meddle)
    assert not waiting


def test_a_decision_that_another_run_writes_meanwhile_is_kept(
    ledger: Ledger, decide: Decide
) -> None:
    before = decisions.c.id == decide("2026-03-09")
    template = dict(ledger.read(sa.select(decisions).where(before))[0]._mapping)
    theirs = {**template, "id": "2026-03-10.home-north.r1.bbbbbbbb", "day": str(DAY), "score": 7.0}
    with rival(ledger, decisions, **theirs):
        ours = decide(score=2.0)
    assert ours == theirs["id"]
    assert ledger.decision(ours).score == 7.0


def test_a_day_that_another_run_records_meanwhile_gets_its_revision(ledger: Ledger) -> None:
    theirs = {"day": str(DAY), "revision": 1, "content_hash": "a", "recorded_at": 1.0, **VALUES}
    with rival(ledger, days, **theirs):
        assert ledger.record_day(DAY, content_hash="b", **VALUES) == 2


def test_a_first_champion_that_another_run_sets_meanwhile_stays(ledger: Ledger) -> None:
    theirs = {"domain_key": KEY, "domain": "home", "version": 7, "switched_at": 1.0}
    with (
        pytest.raises(RegistryError, match="champion is version 7, not 0; another run moved it"),
        rival(ledger, champions, **theirs),
    ):
        move(ledger, expected=0, version=1)
    assert ledger.switches(KEY) == []


def test_a_version_that_another_run_takes_meanwhile_is_one_line(ledger: Ledger) -> None:
    values = {
        "domain_key": KEY,
        "version": 1,
        "domain": "home",
        "sha256": "a" * 64,
        "backbone": "b" * 64,
        "decision_id": "2026-03-10.home-north.r1.bbbbbbbb",
        "reference_days": [str(DAY)],
    }
    with ledger.write() as connection:
        ledger.add_adapter(connection, **values)
    with (
        pytest.raises(RegistryError, match="home: version 1 was taken by another run"),
        ledger.write() as connection,
    ):
        ledger.add_adapter(connection, **values)


def test_a_password_is_not_shown(make_world: Callable[..., World]) -> None:
    world = make_world(registry={"ledger": "nodialect://me:secret@host/ledger"})
    with pytest.raises(LedgerError, match="//…@host/ledger") as error:
        Ledger(world.config)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////no/such/folder/ledger.db", "oracle+nothing://here"]
)
def test_a_wrong_url_is_one_line(make_world: Callable[..., World], url: str) -> None:
    world = make_world(registry={"ledger": url})
    with pytest.raises(LedgerError, match=r"^registry\.ledger: cannot open") as error:
        Ledger(world.config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
def test_a_file_that_is_no_ledger_is_one_line(config: Config) -> None:
    Path(config.home).mkdir(parents=True, exist_ok=True)
    (config.home / "ledger.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(LedgerError, match=r"cannot open sqlite:.*ledger\.db \(file is not"):
        Ledger(config)


def test_a_ledger_of_an_earlier_release_gets_the_columns_that_it_lacks(
    config: Config, ledger: Ledger, forks: ForkServerContext
) -> None:
    move(ledger, expected=0, version=1)
    with ledger.write() as connection:
        for column in ("data_version", "backbone"):
            connection.execute(sa.text(f"ALTER TABLE switches DROP COLUMN {column}"))
        connection.execute(sa.text("DROP TABLE checks"))
    arguments = [str(config.source_file)] * 2
    with forks.Pool(2) as pool:
        assert pool.map(_open, arguments) == [[(1, None, None)]] * 2
    move(ledger, expected=1, version=2)
    assert _open(arguments[0]) == [(1, None, None), (2, None, None)]


def _open(params: str) -> list[tuple[int, str | None, str | None]]:
    with Ledger(load_config(params, env={})) as ledger:
        return [(row.to_version, row.data_version, row.backbone) for row in ledger.switches(KEY)]


@pytest.mark.slow
@pytest.mark.ci
def test_a_reader_does_not_wait_for_a_writer(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    with ledger.write() as connection:
        connection.execute(decisions.update().values(note="not yet there"))
        assert ledger.decision(decision).note is None


def test_a_ledger_is_opened_and_read_while_another_process_writes(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    with ledger.write() as connection:
        connection.execute(decisions.update().values(note="not yet there"))
        with Ledger(config) as other:
            assert other.decision(decision).note is None


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
def test_a_ledger_that_stays_locked_is_one_line(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    with Ledger(config) as other, ledger.write():
        with other.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("PRAGMA busy_timeout = 10"))
        with pytest.raises(LedgerBusyError, match=r"another process keeps it locked.*try again$"):
            other.claim(decision)
    assert ledger.decision(decision).state == "pending"


# Days that are delivered anew


def redeliver(ledger: Ledger) -> None:
    for content in ("first", "second"):
        ledger.record_day(DAY, content_hash=content, **VALUES)


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("pending", "superseded"),
        ("waiting", "superseded"),
        ("promoted", "promoted"),
        ("rejected", "rejected"),
        ("stable", "stable"),
    ],
)
def test_decisions_about_a_day_that_is_delivered_anew_are_stale(
    ledger: Ledger, decide: Decide, state: str, ends: str
) -> None:
    decision = decide(state=state)
    redeliver(ledger)
    row = ledger.decision(decision)
    assert row.state == ends
    assert row.stale.startswith("2026-03-10 was delivered anew (revision 2) on ")


def test_what_a_run_holds_stays_with_it_and_is_stale(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    redeliver(ledger)
    row = ledger.decision(decision)
    assert (row.state, row.owner, row.stale is None) == ("claimed", owner, False)


def test_only_decisions_that_used_the_day_are_stale(ledger: Ledger, decide: Decide) -> None:
    before = decide("2026-03-09")
    compared = decide("2026-03-11", scores={"reference": ["2026-03-09", "2026-03-10"]})
    apart = decide("2026-03-12", scores={"reference": ["2026-03-11"]})
    redeliver(ledger)
    assert [ledger.decision(each).stale is None for each in (before, compared, apart)] == [
        True,
        False,
        True,
    ]
    assert ledger.decision(compared).state == "pending"


def looked_at(first: str, last: str, *looks: str) -> dict[str, object]:
    """What a decision keeps of a challenger trained from ``first`` and judged up to ``last``."""
    split = {"train": {"from": first}, "gate": {"to": last}}
    return {
        "training": {"split": split},
        "gate": {"split": split, "looks": [{"day": day} for day in looks]},
    }


@pytest.mark.parametrize(
    ("day", "used", "stale"),
    [
        ("2026-03-11", looked_at("2026-03-10T23:59:59", "2026-03-11T20:00:00"), True),
        ("2026-03-12", looked_at("2026-03-11T00:00:00", "2026-03-12T20:00:00"), False),
        ("2026-03-09", looked_at("2026-03-07T00:00:00", "2026-03-09T20:00:00"), False),
        ("2026-03-09", looked_at("2026-03-07", "2026-03-09T20:00:00", "2026-03-10"), True),
        ("2026-03-08", looked_at("2026-03-06", "2026-03-08T20:00:00", "2026-03-09"), False),
    ],
)
def test_decisions_that_trained_on_or_looked_at_the_day_are_stale(
    ledger: Ledger, decide: Decide, day: str, used: dict[str, object], stale: bool
) -> None:
    decision = decide(day, state="rejected", scores={"reference": ["2026-03-01"]}, **used)
    redeliver(ledger)
    row = ledger.decision(decision)
    assert (row.state, row.stale is not None) == ("rejected", stale)


def test_a_day_is_that_of_its_zone_when_decisions_go_stale(config: Config, decide: Decide) -> None:
    used = looked_at("2026-03-10T15:30:00", "2026-03-12T02:00:00")
    decision = decide("2026-03-12", state="rejected", **used)
    tokyo = config.model_copy(update={"timezone": "Asia/Tokyo"})
    with Ledger(tokyo) as ledger:
        redeliver(ledger)
        assert ledger.decision(decision).stale is None


def test_the_same_content_again_makes_nothing_stale(ledger: Ledger, decide: Decide) -> None:
    decision = decide(state="promoted")
    for _ in range(2):
        ledger.record_day(DAY, content_hash="same", **VALUES)
    assert ledger.decision(decision).stale is None


def test_status_says_that_a_decision_is_stale(ledger: Ledger, decide: Decide) -> None:
    decide(state="rejected")
    redeliver(ledger)
    (row,) = domain_status(ledger)
    assert "delivered anew" in row["stale"]


def test_a_ledger_on_a_read_only_place_says_so(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.config.home.mkdir()
    # No database, as one that may not be opened for writing.
    (world.config.home / "ledger.db").mkdir()
    with pytest.raises(LedgerError, match="repair it or put a backup back"):
        Ledger(world.config)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LedgerError, match=f"{world.config.home} cannot be written to, and SQLite"):
        Ledger(world.config)
