"""Champions after promotion: measured on later days alone, recorded once, taken back when worse."""

import shutil
from datetime import date
from multiprocessing.context import ForkServerContext

import numpy as np
import pytest

from driftune.config import Config
from driftune.config.guard import Guard
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import LedgerError
from driftune.evaluation.bootstrap import paired_auc_difference
from driftune.guard.check import WHO, check_champions
from driftune.guard.scores import Contest, score_day
from driftune.intake.ingest import ingest
from driftune.models.adapters import AdapterBank
from driftune.registry.checks import Check, checks_of, mark_announced, unannounced
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import mirrored
from driftune.registry.rows import Switch
from driftune.training.pretrain import load_model, pretrain
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, bring, crown, pending
from tests.guard.conftest import WORSE, adapter
from tests.marks import CI

PATIENT = Guard(alone=1e-300, confirm={"days": 5, "of": 5, "p": 1e-300}, since_promotion=1e-300)


def check(world: World, day: date, guard: Guard | None = None) -> list[Check]:
    config = world.config
    if guard is not None:
        config = config.model_copy(update={"guard": guard})
    with Ledger(config) as ledger:
        return check_champions(config, ledger, day, mirrored=False)


def later(world: World, number: int) -> date:
    """A day after the reference days, with some 3,000 rows of the domain; returns it."""
    return bring(world, world.day(number), impressions(world.day(number), 12_000))


def serving(world: World) -> int:
    with Ledger(world.config) as ledger:
        return ledger.champion_version(KEY)


def test_a_worse_champion_is_taken_back_with_its_figures(bad_champion: World) -> None:
    day = later(bad_champion, 3)
    (found,) = check(bad_champion, day)
    assert (found.version, found.against, found.verdict, found.restored) == (1, BASE, "worse", BASE)
    assert found.estimate is not None and found.estimate < -0.02
    assert found.error is not None and found.p is not None and found.p <= 1e-4
    assert found.rows > 2000
    with Ledger(bad_champion.config) as ledger:
        assert ledger.champion_version(KEY) == BASE
        switch = ledger.switches(KEY)[-1]
        assert checks_of(ledger, day) == [found]
    assert (switch.action, switch.who, switch.from_version) == ("rollback", WHO, 1)
    assert f"CTR-AUC {found.estimate:+.4f} against the frozen base on {day}" in switch.reason
    assert (switch.data_version, switch.backbone) == (found.data_version, found.backbone)


def delayed(world: World, hours: int) -> World:
    """The world, in which labels take so long."""
    text = world.params.read_text()
    world.params.write_text(text.replace("label_delay_hours: 0", f"label_delay_hours: {hours}"))
    assert world.config.gate.label_delay_hours == hours
    return world


@pytest.mark.parametrize(
    ("hours", "days"),
    [(0, 0), pytest.param(20, 1, marks=CI), pytest.param(24, 1, marks=CI), (25, 2)],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_day_is_checked_when_all_its_labels_are_mature(
    bad_champion: World, hours: int, days: int
) -> None:
    delayed(bad_champion, hours)
    first = bad_champion.day(3)
    for number in range(days):
        assert check(bad_champion, later(bad_champion, 3 + number)) == []
        assert serving(bad_champion) == 1
    run = later(bad_champion, 3 + days)
    (found,) = check(bad_champion, run)
    assert (found.day, found.as_of, found.restored) == (str(first), str(run), BASE)
    assert check(bad_champion, run) == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_came_late_is_checked_once_its_labels_are_mature(bad_champion: World) -> None:
    delayed(bad_champion, 24)
    missed, after = bad_champion.day(3), later(bad_champion, 4)
    assert check(bad_champion, after, PATIENT) == []
    pending(bad_champion, after)
    later(bad_champion, 3)
    assert [each.day for each in check(bad_champion, missed, PATIENT)] == [str(missed)]
    assert check(bad_champion, missed, PATIENT) == []
    run = later(bad_champion, 5)
    assert [each.day for each in check(bad_champion, run, PATIENT)] == [str(after)]


@pytest.mark.slow
@pytest.mark.ci
def test_days_matured_in_a_gap_are_checked_by_the_next_run(bad_champion: World) -> None:
    delayed(bad_champion, 24)
    first = later(bad_champion, 3)
    assert check(bad_champion, first, PATIENT) == []
    (found,) = check(bad_champion, later(bad_champion, 6), PATIENT)
    assert (found.day, found.as_of) == (str(first), str(bad_champion.day(6)))


@pytest.mark.slow
@pytest.mark.ci
def test_days_that_another_version_served_do_not_speak_against_the_one_that_serves(
    trained_world: World,
) -> None:
    delayed(trained_world, 24)
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(1)])
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)], version=2)
    later(trained_world, 3)
    check(trained_world, later(trained_world, 4))
    assert serving(trained_world) == BASE
    by_hand(trained_world, 1)
    assert check(trained_world, later(trained_world, 5)) == []
    (again,) = check(trained_world, later(trained_world, 6))
    assert (again.version, again.day) == (1, str(trained_world.day(5)))


