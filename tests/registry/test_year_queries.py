"""What is asked every day walks an index, and finds what reading every decision would find."""

import itertools
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.drift.references import confirmed_days, confirmed_first
from driftune.registry import checks, counts, decision_queries, past
from driftune.registry.champions import Champion
from driftune.registry.ended import ended
from driftune.registry.ledger import Ledger
from driftune.registry.newest import age
from driftune.registry.overdue import end_outdated
from driftune.registry.past_gains import first_looks
from driftune.registry.records import Decision
from driftune.registry.records.states import QUIET
from driftune.registry.schema import adapters, champions, decisions, redecided
from driftune.registry.schema import checks as checks_table
from driftune.registry.served_days import first_days_served
from driftune.registry.status import domain_names, domain_status
from driftune.registry.waiting import looks_due
from driftune.registry.weak_champions import weak_champions

FIRST = date(2026, 3, 9)
BEFORE = FIRST + timedelta(days=25)
BACKBONES = ("a" * 64, "b" * 64)
KEYS = ("home", "search", "small", "zone")
STATES = ("stable", "stable", "watched", "insufficient", "new", "promoted", "rejected", "waiting",
          "superseded", "pending")  # fmt: skip
RULES = (None, "nothing to judge by", "age", "strong evidence")


@pytest.fixture(params=[1, 2, 3])
def filled(request: pytest.FixtureRequest, ledger: Ledger) -> Ledger:
    """A ledger of random days: revisions, backbones, champions, decisions that were made again."""
    rng = np.random.default_rng(request.param)
    rows, again = [], []
    for number, (key, day) in enumerate(itertools.product(KEYS, range(30))):
        for place in range(int(rng.integers(0, 3))):
            state, backbone = str(rng.choice(STATES)), BACKBONES[int(day > 8)]
            own = f"{FIRST + timedelta(days=day)}.{key}.r{place}"
            judged = state in ("promoted", "rejected", "superseded")
            weak = {"champion": "w" * place or None, "challenger": "is worse" * (place % 2) or None}
            rule = RULES[int(rng.integers(len(RULES)))]
            rows.append(
                {"id": own, "domain": f"name of {key}", "domain_key": key,
                 "day": own[:10], "revision": int(rng.integers(1, 3)), "backbone": backbone,
                 "state": state, "score": None if rng.random() < 0.5 else 1.0,
                 "scores": {"rule": rule}, "sentence": "Said.", "data_version": "v",
                 "champion_version": int(rng.integers(0, 3)), "attempts": 0,
                 "rule": None if rng.random() < 0.3 else rule or "",
                 "gate": {"weak": weak} if judged else sa.null(),
                 "adapter_version": 1 + place if state == "promoted" else None,
                 "decided_at": float(number), "updated_at": float(rng.integers(100))}
            )  # fmt: skip
            if state == "superseded":
                before = str(rng.choice(["stable", "promoted", "watched"]))
                again.append({"decision_id": own, "successor": "x", "domain_key": key, "who": "w",
                              "reason": "", "at": 0.0, "state": before})  # fmt: skip
    made = {"domain_key": "home", "version": 1, "domain": "h", "sha256": "s", "created_at": 0.0,
            "reference_days": [], "decision_id": rows[2]["id"], "backbone": "b"}  # fmt: skip
    with ledger.write() as connection:
        for row in rows:
            connection.execute(decisions.insert(), row)
        if again:
            connection.execute(redecided.insert(), again)
        connection.execute(adapters.insert(), made)
        for key, version in (("home", 1), ("search", 2), ("never", 1)):
            pointer = {"domain_key": key, "domain": "n", "version": version, "switched_at": 1.0}
            connection.execute(champions.insert(), pointer)
    return ledger


def every(ledger: Ledger) -> list[Decision]:
    return sorted(ledger.decisions(), key=age)


def stood(ledger: Ledger, row: Decision) -> str:
    kept = ended(ledger).get(row.id)
    return str(kept.state or "stable") if kept and row.state == "superseded" else str(row.state)


