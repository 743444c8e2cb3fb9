"""Drawn windows without a lake: profiles of a domain whose truth is known."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from driftune.drift.cells import FIRST, LOGITS, SIZES, logit_cells, price_cells
from driftune.drift.compare import Windows
from driftune.drift.partitions import Dealt, position_cells
from driftune.drift.profiles import Profile

START = date(2026, 3, 2)
NAMES = {FIRST: "noodles", FIRST + 1: "coffee", FIRST + 2: "salads", FIRST + 3: "burgers"}
RATES = (0.4, 0.3, 0.2, 0.1)
MIX = (0.4, 0.3, 0.2, 0.1)


def profile(
    rng: np.random.Generator,
    rows: int = 4000,
    rates: Sequence[float] = RATES,
    mix: Sequence[float] = MIX,
    noise: float = 0.0,
) -> Profile:
    """A day's window; the champion predicts ``RATES``, ``noise`` is how days differ (logits)."""
    category = rng.choice(4, rows, p=np.asarray(mix) / np.sum(mix))
    logits = np.log(np.asarray(rates) / (1 - np.asarray(rates))) + noise * rng.normal(size=4)
    click = rng.random(rows) < (1 / (1 + np.exp(-logits)))[category]
    predicted = np.asarray(RATES)[category]
    spread = 1 / (1 + np.exp(-np.log(predicted / (1 - predicted)) - 0.3 * rng.normal(size=rows)))
    parts = {part: np.zeros(size) for part, size in SIZES.items()}

    def count(part: str, cells: np.ndarray, weights: np.ndarray | None = None) -> None:
        parts[part] = np.bincount(cells, weights, minlength=SIZES[part]).astype(float)

    count("rows", click.astype(int))
    count("shown", FIRST + category)
    count("clicked", FIRST + category[click])
    count("expected", FIRST + category, predicted)
    count("information", FIRST + category, predicted * (1 - predicted))
    price = price_cells(rng.gamma(4, 3, rows))
    count("price_shown", price)
    count("price_clicked", price[click])
    hour = rng.integers(0, 24, rows)
    count("hour", hour)
    count("novelty", (rng.random(rows) < 0.1).astype(int))
    count("taste", rng.integers(0, 16, rows)[click])
    for part in ("ranking", "ranking_unseen"):
        count(part, click * LOGITS + logit_cells(spread))
    # Drawn apart, so that all else is what it was before rows were dealt.
    other = np.random.default_rng([rows, int(click.sum())])
    cells = {"price": price, "hour": hour, "position": position_cells(other.integers(1, 9, rows))}
    dealt = Dealt(
        cells, other.integers(0, rows // 8 + 1, rows), other.integers(0, 99, rows), category
    )
    counted = dealt.count(np.zeros(rows, dtype=int), 1, click.astype(float), predicted)
    return Profile(parts | {part: values[0] for part, values in counted.items()})


def windows(
    rng: np.random.Generator,
    current: Profile | None = None,
    days: int = 14,
    key: str = "home",
    rows: int = 4000,
    noise: float = 0.0,
) -> Windows:
    """A domain's day (like the others by default) after some reference days."""
    reference = {START + timedelta(n): profile(rng, rows=rows, noise=noise) for n in range(days)}
    return Windows(
        key=key,
        day=START + timedelta(days),
        current=current or profile(rng, rows=rows, noise=noise),
        reference=reference,
        settled=frozenset(reference),
        weekday_days=99,
        top_categories=12,
        min_rows=500,
        seed=7,
    )
