"""Which reference rows evaluate the backbone: each domain's newest ones."""

import numpy as np


def newest_of_each(domain_key: np.ndarray, share: float) -> np.ndarray:
    """Mark the newest ``share`` of each domain's rows, (n,) bool; rows come in order of time.

    The share is rounded up, so that each domain has a row to be judged by. But one row at least
    of each trains: a domain of a single row is not judged.
    """
    if not len(domain_key):
        return np.zeros(0, dtype=bool)
    _, domain, sizes = np.unique(domain_key, return_inverse=True, return_counts=True)
    held = np.minimum(sizes - (sizes * (1 - share)).astype(np.int64), sizes - 1)
    order = np.argsort(domain, kind="stable")
    ends = np.cumsum(sizes)
    from_end = np.empty(len(domain), dtype=np.int64)
    from_end[order] = ends[domain[order]] - np.arange(len(domain))
    marked: np.ndarray = from_end <= held[domain]
    return marked


def seen_until(domain_key: np.ndarray, time: np.ndarray) -> dict[str, int]:
    """By domain, the instant (microseconds since 1970) just after its newest row."""
    names, domain = np.unique(domain_key, return_inverse=True)
    newest = np.full(len(names), np.iinfo(np.int64).min)
    np.maximum.at(newest, domain, time)
    return {str(name): int(last) + 1 for name, last in zip(names, newest, strict=True)}
