"""The day: fetch, validate, lake, champions checked, drift per domain, adapt, report."""

import logging
import os
from datetime import date
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.utilities.annotations import quote

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.drift.measure import Measured, batches
from driftune.drift.windows import NAMED, DomainWindow
from driftune.intake.ingest import Ingested
from driftune.intake.missed import last_full_day
from driftune.intake.turns import turn
from driftune.lake.scratch import scratch
from driftune.observe.run import Run, observed
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from driftune.registry.redeciding import AskedBy
from driftune.reports.summary import day_line, day_rows
from tasks import adaptation, days, drift, guard, notices, reporting
from tasks.fanout import FanOut, fan_out

log = logging.getLogger("driftune")


def _run_name() -> str:
    day = flow_run.parameters.get("day")
    return f"daily {day or f'as of {flow_run.scheduled_start_time:%Y-%m-%d %H:%M %Z}'}"


@flow(
    name="daily",
    flow_run_name=_run_name,
    on_failure=[notices.tell_failed],
    on_crashed=[notices.tell_failed],
)
def daily(day: date | None = None, config: str = "params.yaml") -> dict[str, Any]:
    """Run one day's loop; without ``day`` the last full day when the run was due.

    Due, not started: runs that piled up while no worker was there take their own days. Before it
    come the days before that have arrived and that no run has finished, each a run of its own;
    one that fails is named under ``failed`` and does not stop the others. The same day with the
    same content again changes nothing.
    """
    settings = load_config(config)
    chosen = day or last_full_day(settings, flow_run.scheduled_start_time)
    with (
        observed(settings, "daily", day=chosen, run=flow_run.name) as run,
        fan_out(settings) as spread,
    ):
        return run_day(settings, chosen, spread, run, late=day is None)


def run_day(
    settings: Config, chosen: date, spread: FanOut, run: Run, *, late: bool
) -> dict[str, Any]:
    """The day, domains spread over the runner; ``late``: after the days that came late."""
    with run.station("prepare"):
        days.prepare(settings)
    failed = {}
    if late:
        with run.station("late days"):
            failed = catch_up(settings, chosen)
    quality = None
    looks: dict[str, State[str]] = {}
    adapted: list[str] = []
    try:
        ingested = ingest_day(settings, chosen, run)
        quality = ingested.quality
        with run.station("champions"):
            # First: a champion that changes is the one that the day's drift is measured against.
            looks = judge_waiting(settings, chosen)
            # Before drift, so that it is judged against who really serves.
            looked = guard.check(settings, chosen, return_state=True)
            for rolled_back in guard.owed(settings):
                guard.announce(settings, rolled_back)
        with run.station("drift"):
            detect_drift(settings, chosen, spread)
            waiting = drift.open_decisions(settings, chosen)
        adapted = [] if settings.trigger == "event" else [*waiting]
        with run.station("adapt"):
            ended = act(settings, waiting, spread)
    finally:
        run.note()
        with run.station("report"):
            report_day(settings, chosen, quality, [*looks, *adapted])
    # One domain's failure has stopped no other; now it fails the day.
    states: list[State[Any]] = [looked, *looks.values(), *ended]
    for state in states:
        adaptation.require_no_errors(state.result())
    drift.require_no_errors(settings, chosen)
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


def report_day(settings: Config, day: date, quality: DayQuality | None, touched: list[str]) -> None:
    """Pages, artifacts and messages of the day.

    A fault in them neither hides an error of the day nor fails a day that went well.
    """
    reporting.note(drift.write_pages(settings, day, return_state=True))
    reporting.note(reporting.write_reports(settings, day, touched, return_state=True))
    reporting.note(reporting.publish(settings, day, quality, return_state=True))
    notices.deliver(settings, return_state=True)


def judge_waiting(settings: Config, day: date) -> dict[str, State[str]]:
    """Judge the challengers that wait by the rows of the day, too; whatever the trigger."""
    return {
        decision: adaptation.judge_again(settings, decision, day, return_state=True)
        for decision in adaptation.challengers_due(settings, day)
    }


