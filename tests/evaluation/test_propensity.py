"""Weights of a target policy: by hand, against all orders of a list, and what is refused."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from driftune.evaluation.propensity import UnusableLogError, shares, weigh_choices, weigh_lists


def drawn(weights: list[float]) -> list[float]:
    """Probabilities of items, drawn one by one without replacement, in this order (of mass 1)."""
    above = np.cumsum([0.0, *weights[:-1]])
    return (np.array(weights) / (1 - above)).tolist()


def probability(weights: list[float], mass: float) -> float:
    """Probability of drawing exactly this order from candidates of a total mass."""
    total = 1.0
    for weight in weights:
        total *= weight / mass
        mass -= weight
    return total


def weight_of(logged: list[float], target: list[float], depth: int) -> float:
    """Target over logged probability of the first ``depth`` items, given the set: by all orders."""
    both = list(zip(logged, target, strict=True))
    orders = [both[:depth] + list(rest) for rest in permutations(both[depth:])]
    every = list(permutations(both))

    def share(index: int, mass: float) -> float:
        wanted = sum(probability([pair[index] for pair in order], mass) for order in orders)
        return wanted / sum(probability([pair[index] for pair in order], mass) for order in every)

    return share(1, sum(target)) / share(0, 1.0)


def test_two_items_by_hand() -> None:
    # Logged shares 1/2 and 1/4, so 1/4 for all others. First item first: 1/2 · (1/4)/(1/2) = 1/4;
    # second item first: 1/4 · (1/2)/(3/4) = 1/6. Given the pair: (1/4) / (1/4 + 1/6) = 3/5.
    # The target's odds are 1/3 against 1: 1/4. So both rows weigh (1/4) / (3/5) = 5/12.
    found = weigh_lists(
        propensity=[1 / 2, 1 / 2],
        position=[1, 2],
        lists=[9, 9],
        scores=[1 / 4, 1 / 2],
        rewards=[0.1, 0.2],
    )
    assert found.weight == pytest.approx([5 / 12, 5 / 12], rel=1e-12)
    assert found.expected.tolist() == found.predicted.tolist() == [0.1, 0.2]


@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.floats(-3, 3)), min_size=2, max_size=5),
    st.floats(0.0, 5.0),
)
def test_weights_equal_the_sum_over_all_orders(
    items: list[tuple[float, float]], others: float
) -> None:
    logged = [weight for weight, _ in items]
    mass = sum(logged) + others
    logged = [weight / mass for weight in logged]
    logits = np.array([score for _, score in items])
    found = weigh_lists(
        propensity=np.minimum(drawn(logged), 1.0 if others == 0 else 1 - 1e-15),
        position=np.arange(len(items)),
        lists=np.zeros(len(items), int),
        scores=expit(logits),
        rewards=np.zeros(len(items)),
    )
    target = np.exp(logits).tolist()
    expected = [weight_of(logged, target, depth + 1) for depth in range(len(items))]
    assert found.weight == pytest.approx(expected, rel=1e-5)


def test_a_catalogue_shown_whole_keeps_the_logged_propensities() -> None:
    found = weigh_lists(
        propensity=drawn([0.5, 0.3, 0.2]), position=[1, 2, 3], lists=[1, 1, 1],
        scores=[0.5, 0.5, 0.5], rewards=[0, 0, 0],
    )  # fmt: skip
    assert found.weight == pytest.approx([(1 / 3) / 0.5, (1 / 6) / 0.3, (1 / 6) / 0.3], rel=1e-9)


def test_equal_scores_over_a_uniform_log_weigh_one_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    lists = np.repeat(np.arange(50), 8)
    position = np.tile(np.arange(8), 50)
    order = rng.permutation(len(lists))
    found = weigh_lists(
        (1 / (1000.0 - position))[order], position[order], lists[order],
        np.full(400, 0.3), np.full(400, 0.3),
    )  # fmt: skip
    assert found.weight == pytest.approx(np.ones(400), rel=1e-9)


def test_a_low_temperature_lets_the_best_candidate_take_all() -> None:
    assert shares([[0.2, 0.5]], 1.0)[0] == pytest.approx([0.2, 0.8])
    assert shares([0.2, 0.5], 0.01)[1] == pytest.approx(1)
    assert shares([0.2, 0.5], 1e9) == pytest.approx([0.5, 0.5])


def test_choices_by_hand() -> None:
    found = weigh_choices(
        propensity=[1 / 2, 1 / 4],
        chosen=[0, 2],
        target=[1 / 4, 1 / 4, 1 / 2],
        rewards=[[0.1, 0.2, 0.3], [0.0, 0.0, 0.4]],
    )
    assert found.weight.tolist() == [1 / 2, 2]
    assert found.predicted.tolist() == [0.1, 0.4]
    assert found.expected == pytest.approx([0.225, 0.2])


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"propensity": [math.nan] * 4}, "the log has no propensities"),
        ({"propensity": [0.5, math.nan, 0.5, 0.5]}, "1 of 4 propensities .* is missing"),
        ({"propensity": [0.5, 0.5, 0.0, 0.5]}, "1 of 4 propensities .* is 0"),
        ({"propensity": [0.5, 1.5, 0.5, 2.0]}, "2 of 4 propensities .* is 1.5"),
        ({"propensity": [1.0, 0.5, 0.5, 0.5]}, "a propensity is 1 above other items"),
        ({"lists": [-1, -1, 3, 3]}, "the list of 2 of 4 impressions is unknown"),
        ({"lists": [1, 2, 3, 4], "position": [1] * 4}, "nothing to reorder"),
        ({"position": [1, math.nan, 1, 2]}, "1 of 4 impressions have no position"),
        ({"position": [1, 3, 1, 2]}, "2 of 4 impressions stand in lists with a position missing"),
        ({"position": [1, 2, 2, 3]}, r"2 of 4 impressions .* begin at 1, the log's first"),
        ({"position": [1, 1, 1, 2]}, "2 of 4 impressions stand in lists"),
        ({"scores": [0.5, math.nan, 0.5, 0.5]}, "1 of the model's scores"),
    ],
)
def test_what_cannot_be_right_is_refused_in_words(
    changed: dict[str, list[float]], wanted: str
) -> None:
    log = {
        "propensity": [0.5, 0.5, 0.5, 0.5],
        "position": [1, 2, 1, 2],
        "lists": [3, 3, 5, 5],
        "scores": [0.5, 0.4, 0.3, 0.2],
        "rewards": [0.5, 0.4, 0.3, 0.2],
    }
    with pytest.raises(UnusableLogError, match=wanted):
        weigh_lists(**{**log, **changed})


def test_few_lists_with_gaps_or_without_their_top_are_left_out() -> None:
    lists = np.repeat(np.arange(80), 3)
    position = np.tile([1.0, 2, 3], 80)
    position[2] = 4
    position[3:6] = [2, 3, 4]
    found = weigh_lists(np.full(240, 0.01), position, lists, np.full(240, 0.2), np.full(240, 0.2))
    assert np.flatnonzero(~found.used).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_list_that_is_cut_off_below_is_whole_down_to_there() -> None:
    lists, position = np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 1, 2])
    found = weigh_lists(np.full(5, 0.01), position, lists, np.full(5, 0.2), np.full(5, 0.2))
    assert found.used.all()


def test_a_target_that_is_no_distribution_is_refused() -> None:
    with pytest.raises(UnusableLogError, match="do not add up to 1"):
        weigh_choices([0.5], [0], [0.5, 0.6], [0.0, 0.0])
    with pytest.raises(UnusableLogError, match="no impressions"):
        weigh_choices([], [], [0.5, 0.5], [0.0, 0.0])