@pytest.mark.slow
@pytest.mark.ci
def test_the_day_that_took_a_champion_back_is_not_held_against_the_next_one(
    trained_world: World,
) -> None:
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(1)])
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)], version=2)
    day = later(trained_world, 3)
    assert any(each.restored is not None for each in check(trained_world, day))
    if serving(trained_world) == BASE:
        by_hand(trained_world, 1)
    assert serving(trained_world) == 1
    assert check(trained_world, day) == []


def by_hand(world: World, version: int) -> None:
    """Let a version serve again where the base serves."""
    with Ledger(world.config) as ledger, ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain=DOMAIN,
                action="by hand",
                expected=BASE,
                version=version,
                decision_id=None,
                who="a person",
                reason="once more",
            ),
        )


@pytest.mark.slow
@pytest.mark.ci
def test_the_difference_is_that_of_all_rows_of_the_day(bad_champion: World) -> None:
    day = later(bad_champion, 3)
    (found,) = check(bad_champion, day)
    config = bad_champion.config
    encoder, model, _ = load_model(config)
    bank = AdapterBank.from_adapters({KEY: adapter(bad_champion, WORSE)})
    contests = [Contest(KEY, 1, None), Contest("not there", 1, None)]
    ((_, scored),) = score_day(config, encoder, model, day, contests, bank, AdapterBank())
    difference = paired_auc_difference(
        scored.labels, scored.scores[BASE], scored.scores[1], scored.users,
        resamples=200, confidence=0.95, seed=7,
    )  # fmt: skip
    assert found.rows == len(scored.labels)
    assert found.positives == scored.labels.sum()
    assert found.estimate == pytest.approx(difference.estimate)
    assert found.error == pytest.approx((difference.high - difference.low) / 3.92, rel=1e-3)


@pytest.mark.slow
@pytest.mark.ci
def test_the_same_day_again_changes_nothing(bad_champion: World) -> None:
    day = later(bad_champion, 3)
    first = check(bad_champion, day)
    assert check(bad_champion, day) == []
    with Ledger(bad_champion.config) as ledger:
        assert checks_of(ledger, day) == first
        assert len(ledger.switches(KEY)) == 2


@pytest.mark.slow
@pytest.mark.ci
def test_a_rollback_is_owed_an_event_until_it_is_announced(bad_champion: World) -> None:
    (found,) = check(bad_champion, later(bad_champion, 3))
    by_hand(bad_champion, 1)
    check(bad_champion, later(bad_champion, 4), PATIENT)
    with Ledger(bad_champion.config) as ledger:
        assert unannounced(ledger) == [found]
        mark_announced(ledger, found)
        assert unannounced(ledger) == []


def test_a_day_that_trained_the_champion_says_nothing(bad_champion: World) -> None:
    assert check(bad_champion, bad_champion.day(2)) == []
    with pytest.raises(LedgerError, match="is not in the lake"):
        check(bad_champion, bad_champion.day(9))