def test_the_newest_of_each_domain_and_the_last_that_asked(filled: Ledger) -> None:
    rows = every(filled)
    newest = {row.domain_key: row.id for row in rows}
    moved = {row.domain_key: row.id for row in rows if stood(filled, row) not in QUIET}
    told = {row["key"]: row for row in domain_status(filled)}
    assert told.keys() == newest.keys() | {"home", "search", "never"}
    assert {key: row["decision"] for key, row in told.items() if row["decision"]} == newest
    assert {k: r["last_adaptation"] for k, r in told.items() if r["last_adaptation"]} == moved
    names = {key: f"name of {key}" for key in newest}
    assert domain_names(filled) == names | dict.fromkeys(("home", "search", "never"), "n")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_first_decision_and_last_finetune(filled: Ledger, backbone: str) -> None:
    tried = ("promoted", "rejected", "undecided", "waiting", "declined")
    plain: dict[str, tuple[str, str | None]] = {}
    for row in every(filled):
        if row.backbone == backbone and row.day < BEFORE.isoformat():
            first, last = plain.get(row.domain_key, (row.day, None))
            plain[row.domain_key] = first, row.day if stood(filled, row) in tried else last
    found = past.last_finetunes(filled, backbone, BEFORE)
    assert plain == {
        each.domain_key: (str(each.first), None if each.tried is None else str(each.tried))
        for each in found
    }


@pytest.mark.parametrize("held", [0, 3])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_the_days_that_confirm_who_serves(
    filled: Ledger, config: Config, most: int, held: int
) -> None:
    """As many of the first ones as a reference takes; some are no longer in the lake."""
    drift = config.drift.model_copy(update={"reference_days": most})
    config = config.model_copy(update={"drift": drift})
    calendar = [FIRST + timedelta(days=n) for n in range(held, 30)]
    serves = {"home": 1, "search": 2, "small": 0, "zone": 0}
    # What a version served on came after the days that it was trained on.
    after = {"home": date.fromisoformat(filled.decision(_brought(filled)).day)}
    who = {
        key: Champion(version, [after.get(key, FIRST - timedelta(days=1))])
        for key, version in serves.items()
    }
    for backbone in BACKBONES:
        plain = confirmed_days(filled, backbone, BEFORE)
        found = confirmed_first(config, filled, who, calendar, backbone, BEFORE)
        for key, champion in who.items():
            last, place = max(champion.reference), (key, champion.serves)
            wanted = [day for day in plain.get(place, []) if day > last and day in calendar]
            got = [day for day in found.get(place, []) if day > last and day in calendar]
            assert got[:most] == wanted[:most]


def _brought(ledger: Ledger) -> str:
    record = ledger.adapter("home", 1)
    assert record is not None
    return record.decision_id


def test_weak_champions_are_those_of_the_newest_gate_that_compared_them(filled: Ledger) -> None:
    rows = sorted(filled.decisions(), key=lambda row: (row.day, row.updated_at, row.id))
    found: dict[tuple[str, int], str | None] = {}
    for row in rows:
        gate = row.gate
        if gate is None or gate.weak is None or row.backbone != BACKBONES[1]:
            continue
        found[(row.domain_key, row.champion_version)] = gate.weak.champion
        if row.state == "promoted" and row.adapter_version:
            found[(row.domain_key, row.adapter_version)] = gate.weak.challenger
    serves = {"home": 1, "search": 2, "small": 0, "zone": 0}
    wanted = {key for key, version in serves.items() if found.get((key, version))}
    assert weak_champions(filled).keys() == wanted


def test_decisions_to_judge_by_are_those_of_the_days_and_who_brought_champions(
    filled: Ledger,
) -> None:
    since = BEFORE - timedelta(days=5)
    plain = {(row.domain_key, row.day): row.id for row in every(filled) if row.day < str(BEFORE)}
    found = {
        (row.domain_key, row.day): row.id
        for row in past.decisions_to_judge(filled, FIRST, since, BEFORE)
    }
    assert found == {
        place: own
        for place, own in plain.items()
        if place[1] >= str(since) or filled.decision(own).state == "promoted"
    }


