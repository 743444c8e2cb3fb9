"""How many gate rows a promotion needs: power of the paired AUC test before any challenger exists.

The standard error of a paired difference is foreseen for scores that are normal within each class
(the binormal model: C. E. Metz, P.-L. Wang and H. B. Kronman, Information Processing in Medical
Imaging (1984)), from the AUC, the rate of positives and the correlation of the scores.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import ndtri, owens_t

from driftune.config.gate import Gate
from driftune.evaluation.looks import GROWTH, Look, plan, spend

POWER = 0.8
# Of a champion that no gate has measured yet.
AUC = 0.7
# Rows of one user resemble each other: benchmarks.gate_power has this much more variance.
DESIGN = 1.1


@dataclass(frozen=True)
class Passing:
    """At which of a challenger's days it is promoted, with the power that is asked for.

    ``gate_rows``: needed for an interval of ``confidence``, that of the look on day ``days``
    (from 1) or, where no day has enough rows, of the last one; ``never`` says then why not.
    """

    gate_rows: int | None
    confidence: float | None
    days: int | None
    never: str | None = None


def rows_needed(
    gain: float,
    click_rate: float,
    correlation: float,
    *,
    confidence: float,
    power: float = POWER,
    min_effect: float = 0.0,
    auc: float = AUC,
    design: float = DESIGN,
) -> int | None:
    """Rows at which a true ``gain`` passes with ``power``; None when it never does.

    The interval must lie above 0 and the estimate reach ``min_effect``.

    Args:
        gain: true AUC difference.
        click_rate: share of positives, in (0, 1).
        correlation: of both models' scores, in [0, 1).
        confidence: of the gate's interval.
        power: chance of passing, in (0, 1).
        min_effect: the smallest estimate that counts.
        auc: about what both models reach.
        design: how much larger the variance is than with rows that are independent.
    """
    spare = gain - min_effect
    if spare <= 0 or gain <= 0 or not 0 < click_rate < 1:
        return None
    target = float(ndtri(power))
    reach = float(ndtri((1 + confidence) / 2))
    largest = gain / (reach + target)
    if target > 0:
        largest = min(largest, spare / target)
    return math.ceil(row_variance(auc, click_rate, correlation) * design / largest**2)


def passing(
    policy: Gate,
    first_rows: int,
    day_rows: int,
    together: int,
    scarce: int,
    needed: Callable[[float], int | None],
) -> Passing:
    """The first look that promotes with the power asked for, each look at the confidence it has.

    Those before it are taken to have been judged, and to have spent their error; that one of them
    may have promoted or rejected already is left out: the two about outweigh each other.

    Args:
        policy: the gate's.
        first_rows: of the first look.
        day_rows: that each later one adds.
        together: decisions of a day, which share the error (``gate.correction``).
        scarce: with fewer rows a look cannot be judged.
        needed: rows at a confidence; None where none suffice.
    """
    planned = plan(policy, first_rows, day_rows, together)
    confidence = 1 - planned["error"]
    looks: list[Look] = []
    for number in range(policy.looks):
        rows = first_rows + number * day_rows
        look: Look = {"rows": rows, "confidence": None, "spent": 0.0}
        before = max((earlier["rows"] for earlier in looks), default=0)
        if rows >= max(scarce, GROWTH * before):
            confidence, spent, last = spend(policy, planned, looks, rows)
            wanted = needed(confidence)
            if wanted is not None and rows >= wanted:
                return Passing(max(wanted, scarce), confidence, number + 1)
            if last or not policy.wait:
                break
            look = {"rows": rows, "confidence": confidence, "spent": spent}
        looks.append(look)
    wanted = needed(confidence)
    if wanted is None:
        return Passing(None, confidence, None, "the gain is not above gate.min_effect")
    days = number + 1
    bring = f"{days} day{'s bring' if days > 1 else ' brings'} {rows:,}"
    return Passing(max(wanted, scarce), confidence, None, bring)


def row_variance(auc: float, rate: float, correlation: float) -> float:
    """Variance of a paired AUC difference times its rows, for many independent rows."""
    height = float(ndtri(auc))
    # Scores of unit variance in each class, √2 · height apart; part of what all rows have in
    # common they owe to the classes.
    between = rate * (1 - rate) * 2 * height**2
    within = correlation * (1 + between) - between

    def outside(half: float) -> float:
        """Φ(height) less the chance that two normals of this correlation stay below height."""
        return 2 * float(owens_t(height, math.sqrt((1 - half) / (1 + half))))

    return 2 * (outside(within / 2) - outside(0.5)) * (1 / rate + 1 / (1 - rate))
