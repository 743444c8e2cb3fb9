"""Lists of impressions as matrices: all lists of one length together, so that no list is looped."""

from collections.abc import Iterator

import numpy as np


def by_length(lists: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of all lists of one length as a matrix (lists, length), shortest first.

    ``lists`` (n,) are list ids as in ``Rows.request``; rows without a list (negative ids) are left
    out. Lists come by id, and the rows of a list in the order in which they are given.
    """
    given = np.flatnonzero(lists >= 0)
    rows = given[np.argsort(lists[given], kind="stable")]
    _, starts, sizes = np.unique(lists[rows], return_index=True, return_counts=True)
    for length in np.unique(sizes):
        yield rows[starts[sizes == length][:, None] + np.arange(length)]
