"""Evidently's pages of decisions, and the series of its workspace (``evidently ui``)."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.evidently_page import frame_text, page_text
from driftune.drift.evidently_report import compare
from driftune.drift.signals import counted_signals
from driftune.drift.windows import (
    DomainWindow,
    category_names,
    lacking_roles,
    read_windows,
    windows_path,
)
from driftune.errors import LedgerError
from driftune.io import read_json, write_json, write_text
from driftune.registry.decision_queries import decisions_of_day
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.records.states import QUIET


def write_pages(config: Config, ledger: Ledger, day: date) -> int:
    """Write the Evidently pages of the day that ``drift.html`` wants, and drop those that are old.

    Returns how many were written.
    """
    workspace, wanted, written = Workspace(config), config.drift.html, 0
    last = {row.domain_key: row for row in decisions_of_day(ledger, day)}
    for row in last.values():
        if wanted == "never" or not _measured(row):
            continue
        alert = row.state not in QUIET
        page = workspace.drift_page(day, row.domain_key)
        # Without the other one it is of a release that put Evidently's into the site itself.
        both = page.exists() and workspace.evidently_page(day, row.domain_key).exists()
        fresh = both and page.stat().st_mtime >= row.decided_at
        if (alert or wanted == "all") and not fresh:
            write_drift_page(config, ledger, row.id)
            written += 1
    oldest = (day - timedelta(days=config.drift.keep_pages_days)).isoformat()
    for folder in workspace.drift_pages.glob("????-??-??"):
        if folder.name < oldest:
            for page in folder.glob("*.html"):
                page.unlink(missing_ok=True)
            folder.rmdir()
    return written


def write_drift_page(config: Config, ledger: Ledger, decision_id: str) -> None:
    """Write Evidently's page of a past decision, from the windows kept then, and its frame.

    Raises:
        LedgerError: when there is no such decision, a newer one of its domain and day has taken
            the place of its windows, or there is nothing in them to compare.
    """
    row = ledger.decision(decision_id)
    snapshot = _compared(config, ledger, row)
    workspace, day = Workspace(config), date.fromisoformat(row.day)
    framed = workspace.evidently_page(day, row.domain_key)
    # About 4 MB.
    write_text(framed, page_text(snapshot))
    frame = frame_text(row.domain, row.domain_key, day, framed.name)
    write_text(workspace.drift_page(day, row.domain_key), frame)


def add_snapshots(config: Config, ledger: Ledger, day: date) -> int:
    """Add the day's comparisons to the Evidently workspace, one project per domain, once each.

    The snapshot of a decision that has been overtaken is taken out. Returns how many were added.
    """
    if not config.drift.snapshots:
        return 0
    from evidently.ui.workspace import Workspace as Series

    workspace, added = Workspace(config), 0
    series = Series.create(str(workspace.evidently))
    projects = {project.name: project for project in series.list_projects()}
    for row in {row.domain_key: row for row in decisions_of_day(ledger, day)}.values():
        mark = workspace.snapshot(day, row.domain_key)
        before = read_json(mark) if mark.exists() else {}
        if not _measured(row) or before.get("decision") == row.id:
            continue
        if row.domain not in projects:
            projects[row.domain] = _project(series, row.domain, lacking_roles(config))
        project = projects[row.domain]
        ref = series.add_run(project.id, _compared(config, ledger, row), name=row.id)
        write_json(mark, {"decision": row.id, "snapshot": str(ref.id)})
        if before:
            series.delete_run(project.id, before["snapshot"])
        added += 1
    return added


def _project(series: Any, domain: str, lacking: Collection[str]) -> Any:
    """A new project whose dashboard draws every counted signal over time."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    project = series.create_project(domain, description="Drift of a domain, day by day")
    for name, signal in counted_signals(lacking).items():
        metric = PanelMetric(
            metric="ValueDrift", metric_labels={"column": name}, legend=signal.unit
        )
        project.dashboard.add_panel(line_plot_panel(title=signal.label, values=[metric]))
    return project


def _measured(row: Decision) -> bool:
    return row.scores.signals is not None


def _compared(config: Config, ledger: Ledger, row: Decision) -> Any:
    day = date.fromisoformat(row.day)
    same = [other for other in decisions_of_day(ledger, day) if other.domain_key == row.domain_key]
    newer = any(other.decided_at > row.decided_at for other in same)
    if newer or not windows_path(config, day).exists():
        raise LedgerError(f"{row.id}: its windows are no longer kept")
    window = DomainWindow.of_decision(row)
    windows = read_windows(config, window)
    if windows is None:
        raise LedgerError(f"{row.id}: its windows hold nothing to compare")
    at = datetime.combine(day, time(12), tzinfo=config.zone)
    return compare(windows, category_names(config, day), config.drift.sample_rows, at)
