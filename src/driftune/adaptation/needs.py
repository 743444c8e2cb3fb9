"""What promotions need in each domain: rows and days, by the traffic of the lake's latest days."""

import math
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, NamedTuple

from driftune.config import Config
from driftune.errors import ConfigError, LakeError
from driftune.evaluation.power import AUC, POWER, Passing, passing, rows_needed
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake
from driftune.registry.decision_queries import judged_metrics
from driftune.registry.ledger import Ledger

DAYS = 7


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


class Traffic(NamedTuple):
    """A domain's rows, positives among them, and users: means of a day."""

    key: str
    domain: str
    rows_a_day: float
    rate: float
    users_a_day: float
    effective_users_a_day: float


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
        ConfigError: by ``gate.rule: expected_gain``, which asks for no number of rows.
        LakeError: when the lake holds no day.
    """
    gate = config.gate
    if gate.rule != "interval":
        raise ConfigError(
            f"{config.source_file}: gate.rule = '{gate.rule}': by it a promotion needs no "
            "number of rows, but a gain that is to be expected; gate.rule: interval has one"
        )
    known = _champion_aucs(ledger, gate.metric)
    days, traffic = _traffic(config, min_rows)
    needs = [
        _need(config, domain, known.get(domain.key), gain, correlation, together)
        for domain in traffic
    ]
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


def _need(
    config: Config,
    traffic: Traffic,
    known_auc: float | None,
    gain: float,
    correlation: float,
    together: int,
) -> Need:
    """What a promotion needs in one domain."""
    gate, rate = config.gate, traffic.rate
    auc = AUC if known_auc is None else known_auc
    first = round(traffic.rows_a_day * config.adapter.gate_share)
    day_rows = round(traffic.rows_a_day)
    found = Passing(None, None, None, "all its labels are the same")
    if 0 < rate < 1:
        scarce = max(
            gate.min_rows,
            math.ceil(gate.min_positives / min(rate, 1 - rate)),
            math.ceil(gate.min_users * traffic.rows_a_day / traffic.effective_users_a_day),
        )

        def needed(confidence: float) -> int | None:
            return rows_needed(
                gain,
                rate,
                correlation,
                confidence=confidence,
                min_effect=gate.min_effect,
                auc=auc,
            )

        found = passing(gate, first, day_rows, together, scarce, needed)
    return Need(
        **asdict(found),
        domain=traffic.domain,
        rows_a_day=traffic.rows_a_day,
        click_rate=rate,
        users_a_day=traffic.users_a_day,
        effective_users_a_day=traffic.effective_users_a_day,
        auc=auc,
        auc_known=known_auc is not None,
        first_rows=first,
        most_rows=first + (gate.looks - 1) * day_rows,
    )


def _traffic(config: Config, min_rows: int) -> tuple[list[date], list[Traffic]]:
    """The lake's latest days, and each domain's traffic in them, most rows first."""
    lake = Lake.of(config)
    days = lake.days[-DAYS:]
    if not days:
        raise LakeError(f"the lake {lake.store} holds no day yet; run driftune replay first")
    label = "click" if config.gate.metric == "ctr_auc" else 'click * "convert"'
    with connect_within(config, [lake.place]) as con:
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
    return days, [Traffic(*row) for row in rows]


def _champion_aucs(ledger: Ledger, metric: str) -> dict[str, float]:
    """By domain key the AUC of who serves since the newest decision that a gate has judged."""
    found = {}
    for key, state, champion, challenger in judged_metrics(ledger, metric):
        auc = challenger if state == "promoted" else champion
        if auc is not None and 0.5 <= auc < 1:
            found[key] = auc
    return found
