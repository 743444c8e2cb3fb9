"""A day page's view: quality verdict, checks, rejected rows, counts and decisions per domain."""

import math
from datetime import date
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.io import finite
from driftune.lake.clock import clock_of
from driftune.quality.parts import CheckRecord, Rejection
from driftune.quality.record import DayQuality
from driftune.registry.decision_queries import Decided
from driftune.registry.rows import RunRecord
from driftune.reports.docs_page import docs_path
from driftune.reports.history import DayEntry, History
from driftune.reports.left_out import LeftOut, left_out
from driftune.reports.links import champion_text, decision_href, domain_href
from driftune.reports.negatives import drawn_meaning
from driftune.reports.releases import Chip, ReleaseView, releases_view
from driftune.reports.states import (
    ALERT,
    QualityView,
    domain_quality,
    heat_step,
    score_text,
    state_view,
    verdict_view,
)

REJECTIONS = 50
SEVERITIES = ("critical", "warning", "info")
ROOT = "../"
# Of a normal 95% interval, in standard errors.
REACH = 1.96
# How a check's outcome is shown, by its severity where it is broken.
PASSED: Chip = {"style": "v-ok", "mark": "✓", "label": "pass"}
BROKEN: dict[str, Chip] = {
    "critical": {"style": "v-refused", "mark": "✕", "label": "critical"},
    "warning": {"style": "v-warning", "mark": "!", "label": "warning"},
    "info": {"style": "v-none", "mark": "i", "label": "info"},
}
CHECKED = {"worse": "worse", "holds": "not worse", "insufficient": "too few to tell"}


class CheckView(TypedDict):
    """A rule's outcome on the day, with the figure that it looked at."""

    success: bool
    chip: Chip
    severity: str
    sentence: str
    rule: str
    figure: str


class HourView(TypedDict):
    """An hour of the day, and whether it has impressions."""

    hour: int
    covered: bool


class DayQualityView(TypedDict):
    """A delivery's quality: its rows, checks and rejected rows, with a few of those."""

    rows: int
    accepted: int
    rejected: int
    rejected_share: float | None
    drawn: int
    drawn_meaning: str | None
    left_out: list[LeftOut]
    checks: list[CheckView]
    broken: int
    hours: list[HourView]
    hours_covered: int
    rejections: list[Rejection]
    rejections_left: int
    example_names: list[str]
    examples: list[list[str | None]]


class DecisionCell(TypedDict):
    """A domain's decision; ``href`` where it has a page of its own."""

    href: str | None
    state: dict[str, str]
    step: str
    score: str
    gain: float | None
    alert: dict[str, str] | None


class DomainRow(TypedDict):
    """A domain's counts and decision."""

    domain: str
    key: str
    href: str | None
    quality: QualityView | None
    rows: int | None
    rejected: int | None
    clicks: int | None
    click_rate: float | None
    conversions: int | None
    decision: DecisionCell | None


class ChampionCheck(TypedDict):
    """A champion's AUC less another version's, with the ends of a 95% interval."""

    domain: str
    champion: str
    against: str
    rows: int
    estimate: float | None
    ends: tuple[float, float] | None
    pooled: float | None
    pooled_ends: tuple[float, float] | None
    verdict: str
    rule: str
    restored: str | None
    as_of: str | None


class StationView(TypedDict):
    """A station's seconds, and their share of the longest's."""

    name: str
    seconds: float
    share: float


class RunView(TypedDict):
    """The run that took the day in; ``started``: seconds since 1970."""

    started: float
    failed: bool
    seconds: float
    stations: list[StationView]


class TakenBack(TypedDict):
    """A rollback that rests on the labels of an earlier ``day``."""

    domain: str
    champion: str
    restored: str
    day: str


class Links(TypedDict):
    """A delivery's Data Docs and where its quarantine lies; None where there is none."""

    data_docs: str | None
    quarantine: str | None


class RedeliveryView(DayQualityView, Links):
    """A refused redelivery's quality."""


