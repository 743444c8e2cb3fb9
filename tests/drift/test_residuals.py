"""Residuals: errors off the categories are seen, none on stable days; thin windows do no harm."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from driftune.drift.cells import FIRST, price_cells
from driftune.drift.compare import Windows
from driftune.drift.partitions import (
    CELLS,
    KINDS,
    PAIRED,
    PARTITIONS,
    STARTS,
    Dealt,
    cell_name,
    declared_names,
    number_cells,
    position_cells,
    value_cells,
)
from driftune.drift.profiles import Profile, whole
from driftune.drift.readings import Reading
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import Verdict, judge_readings
from tests.drift.windows import NAMES, START
from tests.marks import CI

SIGNAL = SIGNALS["residuals"]
USERS, ITEMS, CATEGORIES = 500, 100, 4
Rng = np.random.Generator
Change = Callable[["Drawn"], np.ndarray]


@dataclass(frozen=True)
class Drawn:
    """Rows of a day: whose they are, what was shown, the champion's logit; (n,) each."""

    user: np.ndarray
    item: np.ndarray
    price: np.ndarray
    position: np.ndarray
    logit: np.ndarray

    @property
    def category(self) -> np.ndarray:
        """Each item has one."""
        return self.item % CATEGORIES

    @classmethod
    def of(cls, rng: Rng, rows: int) -> "Drawn":
        """Requests of five rows each."""
        user = np.repeat(rng.integers(0, USERS, rows // 5 + 1), 5)[:rows]
        item = rng.integers(0, ITEMS, rows)
        price = np.exp(1 + (item % 10) / 5)
        return cls(user, item, price, rng.integers(1, 6, rows), rng.normal(-1.2, 0.5, rows))

    def dealt(self) -> Dealt:
        """The rows in their cells."""
        cells = {"price": price_cells(self.price), "position": position_cells(self.position)}
        return Dealt(cells, self.user, self.item, self.category)


def window(rng: Rng, rows: int, change: Change | None = None, wander: float = 0.0) -> Profile:
    """A day's window; ``change``: what is added to the log-odds that the champion foresees."""
    drawn = Drawn.of(rng, rows)
    own = np.random.default_rng(1).normal(0, 0.4, (USERS, CATEGORIES))
    logit = drawn.logit + own[drawn.user, drawn.category]
    logit = logit + wander * rng.normal(size=ITEMS)[drawn.item]
    if change is not None:
        logit = logit + change(drawn)
    click = rng.random(rows) < 1 / (1 + np.exp(-logit))
    counted = drawn.dealt().count(
        np.zeros(rows, dtype=int), 1, click.astype(float), 1 / (1 + np.exp(-drawn.logit))
    )
    return Profile(whole({part: values[0] for part, values in counted.items()}))


def compared(
    rng: Rng, key: str, change: Change | None = None, rows: int = 5000, wander: float = 0.0
) -> Windows:
    """A domain's day after ten without drift."""
    days = [START + timedelta(number) for number in range(11)]
    *before, day = days
    return Windows(
        key=key,
        day=day,
        current=window(rng, rows, change, wander),
        reference={each: window(rng, rows, wander=wander) for each in before},
        settled=frozenset(before),
        weekday_days=99,
        top_categories=12,
        min_rows=500,
        seed=7,
    )


def verdicts(many: list[Windows]) -> list[Verdict]:
    """Of domains judged together; each must have one."""
    found = judge_readings([SIGNAL.reading(each) for each in many])
    assert None not in found
    return [each for each in found if each is not None]


def turned(drawn: Drawn) -> np.ndarray:
    """A quarter of the users, whom no column names, turns to two categories, the others away."""
    return np.where(drawn.user % 4 == 0, 1.2, -0.4) * np.where(drawn.category < 2, 1.0, -1.0)


CHANGES: dict[str, tuple[str, Change]] = {
    "price": ("price", lambda drawn: 0.8 * (np.log(drawn.price) - 1.9)),
    "position": ("position", lambda drawn: 0.3 * (3 - drawn.position)),
    "hidden segment": ("users", turned),
    "items": ("items", lambda drawn: 0.6 * np.where((drawn.item // 10) % 2 == 0, 1.0, -1.0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_no_category_shows_is_seen_and_named(name: str) -> None:
    rng = np.random.default_rng(3)
    part, change = CHANGES[name]
    held = [compared(rng, f"d{number}") for number in range(4)]
    held.append(compared(rng, "moved", change))
    *still, moved = verdicts(held)
    assert moved.p < 1e-6
    assert moved.effect > 0.05
    assert min(verdict.p for verdict in still) > 1e-3
    reading = SIGNAL.reading(held[-1])
    assert reading is not None
    of_part = judge_readings([part_of(SIGNAL.reading(each), part) for each in held])[-1]
    assert of_part is not None and of_part.p * len(reading.parts) < 1e-6
    told = SIGNAL.facts(held[-1], NAMES)
    assert told is not None and told["rows"]
    label = next(each.label for each in PARTITIONS if each.name == part)
    assert all(row["name"].startswith(label) for row in told["rows"])
    assert label in SIGNAL.say(told)


def part_of(reading: Reading | None, part: str) -> Reading | None:
    """The reading of one partition."""
    return None if reading is None else reading.parts.get(part)


@pytest.mark.parametrize("wander", [pytest.param(0.0, marks=CI), 0.15])
def test_p_values_of_days_without_drift_hold(wander: float) -> None:
    rng = np.random.default_rng(11)
    found: list[float] = []
    for _ in range(6):
        held = [compared(rng, f"d{number}", rows=1500, wander=wander) for number in range(10)]
        found += [verdict.p for verdict in verdicts(held)]
    values = np.array(found)
    # 60 domain-days: at most 6 expected below 0.1 with a deviation of 2.3, 0.6 below 0.01.
    assert (values < 0.1).sum() <= 13
    assert (values < 0.01).sum() <= 4
    assert values.min() > 1e-4


def test_the_order_of_rows_and_the_names_of_users_change_nothing() -> None:
    rng = np.random.default_rng(5)
    drawn = Drawn.of(rng, 800)
    click, p = (rng.random(800) < 0.3).astype(float), rng.uniform(0.1, 0.6, 800)
    domain = rng.integers(0, 3, 800)
    before = drawn.dealt().count(domain, 3, click, p)
    order, renamed = rng.permutation(800), rng.permutation(USERS)
    moved = Drawn(*(each[order] for each in vars(drawn).values()))
    moved = replace(moved, user=renamed[moved.user] * 7 - 3)
    dealt = replace(moved.dealt(), category=drawn.category[order])
    after = dealt.count(domain[order], 3, click[order], p[order])
    for part, values in before.items():
        assert after[part] == pytest.approx(values, abs=1e-9)


def test_a_domain_s_sums_do_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(6)
    drawn = Drawn.of(rng, 600)
    click, p = (rng.random(600) < 0.3).astype(float), rng.uniform(0.1, 0.6, 600)
    domain = np.repeat([0, 1], 300)
    both = drawn.dealt().count(domain, 2, click, p)
    alone = Drawn(*(each[300:] for each in vars(drawn).values())).dealt()
    own = alone.count(np.zeros(300, dtype=int), 1, click[300:], p[300:])
    for part, values in both.items():
        assert np.array_equal(values[1], own[part][0])


def test_pairs_of_rows_are_what_they_are_said_to_be() -> None:
    """Against a plain loop over pairs: one user, rows of two categories."""
    residual, information = np.array([0.5, -0.2, 0.7]), np.array([0.2, 0.1, 0.25])
    shown = (1 - np.sqrt(1 - 4 * information)) / 2
    click = residual + shown
    dealt = Dealt({}, np.array([4, 4, 4]), np.array([1, 2, 3]), np.array([0, 0, 1]))
    counted = dealt.count(np.zeros(3, dtype=int), 1, click, shown)
    first = STARTS["users"]
    left = 1 / (1 + 0.2 * 0.3)
    right = 1 / (1 + 0.2 * 0.25)
    found = counted["residual"][0, first : first + 2]
    assert found == pytest.approx([left**2 * 0.5 * -0.2, left * right * (0.5 - 0.2) * 0.7])
    held = counted["residual_information"][0, first : first + 2]
    assert held == pytest.approx([left**2 * 0.2 * 0.1, left * right * 0.3 * 0.25])
    # No item was shown twice: there is no pair.
    assert counted["residual_information"][0, STARTS["items"]] == pytest.approx(0, abs=1e-12)


THIN: dict[str, Callable[[Drawn], tuple[Drawn, float]]] = {
    "one user": lambda drawn: (replace(drawn, user=np.zeros_like(drawn.user)), 0.3),
    "one item": lambda drawn: (replace(drawn, item=np.zeros_like(drawn.item)), 0.3),
    "no click": lambda drawn: (drawn, 0.0),
    "only clicks": lambda drawn: (drawn, 1.0),
    "no position": lambda drawn: (replace(drawn, position=np.full(len(drawn.user), np.nan)), 0.3),
    "a few rows": lambda drawn: (Drawn(*(each[:3] for each in vars(drawn).values())), 0.3),
}


@pytest.mark.parametrize("name", THIN)
def test_thin_days_give_a_number_or_nothing(name: str) -> None:
    rng = np.random.default_rng(9)
    drawn, rate = THIN[name](Drawn.of(rng, 2000))
    rows = len(drawn.user)
    click = (rng.random(rows) < rate).astype(float)
    shown = 1 / (1 + np.exp(-drawn.logit))
    counted = drawn.dealt().count(np.zeros(rows, dtype=int), 1, click, shown)
    thin = Profile(whole({part: values[0] for part, values in counted.items()}))
    held = [compared(rng, f"d{number}", rows=1500) for number in range(3)]
    for odd in (
        replace(held[0], current=thin),
        replace(held[0], reference=dict.fromkeys(held[0].reference, thin)),
    ):
        readings = [SIGNAL.reading(each) for each in [*held, odd]]
        for verdict in judge_readings(readings):
            assert verdict is None or 0 <= verdict.p <= 1
        told = SIGNAL.facts(odd, NAMES)
        figures = (
            [] if told is None else [row[side] for row in told["rows"] for side in ("from", "to")]
        )
        assert np.isfinite(figures).all()


def test_windows_of_before_and_few_reference_days_are_not_judged() -> None:
    rng = np.random.default_rng(2)
    old = compared(rng, "old")
    empty = Profile(whole({}))
    assert SIGNAL.reading(replace(old, reference=dict.fromkeys(old.reference, empty))) is None
    assert SIGNAL.facts(replace(old, reference=dict.fromkeys(old.reference, empty)), {}) is None
    few = sorted(old.reference)[:4]
    assert SIGNAL.reading(replace(old, settled=frozenset(few))) is None


def test_cells_hold_every_value_and_have_a_name() -> None:
    assert number_cells(np.array([-99.0, -4, 0, 4, 99])).tolist() == [0, 0, 32, 64, 64]
    assert position_cells(np.array([np.nan, -3, 0, 1, 2, 1e12])).tolist() == [-1, 0, 0, 5, 8, 63]
    assert value_cells(np.array([0, 1, 4, 5, 17, 18, 900]), 4).tolist() == [0, 1, 1, 2, 14, 15, 15]
    for each in PARTITIONS:
        first = STARTS[each.name]
        names = [
            cell_name({}, each.name, (cell, cell), {FIRST: "noodles", FIRST + 1: "coffee"})
            for cell in range(first, first + each.size)
        ]
        assert all(names) and len(names) == each.size
    declared = declared_names(["brand", "shop"], ["weight"])
    assert declared == {"field_0": "brand", "field_1": "shop", "number_0": "weight"}
    first = STARTS["field_1"]
    assert cell_name(declared, "field_1", (first + 2, first + 2), {}) == "shop 3"
    assert STARTS["items"] + 1 == CELLS
    assert PAIRED + 1 == KINDS
