"""Two models of known difference over a simulated world, and gate rows drawn from it by user."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from benchmarks.drift_shifts import expected_auc
from driftune.evaluation.gate import GateRows, Scores
from driftune.simulate.days import Simulator
from driftune.simulate.settings import SimulationConfig

CLICK_RATE = 0.3
SHARED_NOISE = 0.4
USER_PART = 0.3
NEW_USERS = 0.25
NEW_ITEMS = 0.15
SOLVED_ON = 400_000
START = date(2026, 5, 4)


@dataclass(frozen=True)
class Noise:
    """Sizes of both models' own errors, on the logit scale.

    ``added``: None, or what the challenger adds, for new users, to all of the champion's errors.
    """

    champion: float
    challenger: float
    added: float | None = None


@dataclass(frozen=True)
class Crowd:
    """Rows sorted by user, (n,) each: true logit and rates, errors of unit size, who and when.

    ``errors`` (3, n): what both models share, the champion's and the challenger's own.
    """

    user: np.ndarray
    logit: np.ndarray
    order: np.ndarray
    errors: np.ndarray
    new_user: np.ndarray
    new_item: np.ndarray
    hour: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Crowd":
        """Some of the rows."""
        fields = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__
                  if name != "errors"}  # fmt: skip
        return Crowd(**fields, errors=self.errors[:, rows])

    def scores(self, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
        """Both models' click logits."""
        seen = self.logit + SHARED_NOISE * self.errors[0]
        champion = seen + noise.champion * self.errors[1]
        challenger = seen + noise.challenger * self.errors[2]
        if noise.added is not None:
            perturbed = champion + noise.added * self.errors[2]
            challenger = np.where(self.new_user, perturbed, challenger)
        return champion, challenger

    def gain(self, noise: Noise, part: np.ndarray | None = None) -> float:
        """Challenger's AUC minus champion's in expectation over clicks, of all rows or a part."""
        rows = np.ones(len(self.logit), bool) if part is None else part
        before, after = (
            expected_auc(sigmoid(self.logit[rows]), each[rows]) for each in self.scores(noise)
        )
        return after - before

    def correlation(self, noise: Noise) -> float:
        """Of both models' click logits."""
        return float(np.corrcoef(*self.scores(noise))[0, 1])


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Probabilities."""
    return 1 / (1 + np.exp(-logit))


def crowds(rows: int, users: int, seed: int = 3) -> tuple[Crowd, Crowd]:
    """Two days of one domain: gate rows are drawn from the first, the second is fresh."""
    settings = SimulationConfig(
        seed=seed, start=START, days=2, rows_per_domain=int(rows * 1.13), users=users,
        scenes=("home",), regions=("north",),
    )  # fmt: skip
    simulator = Simulator.build(settings)
    random = np.random.default_rng(seed)
    of_user = random.normal(0, 1, (3, users))
    new = random.random(users) < NEW_USERS
    days = [_crowd(simulator, day, random, of_user, new) for day in settings.calendar]
    shift = _intercept(days[0].logit)
    first, second = (replace(each, logit=each.logit + shift) for each in days)
    return first, second


def _crowd(
    simulator: Simulator, day: date, random: np.random.Generator, of_user: np.ndarray,
    new: np.ndarray,
) -> Crowd:  # fmt: skip
    table, truth = simulator.draw_with_truth(day)
    codes = table.column("user_id").combine_chunks().indices.to_numpy()
    by_user = np.argsort(codes, kind="stable")
    user = codes[by_user]
    click = truth.column("click_probability").to_numpy().astype(np.float64)[by_user]
    time = table.column("event_time").to_numpy()[by_user]
    errors = np.sqrt(USER_PART) * of_user[:, user]
    errors += np.sqrt(1 - USER_PART) * random.normal(0, 1, errors.shape)
    return Crowd(
        user=user,
        logit=np.log(click / (1 - click)),
        order=truth.column("order_probability").to_numpy().astype(np.float64)[by_user],
        errors=errors,
        new_user=new[user],
        new_item=random.random(len(user)) < NEW_ITEMS,
        hour=(time - time.astype("datetime64[D]")).astype("timedelta64[h]").astype(int),
    )


def _intercept(logit: np.ndarray) -> float:
    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logit + middle).mean() < CLICK_RATE else (low, middle)
    return low


def solve(crowd: Crowd, gain: float, correlation: float) -> Noise:
    """Errors that give the wanted gain and correlation.

    Raises:
        ValueError: when models that similar cannot differ that much.
    """
    some = crowd.take(slice(0, SOLVED_ON))
    usual = (some.logit.var() + SHARED_NOISE**2) * (1 / correlation - 1)

    def noise(part: float) -> Noise:
        return Noise(np.sqrt(usual * (1 + part)), np.sqrt(usual * (1 - part)))

    if gain == 0:
        return noise(0.0)
    offset = some.gain(noise(0.0))
    low, high = -1.0, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if some.gain(noise(middle)) - offset < gain else (low, middle)
    if abs(low) > 0.99:
        raise ValueError(f"no gain of {gain:g} at a correlation of {correlation:g}")
    return noise(low)


def solve_slice(crowd: Crowd, harm: float, correlation: float) -> Noise:
    """A challenger that is better but for new users, for whom it adds errors worth ``harm``."""
    some = crowd.take(slice(0, SOLVED_ON))
    usual = np.sqrt((some.logit.var() + SHARED_NOISE**2) * (1 / correlation - 1))
    low, high = 0.0, 3.0
    for _ in range(14):
        middle = (low + high) / 2
        lost = -some.gain(Noise(usual, 0.0, middle), some.new_user)
        low, high = (middle, high) if lost < harm else (low, middle)
    return Noise(usual, 0.0, low)


def gate_cases(
    crowd: Crowd, noise: Noise, rows: int, decisions: int, seed: int
) -> Iterator[tuple[GateRows, Scores, Scores]]:
    """Decisions' rows, drawn by user without replacement, with fresh clicks and orders."""
    random = np.random.default_rng(seed)
    starts = np.flatnonzero(np.r_[True, crowd.user[1:] != crowd.user[:-1]])
    counts = np.diff(np.r_[starts, len(crowd.user)])
    for _ in range(decisions):
        users = random.choice(len(starts), int(1.3 * rows / counts.mean()) + 50, replace=False)
        users = users[: int(np.searchsorted(np.cumsum(counts[users]), rows)) + 1]
        sizes = counts[users]
        ends = np.cumsum(sizes)
        drawn = np.repeat(starts[users] - ends + sizes, sizes) + np.arange(ends[-1])
        some = crowd.take(drawn)
        click = random.random(len(drawn)) < sigmoid(some.logit)
        convert = click & (random.random(len(drawn)) < some.order)
        odds = np.log(some.order / (1 - some.order))
        pair = []
        for logit in some.scores(noise):
            p_click = sigmoid(logit)
            seen = sigmoid(odds + random.normal(0, 0.3, len(odds)))
            pair.append(Scores(p_click, p_click * seen))
        labels = click.astype(np.int8), convert.astype(np.int8)
        one, other = pair
        yield GateRows(some.user, *labels, _slices(some, np.repeat(sizes, sizes))), one, other


def _slices(some: Crowd, impressions: np.ndarray) -> Mapping[str, np.ndarray]:
    heavy = impressions > np.median(impressions)
    return {
        "new users": some.new_user,
        "known users": ~some.new_user,
        "new items": some.new_item,
        "known items": ~some.new_item,
        "heavy users": heavy,
        "light users": ~heavy,
        **{f"{first} to {first + 6} h": some.hour // 6 == first // 6 for first in (0, 6, 12, 18)},
    }