class DayView(Links):
    """The page of a day; addresses are relative to it. ``converts``: it has conversions."""

    root: str
    day: str
    reference: bool
    verdict: dict[str, str]
    before: str | None
    after: str | None
    quality: DayQualityView | None
    held: str
    domains: list[DomainRow]
    converts: bool
    champions: list[ChampionCheck]
    taken_back: list[TakenBack]
    releases: list[ReleaseView]
    run: RunView | None
    redelivery: RedeliveryView | None


def day_view(config: Config, history: History, entry: DayEntry) -> DayView:
    """The day's page as plain values."""
    quality, day = entry.quality, entry.day
    domains = _domains(history, entry)
    recorded = history.recorded
    place = history.place_of(day)
    return {
        "root": ROOT,
        "day": day.isoformat(),
        "reference": entry.reference,
        "verdict": verdict_view(entry.verdict),
        "before": recorded[place - 1].day.isoformat() if place else None,
        "after": recorded[place + 1].day.isoformat() if place + 1 < len(recorded) else None,
        "quality": None if quality is None else _quality_view(config, quality),
        "held": _held(entry),
        "domains": domains,
        "converts": any(row["conversions"] is not None for row in domains),
        "champions": _champions(history, entry),
        "taken_back": _taken_back(history, entry),
        "releases": releases_view(config, day),
        "run": _run(history.runs.get(entry.text)),
        "redelivery": None
        if entry.redelivery is None
        else {**_quality_view(config, entry.redelivery), **_links(config, day, redelivery=True)},
        **_links(config, day),
    }


def _links(config: Config, day: date, *, redelivery: bool = False) -> Links:
    workspace = Workspace(config)
    docs = workspace.docs_record(day, redelivery=redelivery)
    quarantine = workspace.quarantine(day, redelivery=redelivery)
    return {
        "data_docs": f"{ROOT}{docs_path(day, redelivery=redelivery)}" if docs.exists() else None,
        "quarantine": shown_path(config, quarantine) if quarantine.exists() else None,
    }


def _quality_view(config: Config, quality: DayQuality) -> DayQualityView:
    # When clocks are set forward, a day lacks an hour and is whole without it.
    shown = clock_of(config, quality.day).hours
    hours = set(quality.hours) & set(shown)
    failed = sorted(
        (check for check in quality.checks if not check["success"]),
        key=lambda check: SEVERITIES.index(check["severity"]),
    )
    passed = [check for check in quality.checks if check["success"]]
    names = list(dict.fromkeys(name for example in quality.examples for name in example))
    return {
        "rows": quality.rows,
        "accepted": quality.accepted,
        "rejected": quality.rejected,
        "rejected_share": quality.rejected / quality.rows if quality.rows else None,
        "drawn": quality.drawn,
        "drawn_meaning": drawn_meaning(quality),
        "left_out": left_out(quality),
        "checks": [_check(check) for check in failed + passed],
        "broken": len(failed),
        "hours": [{"hour": hour, "covered": hour in hours} for hour in shown],
        "hours_covered": len(hours),
        "rejections": finite(quality.rejections[:REJECTIONS]),
        "rejections_left": max(len(quality.rejections) - REJECTIONS, 0),
        "example_names": names,
        "examples": [[_text(example.get(name)) for name in names] for example in quality.examples],
    }


def _check(check: CheckRecord) -> CheckView:
    unexpected, observed = finite(check["unexpected"]), finite(check["observed"])
    figure = check.get("detail") or ""
    if not figure and unexpected is not None:
        figure = f"{unexpected:,} row{'' if unexpected == 1 else 's'}"
    elif not figure and observed is not None:
        figure = f"observed {observed:,.4g}"
        if float(observed).is_integer():
            figure = f"observed {observed:,.0f}"
    return {
        "success": bool(check["success"]),
        "chip": PASSED if check["success"] else BROKEN.get(check["severity"], BROKEN["warning"]),
        "severity": check["severity"],
        "sentence": check["sentence"],
        "rule": check["rule"],
        "figure": figure,
    }