def test_what_a_rule_has_asked_for(filled: Ledger) -> None:
    plain = {
        row.domain_key
        for row in every(filled)
        if row.backbone == BACKBONES[1] and row.day < str(BEFORE) and row.scores.rule == "age"
    }
    assert past.asked_by(filled, "age", BACKBONES[1], BEFORE, KEYS) == plain
    some = past.asked_by(filled, "age", BACKBONES[1], BEFORE, ["zone"])
    assert some == plain & {"zone"}


def test_checks_of_a_day_and_of_a_run(ledger: Ledger) -> None:
    made = [("2026-03-09", 1, None), ("2026-03-09", 2, "2026-03-11"), ("2026-03-11", 1, None)]
    for day, revision, as_of in made:
        for content in range(revision):
            values = {"lake_version": 1, "rows": 1, "rejected": 0, "verdict": "ok"}
            ledger.record_day(date.fromisoformat(day), content_hash=str(content), **values)
        row = {"day": day, "revision": revision, "domain_key": "home", "version": 1, "against": 0,
               "domain": "h", "metric": "auc", "rows": 1, "positives": 1, "verdict": "holds",
               "rule": "r", "data_version": "v", "backbone": "b", "checked_at": 1.0,
               "as_of": as_of}  # fmt: skip
        with ledger.write() as connection:
            connection.execute(checks_table.insert(), row)
    assert checks.checked_days(ledger) == {(day, revision) for day, revision, _ in made}
    day = date(2026, 3, 11)
    assert {(row.day, row.revision) for row in checks.checks_as_of(ledger, day)} == {
        ("2026-03-09", 2),
        ("2026-03-11", 1),
    }
    assert checks.checks_as_of(ledger, date(2026, 3, 9)) == []


ASKED: dict[str, Callable[[Ledger], object]] = {
    "status": domain_status,
    "names": domain_names,
    "looks due": lambda ledger: looks_due(ledger, BEFORE),
    "waiting": lambda ledger: ledger.waiting(BEFORE),
    "lost": lambda ledger: ledger.free_lost(),
    "outdated": end_outdated,
    "open": decision_queries.open_decisions,
    "held": decision_queries.held_decisions,
    "first days": lambda ledger: first_days_served(ledger, BACKBONES[1], BEFORE, 5, ["age"]),
    "fine-tunes": lambda ledger: past.last_finetunes(ledger, BACKBONES[1], BEFORE),
    "by a rule": lambda ledger: past.asked_by(ledger, "age", BACKBONES[1], BEFORE, KEYS),
    "first looks": lambda ledger: first_looks(ledger, BACKBONES[1], BEFORE, "ctr_auc"),
    "counts": counts.decisions_by_state,
    "stamps": decision_queries.day_stamps,
    "checked": checks.checked_days,
    "checks of a run": lambda ledger: checks.checks_as_of(ledger, BEFORE),
    "taken back": lambda ledger: checks.taken_back(ledger, BEFORE),
    "unannounced": checks.unannounced,
    "differences": lambda ledger: checks.differences_before(ledger, BEFORE),
}


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ASKED)
def test_no_question_of_a_day_reads_a_whole_table(ledger: Ledger, name: str) -> None:
    said: list[tuple[str, Any]] = []

    @sa.event.listens_for(ledger.engine, "before_cursor_execute")
    def _keep(_c: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        said.append((statement, given))

    ASKED[name](ledger)
    selects = [each for each in said if each[0].startswith(("SELECT", "WITH"))]
    assert selects
    with ledger.engine.connect() as connection:
        for statement, given in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
            for *_, step in plan:
                whole = step.startswith(("SCAN decisions", "SCAN checks", "SCAN own"))
                assert not whole or "INDEX" in step, f"{statement}: {step}"