def detect_drift(settings: Config, day: date, spread: FanOut, again: AskedBy | None = None) -> None:
    """Measure every domain, and decide for all: what one's measurement fails with is its state.

    ``again``: decisions under other settings, or on days delivered anew since, give way.
    """
    windows = drift.draw_windows(settings, day, again=again is not None)
    if windows:
        alike = _with_equal_needs(settings, {each.key: each.domain for each in windows})
        keyed = {each.key: each for each in windows}
        some = [part for keys in alike for part in batches([keyed[key] for key in keys])]
        states = spread.each(drift.measure_domains, [_together(part) for part in some])
        found: dict[str, Measured | BaseException] = {}
        for part, state in zip(some, states, strict=True):
            ended = state.result(raise_on_failure=False)
            told = len(part) * [ended] if isinstance(ended, BaseException) else ended
            found |= {window.key: each for window, each in zip(part, told, strict=True)}
        measured = [found[window.key] for window in windows]
        # Quoted: Prefect would look into every array for futures to wait for.
        quoted = quote(windows), quote(measured)
        drift.decide_day(settings, *quoted, again)  # type: ignore[call-overload]  # its types know no quote


def _together(some: list[DomainWindow]) -> tuple[str, dict[str, Any]]:
    """What the task of domains that are measured together is given, and whose needs it has."""
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    name = f"{', '.join(window.key for window in some[:NAMED])}{more}"
    return some[0].domain, {"name": name, "some": quote(some)}


def catch_up(settings: Config, day: date) -> dict[str, str]:
    """Run the missed days before ``day``; returns the error of each that failed."""
    failed = {}
    for late in days.missed(settings, day):
        try:
            daily(late, str(settings.source_file))
        except Exception as error:
            log.error("%s (missed): %s", late, error)
            failed[late.isoformat()] = str(error)
    return failed


def act(settings: Config, waiting: dict[str, str], spread: FanOut) -> list[State[Any]]:
    """Adapt for the drift decisions (with their domains), or wake up the deployment that does."""
    if settings.trigger == "event":
        return [drift.alert(settings, decision, return_state=True) for decision in waiting]
    ended: list[State[Any]] = []
    for alike in _with_equal_needs(settings, waiting):
        workers = min(spread.workers(), len(alike))
        hands: list[list[list[str]]] = adaptation.deal_decisions(
            settings, alike, len(alike), workers
        )
        # A worker takes its groups one after the other: one's rows are let go before the next.
        for number in range(max(map(len, hands))):
            groups = [hand[number] for hand in hands if number < len(hand)]
            given = [_group(settings, waiting, group) for group in groups]
            ended += spread.each(adaptation.adapt_group, given, long=True)
    return ended


def _with_equal_needs(settings: Config, waiting: dict[str, str]) -> list[list[str]]:
    """The decisions by what their domains need on Ray: a group is one task, on one node."""
    if settings.runner.kind != "ray":
        return [[*waiting]] if waiting else []
    found: dict[str, list[str]] = {}
    for decision, domain in waiting.items():
        found.setdefault(repr(settings.runner.options(domain)), []).append(decision)
    return [*found.values()]


def _group(
    settings: Config, waiting: dict[str, str], group: list[str]
) -> tuple[str, dict[str, Any]]:
    """What a group's task is given; in this process its training has threads of its own."""
    shared = settings.runner.kind == "threads"
    threads = min(settings.runner.threads, os.cpu_count() or 1) if shared else 1
    domains = {each: waiting[each] for each in group}
    given = {"name": ", ".join(group), "domains": domains, "threads": threads}
    # Those of a group need the same of Ray, which knows them by name.
    of_ray = settings.runner.kind == "ray"
    return domains[group[0]] if of_ray else ", ".join(domains.values()), given


def ingest_day(settings: Config, day: date, run: Run) -> Ingested:
    """The day's files into the lake, each step a task."""
    with turn(settings, day), scratch(settings, day) as folder:
        with run.station("fetch"):
            fetched = days.fetch_day(settings, day, folder)
            held = days.held_already(settings, fetched)
        if held is not None:
            return held
        with run.station("stage"):
            staged = days.stage_day(settings, fetched, folder)
        with run.station("validate"):
            quality = days.validate_day(settings, staged)
        with run.station("commit"):
            return days.commit_day(settings, staged, quality)