def _held(entry: DayEntry) -> str:
    """What the lake holds of this day, in a sentence."""
    record = entry.record
    if record is None:
        return "The lake holds nothing of this day."
    text = f"The lake holds {record.rows:,} rows of this day (revision {record.revision})"
    if entry.verdict == "refused":
        return f"{text} from an earlier delivery; the newest delivery was refused."
    return f"{text}."


def _domains(history: History, entry: DayEntry) -> list[DomainRow]:
    """Counts of the quality record joined with the decisions, in the record's order."""
    counted = {} if entry.quality is None else {row["key"]: row for row in entry.quality.domains}
    decided = [key for key in history.domains if history.latest(key, entry.day) is not None]
    rows: list[DomainRow] = []
    for key in [*counted, *(key for key in decided if key not in counted)]:
        counts = counted.get(key)
        decision = history.latest(key, entry.day)
        rows.append(
            {
                "domain": counts["domain"] if counts else history.domains[key],
                "key": key,
                "href": domain_href(ROOT, key) if key in history.domains else None,
                "quality": domain_quality(counts),
                "rows": counts["rows"] if counts else None,
                "rejected": counts["rejected"] if counts else None,
                "clicks": counts["clicks"] if counts else None,
                "click_rate": counts["clicks"] / counts["rows"]
                if counts and counts["rows"]
                else None,
                "conversions": counts.get("conversions") if counts else None,
                "decision": None if decision is None else _decision(history, decision),
            }
        )
    return rows


def _champions(history: History, entry: DayEntry) -> list[ChampionCheck]:
    """The checks of champions on the day's rows, in its newest revision."""
    own = history.checks_by_day.get(entry.day.isoformat(), [])
    newest = max((check.revision for check in own), default=0)
    return [
        {
            "domain": check.domain,
            "champion": champion_text(check.version),
            "against": champion_text(check.against),
            "rows": check.rows,
            "estimate": finite(check.estimate),
            "ends": _ends(check.estimate, check.error),
            "pooled": finite(check.pooled),
            "pooled_ends": _ends(check.pooled, check.pooled_error),
            "verdict": CHECKED.get(check.verdict, check.verdict),
            "rule": check.rule,
            "restored": None if check.restored is None else champion_text(check.restored),
            "as_of": None if check.as_of == check.day else check.as_of,
        }
        for check in sorted(own, key=lambda check: (check.domain, check.against))
        if check.revision == newest
    ]


def _ends(estimate: float | None, error: float | None) -> tuple[float, float] | None:
    """The ends of a difference's interval; two areas differ by 1 at most."""
    if estimate is None or error is None or not math.isfinite(estimate + error):
        return None
    return max(estimate - REACH * error, -1.0), min(estimate + REACH * error, 1.0)


def _run(row: RunRecord | None) -> RunView | None:
    """The run that took the day in: seconds by station, each beside the longest."""
    if row is None or not row.stations:
        return None
    longest = max(seconds for _, seconds in row.stations) or 1.0
    return {
        "started": row.started_at,
        "failed": row.succeeded is False,
        "seconds": sum(seconds for _, seconds in row.stations),
        "stations": [
            {"name": name, "seconds": seconds, "share": seconds / longest}
            for name, seconds in row.stations
        ],
    }


def _taken_back(history: History, entry: DayEntry) -> list[TakenBack]:
    """Rollbacks of the day's run that rest on an earlier day's labels."""
    day = entry.day.isoformat()
    return [
        {
            "domain": check.domain,
            "champion": champion_text(check.version),
            "restored": champion_text(check.restored),
            "day": check.day,
        }
        for check in history.rollbacks
        if check.restored is not None and check.as_of == day != check.day
    ]


def _decision(history: History, row: Decided) -> DecisionCell:
    score = row.score
    return {
        "href": decision_href(ROOT, row) if (row.domain_key, row.day) in history.pages else None,
        "state": state_view(row.state),
        "step": heat_step(score),
        "score": score_text(score),
        "gain": row.gain,
        "alert": {**ALERT, "meaning": row.alert} if row.alert else None,
    }


def _text(value: float | str | None) -> str | None:
    return None if value is None else str(value)
