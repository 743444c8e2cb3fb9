"""Replay: the daily loop over past days, in order."""

import logging
from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from driftune.config.loading import load_config
from driftune.errors import ConfigError, DriftuneError
from driftune.observe.run import observed
from driftune.progress import report
from flows.daily import daily

log = logging.getLogger("driftune")


@flow(name="replay", flow_run_name="replay {first} to {last}")
def replay(first: date, last: date, config: str = "params.yaml") -> dict[str, Any]:
    """Run every day from ``first`` to ``last``; a day that fails is named and does not stop it."""
    if last < first:
        raise ConfigError(f"replay: --to {last} lies before --from {first}")
    with observed(load_config(config), "replay", run=flow_run.name):
        return run_days(first, last, config)


def run_days(first: date, last: date, config: str) -> dict[str, Any]:
    """The daily loop over the days, in order."""
    results, failed = [], {}
    total = (last - first).days + 1
    for number in range(total):
        day = first + timedelta(days=number)
        report("replay", number, total)
        try:
            results.append(daily(day, config))
        except DriftuneError as error:
            log.error("%s", error)
            failed[day.isoformat()] = str(error)
        except Exception as error:
            log.exception("%s failed", day)
            failed[day.isoformat()] = f"{type(error).__name__}: {error}"
    report("replay", total, total)
    return {"days": results, "failed": failed}
