"""Decide again: a day of the lake under settings that changed, or on days delivered anew since."""

import logging
from datetime import date
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.observe.run import Run, observed
from driftune.registry.ledger import Ledger
from driftune.registry.redeciding import AskedBy
from driftune.reports.summary import day_line, day_rows
from flows.daily import act, detect_drift, report_day
from tasks import adaptation, drift, notices
from tasks.fanout import FanOut, fan_out

log = logging.getLogger("driftune")


@flow(
    name="decide_again",
    flow_run_name="decide {day} again",
    on_failure=[notices.tell_failed],
    on_crashed=[notices.tell_failed],
)
def decide_again(day: date, who: str, why: str = "", config: str = "params.yaml") -> dict[str, Any]:
    """Decide a day of the lake again, and adapt where needed; nothing is fetched.

    A decision gives way where it was made under other settings, or used a day that was delivered
    anew since; one whose challenger was promoted stays. Champions of the day's decisions that
    rest on such a day are taken back first. The same once more changes nothing.
    """
    settings = load_config(config)
    with (
        observed(settings, "decide-again", day=day, run=flow_run.name) as run,
        fan_out(settings) as spread,
    ):
        return run_again(settings, day, AskedBy(who, why), spread, run)


def run_again(
    settings: Config, day: date, again: AskedBy, spread: FanOut, run: Run
) -> dict[str, Any]:
    """Take back, decide, adapt, report; domains spread over the runner."""
    adapted: list[str] = []
    taken_back: list[str] = []
    ended: list[State[Any]] = []
    try:
        with run.station("drift"):
            taken_back = drift.take_back_stale(settings, day, again)
            detect_drift(settings, day, spread, again)
            waiting = drift.open_decisions(settings, day)
        adapted = [] if settings.trigger == "event" else [*waiting]
        with run.station("adapt"):
            ended = act(settings, waiting, spread)
    finally:
        with run.station("report"):
            report_day(settings, day, None, adapted)
    for state in ended:
        adaptation.require_no_errors(state.result())
    drift.require_no_errors(settings, day)
    with Ledger(settings) as ledger:
        rows = day_rows(ledger, day)
    log.info("%s", day_line(day, None, rows))
    return {"day": day.isoformat(), "taken_back": taken_back, "domains": rows}
