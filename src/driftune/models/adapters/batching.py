"""Dynamic batch-aware training: the batch of a domain follows its sample count.

B_d = clip(B_max · (n_d / n_max)^α, B_min, B_max), with square-root learning-rate scaling. The
source (Jiang et al., arXiv 2501.14268) names the idea; the formula is our choice.
"""

import math
from collections.abc import Iterator, Mapping


def batch_sizes(
    rows: Mapping[int, int], largest: int, smallest: int, exponent: float
) -> dict[int, int]:
    """The batch size of each domain, by its number of rows; never more than its rows."""
    most = max(rows.values())
    return {
        slot: min(count, max(min(smallest, largest), round(largest * (count / most) ** exponent)))
        for slot, count in rows.items()
    }


def learning_rate_factor(batch: int, largest: int) -> float:
    """Square-root scaling of the learning rate: √(B_d / B_max)."""
    return math.sqrt(batch / largest)


def interleave(batches: Mapping[int, int]) -> Iterator[list[int]]:
    """The domains of each step of an epoch, in which every domain passes all its batches once.

    There are as many steps as the longest domain has batches; the others' are spread evenly.
    """
    steps = max(batches.values(), default=0)
    for step in range(steps):
        yield [
            slot
            for slot, count in batches.items()
            if (step + 1) * count // steps > step * count // steps
        ]