@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_as_good_as_the_base_stays(trained_world: World) -> None:
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(2)])
    for number in (3, 4, 5):
        (found,) = check(trained_world, later(trained_world, number))
        assert found.verdict == "holds"
    assert serving(trained_world) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_weak_days_are_pooled_since_promotion(bad_champion: World) -> None:
    first, second = (
        check(bad_champion, later(bad_champion, number), PATIENT)[0] for number in (3, 4)
    )
    weights = np.array([first.error, second.error], dtype=float) ** -2
    wanted = np.average([first.estimate, second.estimate], weights=weights)
    assert second.pooled == pytest.approx(wanted)
    assert second.pooled_p is not None and first.pooled_p is not None
    assert second.pooled_p < first.pooled_p
    assert serving(bad_champion) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_delivered_anew_counts_once_in_its_newest_revision(bad_champion: World) -> None:
    day = bad_champion.day(3)
    check(bad_champion, bring(bad_champion, day), PATIENT)
    bring(bad_champion, day, impressions(day, 12_000, seed=5))
    (again,) = check(bad_champion, day, PATIENT)
    assert again.revision == 2
    (after,) = check(bad_champion, later(bad_champion, 4), PATIENT)
    weights = np.array([again.error, after.error], dtype=float) ** -2
    assert after.pooled == pytest.approx(
        np.average([again.estimate, after.estimate], weights=weights)
    )


def test_too_few_clicks_decide_nothing(bad_champion: World) -> None:
    frame = impressions(bad_champion.day(3), 2400)
    frame["click"] = (np.arange(len(frame)) % 60 == 0).astype("int8")
    frame["ordered"] = 0
    # Else a domain that is hardly clicked on is kept out of the lake.
    World(bad_champion.root, quality={"severity": {"domain_click_rate_absurd": "warning"}})
    (found,) = check(bad_champion, bring(bad_champion, bad_champion.day(3), frame))
    assert (found.verdict, found.rule, found.estimate) == (
        "insufficient",
        "too few positives",
        None,
    )
    assert serving(bad_champion) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_better_of_base_and_previous_champion_is_restored(trained_world: World) -> None:
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(1)])
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)], version=2)
    found = {each.against: each for each in check(trained_world, later(trained_world, 3))}
    assert set(found) == {BASE, 1}
    leads = {against: each.pooled for against, each in found.items()}
    assert serving(trained_world) == min(leads, key=lambda against: leads[against] or 0.0)
    assert sum(each.restored is not None for each in found.values()) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_previous_champion_that_cannot_be_loaded_is_left_out(trained_world: World) -> None:
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(1)])
    shutil.rmtree(Workspace(trained_world.config).adapters)
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)], version=2)
    (found,) = check(trained_world, later(trained_world, 3))
    assert (found.against, serving(trained_world)) == (BASE, BASE)


@pytest.mark.slow
@pytest.mark.ci
def test_what_a_version_showed_before_it_came_back_is_not_counted(bad_champion: World) -> None:
    check(bad_champion, later(bad_champion, 3))
    by_hand(bad_champion, 1)
    (found,) = check(bad_champion, later(bad_champion, 4), PATIENT)
    assert found.pooled == pytest.approx(found.estimate)


@pytest.mark.slow
@pytest.mark.ci
def test_a_new_backbone_s_domains_are_not_checked(bad_champion: World) -> None:
    day = later(bad_champion, 3)
    config = bad_champion.config
    newer = config.model_copy(
        update={"backbone": config.backbone.model_copy(update={"epochs": 2})}
    ).read_from(bad_champion.params)
    with Ledger(newer) as ledger:
        pretrain(newer, ledger)
        assert check_champions(newer, ledger, day, mirrored=False) == []
        assert ledger.champion_version(KEY) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_two_runs_at_once_record_and_take_back_once(
    bad_champion: World, forks: ForkServerContext
) -> None:
    day = later(bad_champion, 3)
    with forks.Pool(2) as pool:
        calls = [pool.apply_async(_check, (str(bad_champion.params), day)) for _ in range(2)]
        found = [call.get(timeout=120) for call in calls]
    assert sorted(found) == [0, 1]
    with Ledger(bad_champion.config) as ledger:
        assert len(checks_of(ledger, day)) == 1
        assert [row.action for row in ledger.switches(KEY)] == ["promote", "rollback"]


def _check(params: str, day: date) -> int:
    config: Config = load_config(params, env={})
    with Ledger(config) as ledger:
        return len(check_champions(config, ledger, day, mirrored=False))


@pytest.mark.slow
@pytest.mark.ci
def test_the_alias_follows(bad_champion: World) -> None:
    day = bad_champion.day(3)
    bad_champion.write(day, impressions(day, 12_000))
    with Ledger(bad_champion.config) as ledger:
        ingest(bad_champion.config, ledger, day)
        check_champions(bad_champion.config, ledger, day)
        assert mirrored(bad_champion.config, ledger) == {KEY: (None, None)}
