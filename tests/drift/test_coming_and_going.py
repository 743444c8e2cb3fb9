"""Domains that come, go and come back: each has a state that says why, and stops no other."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from driftune.drift import detect, measure, windows
from driftune.drift.compare import Windows
from driftune.drift.detect import decide_day
from driftune.drift.measure import failed, measure_day
from driftune.drift.profiles import Profiler
from driftune.drift.windows import DomainWindow, draw_windows, read_windows
from driftune.errors import LakeError, LedgerError
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision, State
from driftune.registry.schema import decisions
from driftune.training.pretrain import pretrain
from tests.conftest import DOMAINS, World, impressions
from tests.marks import CI

HERE, *OTHERS = DOMAINS
Change = Callable[[pd.DataFrame], pd.DataFrame]
# No domain is kept out for having other rows or clicks than usual.
LENIENT = {"domain": {"min_rows": 10**6}}


def of_domain(frame: pd.DataFrame, domain: str = HERE) -> pd.Series:
    """Which rows are of the domain."""
    return (frame["scene"] + " · " + frame["region"]) == domain


def without(frame: pd.DataFrame, domain: str = HERE) -> pd.DataFrame:
    return frame[~of_domain(frame, domain)]


def only(frame: pd.DataFrame, change: Change) -> pd.DataFrame:
    """The day with the domain's own rows changed."""
    return pd.concat([without(frame), change(frame[of_domain(frame)].copy())])


def put(**values: object) -> Change:
    return lambda own: own.assign(**values)


def decide(world: World, day: date, frame: pd.DataFrame | None = None) -> dict[str, Decision]:
    """Take a day in and decide it; returns its newest decisions by domain."""
    world.write(day, impressions(day, 2400) if frame is None else frame)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        drawn = draw_windows(world.config, ledger, day)
        decide_day(world.config, ledger, drawn, measure_day(world.config, drawn))
        return decided(ledger, day)


def decided(ledger: Ledger, day: date) -> dict[str, Decision]:
    return {row.domain: row for row in ledger.decisions(decisions.c.day == str(day))}


def trained(world: World, change: Callable[[date, pd.DataFrame], pd.DataFrame]) -> World:
    """A world pre-trained on reference days that are changed."""
    for number in range(3):
        day = world.day(number)
        world.write(day, change(day, impressions(day, 2400)))
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
    return world


