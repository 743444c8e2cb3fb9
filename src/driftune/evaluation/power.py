"""How many gate rows a promotion needs: power of the paired AUC test before any challenger exists.

The standard error of a paired difference is foreseen for scores that are normal within each class
(the binormal model: C. E. Metz, P.-L. Wang and H. B. Kronman, Information Processing in Medical
Imaging (1984)), from the AUC, the rate of positives and the correlation of the scores.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import ndtri, owens_t

from driftune.config import Config
from driftune.errors import LakeError
from driftune.logs.duck import connect
from driftune.logs.lake import Lake

DAYS = 7
POWER = 0.8
AUC = 0.7
# Rows of one user resemble each other: benchmarks.gate_power has this much more variance.
DESIGN = 1.1


@dataclass(frozen=True)
class Need:
    """What a domain's promotion needs; rates and sizes are those of the lake's latest days."""

    domain: str
    rows_a_day: float
    click_rate: float
    users_a_day: float
    effective_users_a_day: float
    gate_rows_a_day: float
    gate_rows: int | None
    days: float | None


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


def gate_needs(
    config: Config, gain: float, correlation: float, min_rows: int = 0
) -> dict[str, Any]:
    """What promotions need in each domain of the lake's latest days, most rows first.

    Args:
        config: the gate's limits, and the share of a day's rows that it gets.
        gain: true AUC difference.
        correlation: of champion's and challenger's scores.
        min_rows: domains with fewer rows a day are left out.

    Raises:
        LakeError: when the lake holds no day.
    """
    lake = Lake.of(config)
    days = lake.days[-DAYS:]
    if not days:
        raise LakeError(f"the lake {lake.path} holds no day yet; run driftune replay first")
    gate = config.gate
    label = "click" if gate.metric == "ctr_auc" else 'click * "convert"'
    with connect() as con:
        rows = con.execute(
            f"""
            SELECT any_value(domain), sum(n) / ?, sum(positives) / sum(n),
                   count(*) / ?, sum(n) ** 2 / sum(n ** 2) / ?
            FROM (SELECT domain_key, any_value(domain) AS domain, day, user_id,
                         count(*) AS n, sum({label}) AS positives
                  FROM {lake.relation(days)} GROUP BY domain_key, day, user_id)
            GROUP BY domain_key HAVING sum(n) / ? >= ? ORDER BY sum(n) DESC
            """,
            [len(days)] * 4 + [min_rows],
        ).fetchall()
    needs = []
    for domain, rows_a_day, rate, users, effective in rows:
        gate_rows = rows_a_day * config.adapter.gate_share
        wanted = rows_needed(
            gain, rate, correlation, confidence=gate.confidence, min_effect=gate.min_effect
        )
        if wanted is not None:
            wanted = max(
                wanted,
                gate.min_rows,
                math.ceil(gate.min_positives / min(rate, 1 - rate)),
                math.ceil(gate.min_users * rows_a_day / effective),
            )
        waits = None if wanted is None else wanted / gate_rows
        needs.append(Need(domain, rows_a_day, rate, users, effective, gate_rows, wanted, waits))
    return {
        "first": days[0].isoformat(),
        "last": days[-1].isoformat(),
        "metric": gate.metric,
        "gain": gain,
        "power": POWER,
        "correlation": correlation,
        "confidence": gate.confidence,
        "min_effect": gate.min_effect,
        "domains": [asdict(need) for need in needs],
    }


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
