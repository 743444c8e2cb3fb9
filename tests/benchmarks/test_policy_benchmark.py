"""The policy benchmark's signals, rivals and figures."""

from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.policy_figures import COSTS, Run, figures, outcomes
from benchmarks.policy_rivals import Cara, Distance, LossCusum, Rule, Today, Upf, Want
from benchmarks.policy_signals import Cusum, Forecast, Loss, log_loss, mmd
from benchmarks.policy_world import PLANTED, world

DAY = date(2026, 3, 2)


def day(number: int, loss: float, base: float = 0.5, shift: float = 0.0) -> Today:
    sample = np.random.default_rng(number).normal(shift, 1, (80, 3))
    return Today(DAY + timedelta(number), Loss(loss, 0.005), Loss(base, 0.005), sample)


def asked(rule: Rule, days: list[Today]) -> list[bool]:
    return [rule.look(each) is not None for each in days]


def test_log_loss_is_the_mean_with_its_error() -> None:
    random = np.random.default_rng(1)
    p = random.uniform(0.1, 0.5, 4000)
    found = [log_loss(random.random(4000) < p, p) for _ in range(200)]
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    assert np.mean([each.mean for each in found]) == pytest.approx(entropy, abs=0.002)
    spread = np.std([each.mean for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.2)


def test_mmd_is_nothing_between_samples_of_one_distribution() -> None:
    random = np.random.default_rng(2)
    same = [mmd(random.normal(0, 1, (60, 4)), random.normal(0, 1, (60, 4))) for _ in range(50)]
    assert np.mean(same) == pytest.approx(0, abs=0.005)
    assert mmd(random.normal(0, 1, (60, 4)), random.normal(1, 1, (60, 4))) > 10 * np.std(same)


def test_cusum_sums_what_lies_above_its_level_and_slack() -> None:
    chart = Cusum(slack=0.5, limit=3.0)
    assert not chart.add(1.0, 0.1)
    # The spread has the level's own error in it, of one value and then of two.
    assert not chart.add(1.2, 0.1)
    first = 0.2 / (0.1 * np.sqrt(2)) - 0.5
    assert chart.total == pytest.approx(first)
    assert chart.level == pytest.approx(1.1)
    assert not chart.add(1.4, 0.1)
    assert chart.total == pytest.approx(first + 0.3 / (0.1 * np.sqrt(1.5)) - 0.5)
    assert chart.add(1.6, 0.1)
    assert chart.run == 3


def test_cusum_seldom_alarms_where_nothing_changes_and_soon_where_it_does() -> None:
    random = np.random.default_rng(4)
    alarms, delays = [], []
    for _ in range(200):
        chart = Cusum(limit=4.0)
        values = random.normal(0, 1, 60) + np.where(np.arange(60) < 40, 0, 2)
        raised = [chart.add(value, 1.0) for value in values]
        alarms.append(any(raised[:40]))
        delays.append(raised[40:].index(True))
    assert np.mean(alarms) < 0.25
    assert np.median(delays) <= 4


def test_a_cusum_rule_asks_for_the_days_since_the_change() -> None:
    rule = LossCusum(4.0)
    assert not any(asked(rule, [day(number, 0.5) for number in range(4)]))
    found = [rule.look(day(number, 0.52)) for number in range(4, 8)]
    assert found[0] is None
    assert next(each for each in found if each) == Want(DAY + timedelta(4))
    rule.trained()
    assert rule.look(day(9, 0.6)) is None


def test_cara_asks_when_what_has_gathered_costs_more_than_a_fine_tune() -> None:
    rule = Cara(0.025)
    losses = [0.50, 0.51, 0.49, 0.51, 0.51]
    assert asked(rule, [day(n, loss) for n, loss in enumerate(losses)]) == [False] * 4 + [True]
    rule.trained()
    # The new champion's first day is what it is measured by.
    assert asked(rule, [day(6, 0.56), day(7, 0.57)]) == [False, False]


def test_a_distance_rule_asks_when_a_day_is_further_than_those_before() -> None:
    rule = Distance(0.05)
    days = [day(number, 0.5) for number in range(6)] + [day(7, 0.5, shift=1.0)]
    assert asked(rule, days[:4]) == [False] * 4
    asked(rule, days[4:6])
    assert rule.look(days[6]) is not None
    rule.trained()
    assert rule.reference is days[6].sample


def test_upf_fine_tunes_again_when_gains_have_faded_and_cost_less_than_they_bring() -> None:
    cheap, dear = (Upf(cost, Forecast([], [])) for cost in (0.01, 5.0))
    for rule in (cheap, dear):
        assert rule.look(day(0, 0.5)) is not None
        rule.trained()
    faded = [day(age, 0.5 - 0.03 + 0.006 * age) for age in range(1, 9)]
    found = asked(cheap, faded)
    assert any(found)
    assert not any(asked(dear, faded))


def test_a_forecast_is_sure_of_what_it_has_seen_alone() -> None:
    seen = Forecast([], [])
    mean, before = seen.of((1.0, 2.0, 0.0))
    assert mean == 0
    for age in range(1, 30):
        seen.features.append((1.0, float(age % 5), 0.0))
        seen.targets.append(0.01 - 0.002 * (age % 5))
    mean, after = seen.of((1.0, 2.0, 0.0))
    assert mean == pytest.approx(0.006, abs=0.001)
    assert after < before / 5


def runs() -> dict[str, Run]:
    cells = [("w", f"d{domain}", f"{number}") for domain in range(4) for number in range(10)]
    base = dict.fromkeys(cells, 0.7)
    everywhere = dict.fromkeys(cells, 0.71)
    # One domain-day in forty is worse than the base by more than is tolerated.
    ours = {cell: 0.69 if n == 0 else 0.708 for n, cell in enumerate(cells)}
    return {
        "never": Run(base, 0, 0, 0.0),
        "refresh": Run(everywhere, 40, 40, 60.0),
        "drift": Run(ours, 8, 6, 12.0),
        "weekly": Run(everywhere, 20, 20, 30.0),
    }


def test_figures_are_parts_of_the_refresh_with_harm_and_net_of_cost() -> None:
    found = figures(outcomes(runs()), 1, 40)
    gain = (39 * 0.008 - 0.01) / 40
    assert found["refresh_gain"] == pytest.approx(0.01)
    assert found["drift_gain"] == pytest.approx(gain)
    assert found["refresh_share"] == pytest.approx(gain / 0.01)
    assert found["refresh_share_low"] < found["refresh_share"]
    assert found["finetune_share"] == 0.2
    assert found["harm_share"] == 1 / 40
    assert found["worst_next_day"] == pytest.approx(-0.01)
    assert found["drift_net"] == pytest.approx([gain - cost * 8 / 40 for cost in COSTS])
    (weekly,) = found["rivals"]
    assert {"policy", "gain", "share", "finetunes"} <= weekly.keys()
    assert (weekly["policy"], weekly["share"], weekly["finetunes"]) == ("weekly", 1.0, 20)


@pytest.mark.parametrize("kind", PLANTED)
def test_worlds_plant_what_they_name_after_their_reference(kind: str) -> None:
    for quick in (False, True):
        made = world(3, kind, quick=quick)
        assert made.events
        assert {event.kind for event in made.events} <= {each[1] for each in PLANTED[kind]}
        assert min(event.day for event in made.events) >= made.calendar[3 if quick else 14]
