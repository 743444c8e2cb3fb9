"""How many gate rows a promotion needs: power of the paired AUC test before any challenger exists.

The standard error of a paired difference is foreseen for scores that are normal within each class
(the binormal model: C. E. Metz, P.-L. Wang and H. B. Kronman, Information Processing in Medical
Imaging (1984)), from the AUC, the rate of positives and the correlation of the scores.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from scipy.special import ndtri, owens_t

from driftune.config import Config
from driftune.errors import LakeError
from driftune.evaluation.looks import GROWTH, plan, spend
from driftune.evaluation.settings import Gate
from driftune.logs.duck import connect
from driftune.logs.lake import Lake
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions

DAYS = 7
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


@dataclass(frozen=True)
class Need(Passing):
    """What a domain's promotion needs; rates and sizes are those of the lake's latest days.

    ``auc`` is the champion's in the newest gate report, or assumed (not ``auc_known``);
    ``first_rows`` those of a challenger's first look, ``most_rows`` of its last one.
    """

    domain: str = ""
    rows_a_day: float = 0.0
    click_rate: float = 0.0
    users_a_day: float = 0.0
    effective_users_a_day: float = 0.0
    auc: float = AUC
    auc_known: bool = False
    first_rows: int = 0
    most_rows: int = 0


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
    looks: list[dict[str, Any]] = []
    for number in range(policy.looks):
        rows = first_rows + number * day_rows
        look = {"rows": rows, "confidence": None, "spent": 0.0}
        before = max((each["rows"] for each in looks), default=0)
        if rows >= max(scarce, GROWTH * before):
            confidence, spent, last = spend(policy, planned, looks, rows)
            wanted = needed(confidence)
            if wanted is not None and rows >= wanted:
                return Passing(max(wanted, scarce), confidence, number + 1)
            if last or not policy.wait:
                break
            look |= {"confidence": confidence, "spent": spent}
        looks.append(look)
    wanted = needed(confidence)
    if wanted is None:
        return Passing(None, confidence, None, "the gain is not above gate.min_effect")
    days = number + 1
    bring = f"{days} day{'s bring' if days > 1 else ' brings'} {rows:,}"
    return Passing(max(wanted, scarce), confidence, None, bring)


def gate_needs(
    config: Config,
    ledger: Ledger,
    gain: float,
    correlation: float,
    min_rows: int = 0,
    together: int = 1,
) -> dict[str, Any]:
    """What promotions need in each domain of the lake's latest days, most rows first.

    Args:
        config: the gate's limits, and the share of a day's rows that the first look gets.
        ledger: whose gate reports tell the champions' AUC.
        gain: true AUC difference.
        correlation: of champion's and challenger's scores.
        min_rows: domains with fewer rows a day are left out.
        together: decisions of one day, which share the gate's error under ``correction: day``.

    Raises:
        LakeError: when the lake holds no day.
    """
    gate = config.gate
    known = _champion_aucs(ledger, gate.metric)
    days, traffic = _traffic(config, min_rows)
    needs = []
    for key, domain, rows_a_day, rate, users, effective in traffic:
        auc = known.get(key, AUC)
        first, day_rows = round(rows_a_day * config.adapter.gate_share), round(rows_a_day)
        found = Passing(None, None, None, "all its labels are the same")
        if 0 < rate < 1:
            scarce = max(
                gate.min_rows,
                math.ceil(gate.min_positives / min(rate, 1 - rate)),
                math.ceil(gate.min_users * rows_a_day / effective),
            )

            def needed(confidence: float, rate: float = rate, auc: float = auc) -> int | None:
                return rows_needed(
                    gain,
                    rate,
                    correlation,
                    confidence=confidence,
                    min_effect=gate.min_effect,
                    auc=auc,
                )

            found = passing(gate, first, day_rows, together, scarce, needed)
        needs.append(
            Need(
                **asdict(found),
                domain=domain,
                rows_a_day=rows_a_day,
                click_rate=rate,
                users_a_day=users,
                effective_users_a_day=effective,
                auc=auc,
                auc_known=key in known,
                first_rows=first,
                most_rows=first + (gate.looks - 1) * day_rows,
            )
        )
    return {
        "first": days[0].isoformat(),
        "last": days[-1].isoformat(),
        "metric": gate.metric,
        "gain": gain,
        "power": POWER,
        "correlation": correlation,
        "error": 1 - gate.confidence,
        "decisions_a_day": together if gate.correction == "day" else 1,
        "looks": gate.looks,
        "min_effect": gate.min_effect,
        "domains": [asdict(need) for need in needs],
    }


def _traffic(config: Config, min_rows: int) -> tuple[list[date], list[tuple[Any, ...]]]:
    """The lake's latest days, and each domain's key, name and means of a day in them."""
    lake = Lake.of(config)
    days = lake.days[-DAYS:]
    if not days:
        raise LakeError(f"the lake {lake.store} holds no day yet; run driftune replay first")
    label = "click" if config.gate.metric == "ctr_auc" else 'click * "convert"'
    with connect() as con:
        rows = con.execute(
            f"""
            SELECT domain_key, any_value(domain), sum(n) / ?, sum(positives) / sum(n),
                   count(*) / ?, sum(n) ** 2 / sum(n ** 2) / ?
            FROM (SELECT domain_key, any_value(domain) AS domain, day, user_id,
                         count(*) AS n, sum({label}) AS positives
                  FROM {lake.relation(days)} GROUP BY domain_key, day, user_id)
            GROUP BY domain_key HAVING sum(n) / ? >= ? ORDER BY sum(n) DESC
            """,
            [len(days)] * 4 + [min_rows],
        ).fetchall()
    return days, rows


def _champion_aucs(ledger: Ledger, metric: str) -> dict[str, float]:
    """By domain key the AUC of who serves since the newest decision that a gate has judged."""
    sides = [decisions.c.gate[(side, metric)].as_float() for side in ("champion", "challenger")]
    query = sa.select(decisions.c.domain_key, decisions.c.state, *sides)
    found = {}
    for key, state, champion, challenger in ledger.read(
        query.where(decisions.c.gate.is_not(None)).order_by(decisions.c.day, decisions.c.updated_at)
    ):
        auc = challenger if state == "promoted" else champion
        if auc is not None and 0.5 <= auc < 1:
            found[key] = auc
    return found


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
