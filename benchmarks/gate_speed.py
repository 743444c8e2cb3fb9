"""Speed of the gate's paired bootstrap over many rows, beside a loop over scikit-learn's AUC."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.common import finish, options, table
from driftune.evaluation.bootstrap import paired_auc_difference

ROWS, USERS, RESAMPLES = 1_000_000, 50_000, 1000
LOOPED = 3


def main() -> None:
    """Run the benchmark, each way in a process of its own."""
    given = options(__doc__ or "").parse_args()
    looped = 1 if given.quick else LOOPED
    seconds, peak = alone(bootstrapped, RESAMPLES)
    loop, loop_peak = alone(scikit_learn_loop, looped)
    extrapolated = loop * RESAMPLES / looped
    size = f"{RESAMPLES:,} resamples, {ROWS:,} rows, {USERS:,} users"
    table(
        [size, "seconds", "peak GB"],
        [
            ["paired difference with its interval", f"{seconds:.1f}", f"{peak:.2f}"],
            [f"roc_auc_score, extrapolated from {looped}", f"{extrapolated:,.0f}",
             f"{loop_peak:.2f}"],
        ],
    )  # fmt: skip
    finish(
        {
            "benchmark": "gate_speed",
            "seconds": seconds,
            "peak_gb": peak,
            "sklearn_loop_seconds": extrapolated,
            "sklearn_loop_extrapolated_from": looped,
            "rows": ROWS,
            "users": USERS,
            "resamples": RESAMPLES,
        }
    )


def alone(way: Callable[[int], tuple[float, float]], resamples: int) -> tuple[float, float]:
    """Seconds, and the peak memory in GB, of one way in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(way, resamples).result()


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, two models' scores of correlation 0.95, and users of unequal activity."""
    random = np.random.default_rng(0)
    users = (USERS * random.random(ROWS) ** 1.5).astype(np.int64)
    signal = random.normal(0, 1, ROWS)
    labels = (random.random(ROWS) < 1 / (1 + np.exp(1 - signal))).astype(np.int8)
    champion, challenger = (signal + random.normal(0, 0.23, ROWS) for _ in range(2))
    return labels, champion, challenger, users


def bootstrapped(resamples: int) -> tuple[float, float]:
    """The gate's way."""
    data = drawn()
    started = time.perf_counter()
    paired_auc_difference(*data, resamples=resamples, confidence=0.95, seed=1)
    return time.perf_counter() - started, peak_gb()


def scikit_learn_loop(resamples: int) -> tuple[float, float]:
    """Users drawn with replacement, their rows weighted, both models' ``roc_auc_score``."""
    from sklearn.metrics import roc_auc_score

    labels, champion, challenger, users = drawn()
    random = np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(resamples):
        drawn_users = random.integers(USERS, size=USERS)
        weights = np.bincount(drawn_users, minlength=USERS)[users]
        for scores in (champion, challenger):
            roc_auc_score(labels, scores, sample_weight=weights)
    return time.perf_counter() - started, peak_gb()


def peak_gb() -> float:
    """The process's peak memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
