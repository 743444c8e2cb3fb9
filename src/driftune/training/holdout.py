"""Which reference rows evaluate the backbone: each domain's newest ones."""

import numpy as np

from driftune.config import Config


def newest_of_each(domain_key: np.ndarray, time: np.ndarray, share: float) -> np.ndarray:
    """Mark the newest ``share`` of each domain's rows, (n,) bool; rows come in order of time.

    The share is rounded up, so that each domain has a row to be judged by. But one row at least
    of each trains: a domain of a single row is not judged. Rows of one time, such as those of a
    list, stay together: the cut is moved to the nearest change of ``time``, and a domain without
    any is not judged.
    """
    if not len(domain_key):
        return np.zeros(0, dtype=bool)
    _, domain, sizes = np.unique(domain_key, return_inverse=True, return_counts=True)
    held = np.minimum(sizes - (sizes * (1 - share)).astype(np.int64), sizes - 1)
    order = np.argsort(domain, kind="stable")
    ends = np.cumsum(sizes)
    owner, moment = domain[order], time[order]
    place = np.arange(len(domain)) - (ends - sizes)[owner]
    cut = np.where(held > 0, _nearest_change(owner, moment, place, sizes - held), sizes)
    marked = np.empty(len(domain), dtype=bool)
    marked[order] = place >= cut[owner]
    return marked


def _nearest_change(
    owner: np.ndarray, moment: np.ndarray, place: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """The place in each domain (domains,) at which the time changes, nearest to the wanted one.

    Rows (n,) by domain (``owner``) and time, each with its place in it; beyond all places where the
    time never changes. Of two that are as near the earlier one.
    """
    changes = 1 + np.flatnonzero((owner[1:] == owner[:-1]) & (moment[1:] != moment[:-1]))
    whose, at = owner[changes], place[changes]
    ordered = np.lexsort((at, np.abs(at - wanted[whose]), whose))
    found, first = np.unique(whose[ordered], return_index=True)
    nearest = np.full(len(wanted), len(owner))
    nearest[found] = at[ordered][first]
    return nearest


def seen_until(domain_key: np.ndarray, time: np.ndarray) -> dict[str, int]:
    """By domain, the instant (microseconds since 1970) just after its newest row."""
    names, domain = np.unique(domain_key, return_inverse=True)
    newest = np.full(len(names), np.iinfo(np.int64).min)
    np.maximum.at(newest, domain, time)
    return {str(name): int(last) + 1 for name, last in zip(names, newest, strict=True)}


def more_held_out(config: Config) -> str:
    """What to do in params.yaml for more rows that evaluate the backbone."""
    own = config.recommender
    if own is None or own.trained_until is None:
        return "name more reference days, or raise reference.holdout"
    return f"name more reference days from recommender.trained_until = {own.trained_until} on"
