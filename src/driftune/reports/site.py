"""The review site: static pages under the workspace, written only when they change."""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import replacing, write_text
from driftune.registry.decision_queries import Decided, decisions_by_id
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.reports.day_page import day_view
from driftune.reports.decision_page import decision_view
from driftune.reports.docs_page import docs_path, docs_view
from driftune.reports.domain_page import domain_view
from driftune.reports.drawn import Drawn
from driftune.reports.front import ROWS, front_view
from driftune.reports.history import History, load_history
from driftune.reports.links import decision_path
from driftune.reports.months import write_months
from driftune.reports.policies_page import policies_view
from driftune.reports.render import Renderer, View
from driftune.reports.scope import Scope
from driftune.serving.where import bundle_status
from driftune.training.base_record import base_problems

_PACKAGE = Path(__file__).parent
# Whole decisions in one query.
BATCH = 500


@dataclass(frozen=True)
class Page:
    """One page: where it lies in the site, its template and the plain values it shows."""

    path: str
    template: str
    view: View


def build_site(config: Config, ledger: Ledger, *, days: list[date] | None = None) -> Path:
    """Refresh the review site and return the path of its front page.

    A page whose values and templates are the same as last time is neither rendered nor written.
    Decisions that asked for nothing have pages for the ``PERIOD`` newest days; then the page of
    their day tells of them.

    Args:
        days: the days whose record or decisions changed; all by default. Pages that show nothing
            of them are left alone, unless they are missing or of another release, or a refresh
            that should have drawn them was killed.
    """
    home = Workspace(config).reports
    renderer = Renderer()
    release = _fingerprint()
    built = home / ".release"
    same_release = built.exists() and built.read_bytes() == release.encode()
    if not same_release:
        days = None
    _copy_assets(home / "assets")
    history = load_history(config, ledger, release)
    aged = _drop_aged(history, home)
    past, drawn = Drawn.read(home), Drawn.of(history)
    if past is None:
        days = None
    switched: set[str] = set()
    if days is not None and past is not None:
        switched = {row.domain_key for row in history.switches if row.id > past.switch}
        days = [*days, *drawn.days_since(past, history)]
        # Evidently's pages of so long ago have just been dropped.
        dropped = timedelta(days=config.drift.keep_pages_days + 1)
        days = [*days, *aged, *(day - dropped for day in days)]
    write_months(history, home, release, ROWS)
    for page in _pages(config, ledger, history, Scope.of(history, home, days, switched)):
        values = json.dumps([release, page.template, page.view], sort_keys=True, allow_nan=False)
        stamp = f"<!-- {hashlib.sha256(values.encode()).hexdigest()[:32]} -->"
        target = home / page.path
        if not _has_stamp(target, stamp):
            text = renderer.render(page.template, page.view)
            write_text(target, f"{text.rstrip()}\n{stamp}\n")
    drawn.write(home)
    if not same_release:
        write_text(built, release)
    return home / "index.html"


def _pages(config: Config, ledger: Ledger, history: History, scope: Scope) -> Iterator[Page]:
    for entry in history.recorded:
        path = f"day/{entry.day}.html"
        if scope.has_day(path, entry.day):
            yield Page(path, "day.html", day_view(config, history, entry))
            for redelivery in (False, True):
                docs = docs_view(config, entry.day, redelivery=redelivery)
                if docs is not None:
                    path = docs_path(entry.day, redelivery=redelivery)
                    yield Page(path, "data_docs.html", docs)
    for rows in _decisions(ledger, history, scope):
        path = decision_path(rows[-1])
        yield Page(path, "decision.html", decision_view(config, history, rows))
    for key in history.domains:
        path = f"domain/{key}.html"
        if scope.has_domain(path, key):
            yield Page(path, "domain.html", domain_view(history, key))
    policies = policies_view(config)
    if policies is not None:
        yield Page("policies.html", "policies.html", policies)
    # The front page comes last: what it links to is there.
    bundles = bundle_status(config, ledger)
    front = front_view(history, base_problems(config), bundles, compared=policies is not None)
    yield Page("index.html", "index.html", front)


def _decisions(ledger: Ledger, history: History, scope: Scope) -> Iterator[list[Decision]]:
    """Whole decisions, of one page each, read a batch at a time: each is kilobytes of JSON."""
    batch: list[list[Decided]] = []
    for (key, day), rows in history.decisions.items():
        if (key, day) not in history.pages:
            continue
        if scope.has_decision(decision_path(rows[-1]), key, day):
            batch.append(rows)
        if len(batch) >= BATCH:
            yield from _whole(ledger, batch)
            batch = []
    yield from _whole(ledger, batch)


def _whole(ledger: Ledger, batch: list[list[Decided]]) -> Iterator[list[Decision]]:
    ids = [row.id for rows in batch for row in rows]
    found = decisions_by_id(ledger, ids)
    for rows in batch:
        yield [found[row.id].readable() for row in rows]


def _drop_aged(history: History, home: Path) -> list[date]:
    """Remove pages of quiet decisions that are past their time; returns their days."""
    days = []
    for folder in (home / "decision").glob("????-??-??"):
        if folder.name >= history.kept:
            continue
        old = [page for page in folder.glob("*.html")
               if (page.stem, folder.name) not in history.pages]  # fmt: skip
        for page in old:
            page.unlink()
        if old:
            days.append(date.fromisoformat(folder.name))
    return days


def _has_stamp(path: Path, stamp: str) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(stamp) - 1, 2)
            return file.read().decode("utf-8", "replace").rstrip() == stamp
    except OSError:
        return False


def _fingerprint() -> str:
    """A hash of this package's code and templates: a new release renders every page anew."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.suffix in (".py", ".html"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _copy_assets(folder: Path) -> None:
    plotly = importlib.util.find_spec("plotly")
    sources = sorted((_PACKAGE / "assets").iterdir())
    if plotly is not None and plotly.origin is not None:
        sources.append(Path(plotly.origin).parent / "package_data" / "plotly.min.js")
    for source in sources:
        target = folder / source.name
        if target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns:
            continue
        with replacing(target) as part:
            shutil.copy2(source, part)
