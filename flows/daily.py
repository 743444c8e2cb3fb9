"""The day: fetch, validate, lake, champions checked, drift per domain, adapt, report."""

import logging
from datetime import date, datetime, timedelta
from typing import Any

from prefect import State, flow, unmapped
from prefect.futures import PrefectFutureList
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from driftune.config import Config
from driftune.drift.measure import Measured
from driftune.logs.ingest import Ingested
from driftune.logs.scratch import scratch
from driftune.params import load_config
from driftune.registry.ledger import Ledger
from driftune.reports.summary import day_line, day_rows
from flows.adapt import adapt
from tasks import adaptation, days, drift, guard, reporting

log = logging.getLogger("driftune")


@flow(name="daily", flow_run_name="daily {day}", task_runner=ThreadPoolTaskRunner(max_workers=4))
def daily(day: date | None = None, config: str = "params.yaml") -> dict[str, Any]:
    """Run one day's loop; without ``day`` the last full day in the configured zone.

    Then days shortly before it that have arrived late come first, each a run of its own; one that
    fails is named under ``failed`` and does not stop the others. The same day with the same
    content again changes nothing.
    """
    settings = load_config(config)
    chosen = day or datetime.now(settings.zone).date() - timedelta(days=1)
    days.prepare(settings)
    failed = {} if day else catch_up(settings, chosen)
    quality = None
    looks: dict[str, State[str]] = {}
    try:
        ingested = ingest_day(settings, chosen)
        quality = ingested.quality
        # First: a champion that changes is the one that the day's drift is measured against.
        looks = judge_waiting(settings, chosen)
        # Before drift, so that it is judged against who really serves.
        for rolled_back in guard.check(settings, chosen):
            guard.announce(settings, rolled_back)
        measured = detect_drift(settings, chosen)
        ended = [act(settings, decision) for decision in drift.open_decisions(settings, chosen)]
    finally:
        reporting.note(drift.write_pages(settings, chosen, return_state=True))
        # A fault of the report neither hides an error of the day nor fails a day that went well.
        reporting.note(reporting.write_reports(settings, chosen, list(looks), return_state=True))
        reporting.note(reporting.publish(settings, chosen, quality, return_state=True))
    # One domain's failure has stopped no other; now it fails the day.
    measured.result()
    for state in [*looks.values(), *ended]:
        state.result()
    with Ledger(settings) as ledger:
        rows = day_rows(ledger, chosen)
    log.info("%s", day_line(chosen, ingested.quality, rows))
    return {
        "day": chosen.isoformat(),
        "changed": ingested.changed,
        "domains": rows,
        "judged_again": {decision: state.result() for decision, state in looks.items()},
        "failed": failed,
    }


def judge_waiting(settings: Config, day: date) -> dict[str, State[str]]:
    """Judge the challengers that wait by the rows of the day, too; whatever the trigger."""
    return {
        decision: adaptation.judge_again(settings, decision, day, return_state=True)
        for decision in adaptation.challengers_due(settings, day)
    }


def detect_drift(settings: Config, day: date) -> PrefectFutureList[Measured]:
    """Measure every domain, and decide for those that could be measured."""
    windows = drift.draw_windows(settings, day)
    measured = drift.measure_domain.map(unmapped(settings), windows)
    measured.wait()
    usable = [future.result() for future in measured if future.state.is_completed()]
    if usable:
        # Quoted: Prefect would look into every array for futures to wait for.
        drift.decide_day(settings, quote(windows), quote(usable))
    return measured


def catch_up(settings: Config, day: date) -> dict[str, str]:
    """Run the late days before ``day``; returns the error of each that failed."""
    failed = {}
    for late in days.late_days(settings, day):
        try:
            daily(late, str(settings.source_file))
        except Exception as error:
            log.error("%s (late): %s", late, error)
            failed[late.isoformat()] = str(error)
    return failed


def act(settings: Config, decision_id: str) -> State[Any]:
    """Adapt for a drift decision, or wake up the deployment that does."""
    if settings.trigger == "event":
        return drift.alert(settings, decision_id, return_state=True)
    return adapt(decision_id, str(settings.source_file), return_state=True)


def ingest_day(settings: Config, day: date) -> Ingested:
    """The day's files into the lake, each step a task."""
    with scratch(settings, day) as folder:
        fetched = days.fetch_day(settings, day, folder)
        held = days.held_already(settings, fetched)
        if held is not None:
            return held
        staged = days.stage_day(settings, fetched, folder)
        return days.commit_day(settings, staged, days.validate_day(settings, staged))