@pytest.mark.parametrize(
    ("change", "state", "sentence"),
    [
        (lambda own: own.head(0), State.ABSENT, "No impression on the day."),
        (lambda own: own.head(1), State.INSUFFICIENT, "Too little data: 1 impressions, 150"),
        (put(click=np.int8(0), ordered=np.int8(0)), State.NO_CLICKS, "No clicks: 0 clicks, 30"),
        (put(click=np.int8(1)), State.ONLY_CLICKS, "Only clicks: 0 impressions without a click"),
        pytest.param(put(user_id="u1"), State.STABLE, "", marks=CI),
        pytest.param(put(ordered=np.int8(0)), State.STABLE, "", marks=CI),
        pytest.param(put(item_id="i1"), None, "", marks=CI),
        (put(category="unheard of"), None, ""),
        pytest.param(put(category="noodles"), None, "", marks=CI),
        pytest.param(put(price=np.nan), None, "", marks=CI),
    ],
    ids=[
        *("absent", "one row", "no clicks", "only clicks", "one user", "no conversions"),
        *("one item", "new category", "one category", "no price"),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_s_day_is_its_own(
    trained_world: World, change: Change, state: State | None, sentence: str
) -> None:
    world = World(trained_world.root, quality=LENIENT)
    day = world.day(3)
    found = decide(world, day, only(impressions(day, 2400), change))
    assert {found[name].state for name in OTHERS} == {State.STABLE}
    assert found[HERE].state == state or state is None
    assert found[HERE].state != State.ERROR, found[HERE].sentence
    assert sentence in found[HERE].sentence


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "gone",
    [{1}, pytest.param({2}, marks=CI), pytest.param({0, 2}, marks=CI)],
    ids=["middle", "last", "but one"],
)
def test_a_domain_is_compared_with_the_reference_days_that_it_has(
    make_world: Callable[..., World], gone: set[int]
) -> None:
    world = make_world()
    missed = {world.day(number) for number in gone}
    trained(world, lambda day, frame: without(frame) if day in missed else frame)
    found = decide(world, world.day(3))
    held = tuple(world.day(number) for number in range(3) if number not in gone)
    assert found[HERE].state in (State.STABLE, State.WATCHED)
    assert found[HERE].scores.reference == held
    assert {found[name].state for name in OTHERS} == {State.STABLE}
    assert len(found[OTHERS[0]].scores.reference) == 3


@pytest.mark.slow
@pytest.mark.ci
def test_a_new_domain_gets_its_reference_by_its_first_days(
    make_world: Callable[..., World],
) -> None:
    world = make_world(domains={"unknown": "other"}, drift={"reference_days": 3})
    trained(world, lambda _, frame: without(frame))
    states = []
    for number in range(3, 6):
        found = decide(world, world.day(number))
        states.append(found["other"].state)
        assert {found[name].state for name in OTHERS} <= {State.STABLE, State.WATCHED}
    assert states[0] == State.NEW
    assert set(states[1:]) <= {State.STABLE, State.WATCHED}
    assert found["other"].scores.reference[:1] == (world.day(3),)


@pytest.mark.slow
@pytest.mark.ci
def test_what_data_quality_says_of_a_domain_is_part_of_its_state(trained_world: World) -> None:
    gone, small = trained_world.day(3), trained_world.day(4)
    found = decide(trained_world, gone, without(impressions(gone, 2400)))[HERE]
    assert (found.state, found.scores.rule) == (State.ABSENT, "absent")
    assert found.sentence.startswith("No impression on the day: 0 rows, usually")
    few = only(impressions(small, 2400), lambda own: own.head(3))
    found = decide(trained_world, small, few)[HERE]
    assert (found.state, found.scores.rule) == (State.REFUSED, "data refused")
    assert found.sentence.startswith("Refused by data quality: 3 rows, usually")


@pytest.mark.slow
@pytest.mark.ci
def test_a_new_domain_in_quarantine_has_no_decision(make_world: Callable[..., World]) -> None:
    world = make_world(domains={"unknown": "quarantine"}, quality={"max_rejected_share": 1})
    trained(world, lambda _, frame: without(frame))
    found = decide(world, world.day(3))
    assert dict.fromkeys(OTHERS, State.STABLE) == {name: row.state for name, row in found.items()}


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_that_is_gone_for_days_comes_back(trained_world: World) -> None:
    day = trained_world.day(3)
    away = [trained_world.day(number) for number in (3, 4, 12)]
    for day in away:
        found = decide(trained_world, day, without(impressions(day, 2400)))
        assert found[HERE].state == State.ABSENT
    back = decide(trained_world, trained_world.day(40))[HERE]
    assert back.state in (State.STABLE, State.WATCHED)
    assert not {*back.scores.reference} & {*away}


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_with_one_domain_alone(trained_world: World) -> None:
    day = trained_world.day(3)
    frame = impressions(day, 2400)
    found = decide(trained_world, day, frame[of_domain(frame)])
    assert {found[name].state for name in OTHERS} == {State.ABSENT}
    assert found[HERE].state in (State.STABLE, State.WATCHED, State.INSUFFICIENT)


def raising(
    world: World, *wrong: str, said: str = "its rows are unreadable"
) -> Callable[..., object]:
    """A profiler's draw that fails when one of the domains is asked for."""
    drawn = Profiler._draw

    def draw(self: Profiler, day: date, keys: list[str]) -> object:
        if any(key.startswith(name) for key in keys for name in wrong):
            raise LakeError(said)
        return drawn(self, day, keys)

    return draw


@pytest.mark.slow
@pytest.mark.ci
def test_what_fails_for_one_domain_is_its_state_until_a_run_that_succeeds(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = trained_world.day(3)
    monkeypatch.setattr(Profiler, "_draw", raising(trained_world, "home-north"))
    found = decide(trained_world, day)
    assert (found[HERE].state, found[HERE].scores.rule) == (State.ERROR, "error")
    assert found[HERE].sentence.endswith("cannot be drawn: its rows are unreadable")
    assert {found[name].state for name in OTHERS} == {State.STABLE}
    monkeypatch.undo()
    again = decide(trained_world, day)
    assert {row.state for row in again.values()} == {State.STABLE}
    assert {name: again[name] for name in OTHERS} == {name: found[name] for name in OTHERS}


@pytest.mark.slow
@pytest.mark.ci
def test_what_fails_for_every_domain_is_the_day_s_fault(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Profiler, "_draw", raising(trained_world, "home", "search"))
    day = trained_world.day(3)
    with pytest.raises(LakeError, match="its rows are unreadable"):
        decide(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        assert decided(ledger, day) == {}


def test_a_full_disk_is_the_fault_of_no_domain(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Decided without it, the others would be held to other limits than with it.
    full = raising(trained_world, "home-north", said="features: No space left on device")
    monkeypatch.setattr(Profiler, "_draw", full)
    day = trained_world.day(3)
    with pytest.raises(LakeError, match="No space left"):
        decide(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        assert decided(ledger, day) == {}


@pytest.mark.slow
@pytest.mark.ci
def test_a_crash_in_one_domain_s_measurement_is_logged_with_its_place(
    trained_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = measure.compared

    def crash(config: object, window: DomainWindow, held: object) -> object:
        if window.domain == HERE:
            raise ZeroDivisionError("a slip of mine")
        return whole(config, window, held)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "compared", crash)
    with caplog.at_level("DEBUG", logger="driftune"):
        found = decide(trained_world, trained_world.day(3))
    assert found[HERE].state == State.ERROR
    assert "ZeroDivisionError('a slip of mine')" in found[HERE].sentence
    assert {found[name].state for name in OTHERS} == {State.STABLE}
    (line,) = [row for row in caplog.records if row.levelname == "ERROR"]
    assert "\n" not in line.getMessage() and line.exc_info is None
    assert any(row.exc_info for row in caplog.records if row.levelname == "DEBUG")


@pytest.mark.slow
@pytest.mark.ci
def test_a_crash_among_domains_that_are_measured_together_is_one_domain_s(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = measure.distances

    def crash(many: list[Windows], rows: int) -> object:
        if any(each.key.startswith("home-north") for each in many):
            raise ZeroDivisionError("a slip of mine")
        return together(many, rows)

    monkeypatch.setattr(measure, "distances", crash)
    found = decide(trained_world, trained_world.day(3))
    assert found[HERE].state == State.ERROR
    assert "ZeroDivisionError('a slip of mine')" in found[HERE].sentence
    assert {found[name].state for name in OTHERS} == {State.STABLE}


@pytest.mark.slow
@pytest.mark.ci
def test_a_crash_in_judging_one_domain_stops_no_other(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = detect.judge_domains

    def crash(chosen: list[measure.Measured]) -> object:
        if any(each.key.startswith("home-north") for each in chosen):
            raise IndexError("no pair of days")
        return together(chosen)

    monkeypatch.setattr(detect, "judge_domains", crash)
    found = decide(trained_world, trained_world.day(3))
    assert found[HERE].state == State.ERROR
    assert {found[name].state for name in OTHERS} == {State.STABLE}


@pytest.mark.slow
@pytest.mark.ci
def test_a_damaged_record_of_one_domain_s_past_stops_no_other(trained_world: World) -> None:
    day = trained_world.day(3)
    key = decide(trained_world, day)[HERE].id
    with Ledger(trained_world.config) as ledger, ledger.write() as connection:
        damage = decisions.update().where(decisions.c.id == key)
        connection.execute(damage.values(scores={"signals": "none of them"}))
    found = decide(trained_world, trained_world.day(4))
    assert found[HERE].state == State.ERROR
    assert "its days before cannot be read" in found[HERE].sentence
    assert {found[name].state for name in OTHERS} == {State.STABLE}


@pytest.mark.slow
@pytest.mark.ci
def test_the_error_of_a_measurement_that_ended_elsewhere(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day)
    with Ledger(trained_world.config) as ledger:
        ingest(trained_world.config, ledger, day)
        window = windows.draw_windows(trained_world.config, ledger, day)[0]
    problem = failed(window, LedgerError("gone")).problem
    assert problem is not None
    assert (problem.state, problem.rule) == (State.ERROR, "error")
    assert read_windows(trained_world.config, window) is not None
