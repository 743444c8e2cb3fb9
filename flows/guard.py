"""Guard: champions on days whose labels have matured without a daily run to check them."""

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from driftune.config.loading import load_config
from driftune.intake.missed import last_full_day
from driftune.observe.run import observed
from tasks import guard as champions
from tasks import notices, reporting


@flow(name="guard", on_failure=[notices.tell_failed], on_crashed=[notices.tell_failed])
def guard(config: str = "params.yaml") -> list[str]:
    """Check champions, take worse ones back and announce it; returns a line per check.

    Daily runs check what has matured by their day. This is for the days on which there is none,
    as its files are late or were refused.
    """
    settings = load_config(config)
    with observed(settings, "guard", run=flow_run.name):
        due = last_full_day(settings, flow_run.scheduled_start_time)
        found = champions.check_late(settings, due)
        for rolled_back in champions.owed(settings):
            champions.announce(settings, rolled_back)
        for day in sorted({date.fromisoformat(check.as_of) for check in found}):
            reporting.note(reporting.write_reports(settings, day, [], return_state=True))
        notices.deliver(settings, return_state=True)
    return [f"{check.domain}, {check.day}: {check.verdict} ({check.rule})" for check in found]
