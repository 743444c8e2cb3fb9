"""Metrics of a flow at its end, in Prometheus' text format: a file per flow, and a push gateway.

Domains are counted by state and never are labels: ten thousand domains would be as many series of
each metric. Who needs one domain looks at its page, or at the log lines that name it.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import replacing
from driftune.quality.record import read_quality
from driftune.redact import redact
from driftune.registry.counts import decisions_by_state, switches_by_action
from driftune.registry.days import newest_record
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.rows import DayRecord

log = logging.getLogger("driftune")

PUSH_SECONDS = 5
LAST_SUCCESS = "driftune_flow_last_success_timestamp_seconds"


def publish(
    config: Config, flow: str, started: float, stations: Mapping[str, float], succeeded: bool
) -> None:
    """Write a flow's metrics, and push them where ``observe.push_gateway`` says.

    A gateway that does not answer within ``PUSH_SECONDS`` is a warning.

    Args:
        started: when the flow began (seconds since 1970).
        stations: seconds by station.

    Raises:
        OSError: when the file cannot be written.
        LedgerError: when the ledger cannot be read.
    """
    if not config.observe.metrics and config.observe.push_gateway is None:
        return
    from prometheus_client import generate_latest, push_to_gateway

    target = Workspace(config).metrics / f"{flow}.prom"
    now = time.time()
    last = now if succeeded else _last_success(target)
    registry = _collected(config, flow, now - started, stations, succeeded, last)
    if config.observe.metrics:
        with replacing(target) as part:
            part.write_bytes(generate_latest(registry))
    gateway = config.observe.push_gateway
    if gateway is not None:
        try:
            push_to_gateway(
                gateway, "driftune", registry, grouping_key={"flow": flow}, timeout=PUSH_SECONDS
            )
        except (OSError, ValueError) as error:
            log.warning("observe.push_gateway: %s takes no metrics (%s)", redact(gateway), error)


@dataclass(frozen=True)
class Figure:
    """A gauge: ``values`` by the value of ``label``, or one under "" where it has none."""

    name: str
    text: str
    values: Mapping[str, float]
    label: str = ""


def _collected(
    config: Config,
    flow: str,
    seconds: float,
    stations: Mapping[str, float],
    succeeded: bool,
    last_success: float | None,
) -> Any:
    from prometheus_client import CollectorRegistry, Gauge

    figures = [
        Figure("driftune_flow_seconds", "Duration of the last run.", {"": seconds}),
        Figure("driftune_flow_success", "Whether the last run succeeded.", {"": float(succeeded)}),
        Figure("driftune_flow_end_timestamp_seconds", "End of the last run.", {"": time.time()}),
        Figure("driftune_flow_station_seconds", "Duration of a station.", stations, "station"),
    ]
    if last_success is not None:
        text = "End of the last run that succeeded."
        figures.append(Figure(LAST_SUCCESS, text, {"": last_success}))
    registry = CollectorRegistry()
    for figure in [*figures, *_of_the_ledger(config)]:
        given = {"flow": flow} if figure.name.startswith("driftune_flow") else {}
        names = [*given, *([figure.label] if figure.label else [])]
        gauge = Gauge(figure.name, figure.text, names, registry=registry)
        for key, value in figure.values.items():
            labels = given | ({figure.label: key} if figure.label else {})
            (gauge.labels(**labels) if labels else gauge).set(value)
    return registry


def _of_the_ledger(config: Config) -> list[Figure]:
    with Ledger(config) as ledger:
        states = decisions_by_state(ledger)
        actions = switches_by_action(ledger)
        found = [
            Figure("driftune_decisions", "Decisions by state.", states, "state"),
            Figure("driftune_switches", "Switches of champions by action.", actions, "action"),
            Figure("driftune_champions", "Domains by who serves them.", _served(ledger), "by"),
        ]
        newest = newest_record(ledger)
        return found if newest is None else found + _of_the_day(config, ledger, newest)


def _of_the_day(config: Config, ledger: Ledger, newest: DayRecord) -> list[Figure]:
    day = date.fromisoformat(newest.day)
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), config.zone).timestamp()
    rows = {"accepted": newest.rows, "rejected": newest.rejected}
    own = decisions_by_state(ledger, day)
    found = [
        Figure("driftune_day_end_timestamp_seconds", "End of the newest day.", {"": end}),
        Figure("driftune_day_rows", "Rows of the newest day.", rows, "verdict"),
        Figure("driftune_day_decisions", "Decisions of the newest day by state.", own, "state"),
    ]
    quality = read_quality(Workspace(config), day)
    if quality is not None:
        counted = Counter(str(domain.get("verdict", "ok")) for domain in quality.domains)
        verdicts = {name: counted[name] for name in ("ok", "warning", "refused")}
        text = "Domains of the newest day by quality."
        found.append(Figure("driftune_day_domains", text, verdicts, "verdict"))
    return found


def _served(ledger: Ledger) -> dict[str, float]:
    versions = [row.version for row in ledger.champions().values()]
    base = versions.count(BASE)
    return {"adapter": len(versions) - base, "base": base}


def _last_success(path: Path) -> float | None:
    """When the flow succeeded last, as its metrics told it; None when they did not."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
            if family.name == LAST_SUCCESS:
                return float(family.samples[0].value)
    except (OSError, ValueError, IndexError):
        pass
    return None
