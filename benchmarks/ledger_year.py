"""What a year of many domains in the ledger costs: status, the daily run's queries, front page."""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import ROOT, finish, options, say, table
from benchmarks.ledger_world import LedgerWorld, settle
from benchmarks.site_world import BACKBONE
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.drift.rules import DUE, NEW_BACKBONE, NO_HISTORY
from driftune.io import write_text
from driftune.registry import checks, counts, decision_queries, past, redeciding
from driftune.registry.ledger import Ledger
from driftune.registry.overdue import end_outdated
from driftune.registry.past_gains import first_looks
from driftune.registry.schema import decisions
from driftune.registry.served_days import first_days_served
from driftune.registry.status import domain_names, domain_status
from driftune.registry.waiting import looks_due
from driftune.reports.front import ROWS, front_view
from driftune.reports.history import load_history
from driftune.reports.months import write_months
from driftune.reports.render import Renderer
from driftune.reports.summary import day_rows

GOAL = 2.0
# Of the code that wrote the figures kept beside the pages.
RELEASE = "benchmark"
# Seconds by the clock, and on the processor.
Times = list[float]


def main() -> None:
    """Fill, ask, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--postgres", metavar="URL", help="a ledger there; own: a server it starts")
    parser.add_argument("--folder", type=Path, help="keep the workspace here, or use what is there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(asked(load_config(given.child, env={})))
        return
    if given.quick:
        given.domains, given.days = 500, 30
    with tempfile.TemporaryDirectory() as scratch, server(given.postgres) as url:
        figures = measure(given.folder or Path(scratch), given.domains, given.days, url)
    rows = [[name, *(f"{each:.2f}" for each in both)] for name, both in figures["seconds"].items()]
    head = [f"{given.days} days of {given.domains:,} domains", "seconds", "on the processor"]
    table(head, rows)
    finish(figures)


@contextmanager
def server(given: str | None) -> Iterator[str | None]:
    """The address of the ledger; None is SQLite."""
    if given != "own":
        yield given
        return
    from tests.postgres import Postgres, binaries

    folder = binaries()
    if folder is None:
        raise SystemExit("PostgreSQL is not installed (Debian's package postgresql)")
    own = Postgres(folder)
    try:
        yield own.ledger()
    finally:
        own.remove()


def measure(folder: Path, domains: int, days: int, url: str | None) -> dict[str, Any]:
    """The figures of a ledger; one that ``folder`` has already is used as it is."""
    params, there = folder / "params.yaml", (folder / "workspace").exists()
    if not there:
        write_params(folder, url)
    config = load_config(params, env={})
    seconds: dict[str, Times] = {}
    with Ledger(config) as ledger:
        world = LedgerWorld(config, ledger, domains)
        if not there:
            say(f"{days} days of {domains:,} domains …")
            seconds["filled without indexes"] = timed(lambda: world.fill_anew(days))
    seconds["first opening, which adds the indexes"] = timed(lambda: Ledger(config).close())
    with Ledger(config) as ledger:
        settle(ledger)
    seconds |= in_processes(params)
    child = run([sys.executable, "-m", "benchmarks.ledger_year", "--child", str(params)])
    seconds |= dict(yaml.safe_load(child.splitlines()[-1]))
    size = sum(each.stat().st_size for each in config.home.glob("ledger.db*"))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {
        "benchmark": "ledger_year",
        "domains": domains,
        "days": days,
        "database": "postgresql" if url else "sqlite",
        "seconds": seconds,
        "ledger_gb": size / 1e9,
        "child_gb": memory,
        "goal_seconds": GOAL,
    }


def write_params(folder: Path, url: str | None) -> None:
    """The project's own params.yaml, with a workspace of its own."""
    shutil.rmtree(folder / "workspace", ignore_errors=True)
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    if url:
        values.setdefault("registry", {})["ledger"] = url
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def in_processes(params: Path) -> dict[str, Times]:
    """Commands as users start them, each a new process."""
    program = [sys.executable, "-m", "driftune.cli"]
    found = {"driftune --help (start-up alone)": timed(lambda: run([*program, "--help"]))}
    status = [*program, "status", "--config", str(params)]
    found["driftune status"] = timed(lambda: run(status))
    found["driftune status --json"] = timed(lambda: run([*status, "--json"]))
    return found


def run(command: list[str]) -> str:
    """What a command writes; one that fails ends the benchmark."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def asked(config: Config) -> dict[str, Times]:
    """Seconds of each query by name, in this process, which has read nothing of the ledger yet."""
    found: dict[str, Times] = {}
    with Ledger(config) as ledger:
        last = date.fromisoformat(ledger.days()[-1].day)
        for name, work in queries(config, ledger, last).items():
            say(f"{name} …")
            found[name] = timed(work)
    of_a_day = [times for name, times in found.items() if name.startswith("day: ")]
    found["all of a day's queries"] = [round(sum(each), 3) for each in zip(*of_a_day, strict=True)]
    return found | front(config, ledger, last)


def queries(config: Config, ledger: Ledger, last: date) -> dict[str, Callable[[], Any]]:
    """What a day asks of the ledger (``day: ``), as the next one would, and what else is asked."""
    day = last + timedelta(days=1)
    before, ago = date.today(), last - timedelta(days=5)
    recent = day - timedelta(days=4)
    names = list(ledger.champions())
    return {
        "domain_status": lambda: domain_status(ledger),
        "day: missed days (is_decided)": lambda: decision_queries.is_decided(ledger, last, 1),
        "day: looks_due": lambda: looks_due(ledger, day),
        "day: waiting": lambda: ledger.waiting(day),
        "day: end_outdated": lambda: end_outdated(ledger),
        "day: domain_names": lambda: domain_names(ledger),
        "day: decisions_made": lambda: redeciding.decisions_made(ledger, day, 1, BACKBONE),
        "day: decision_ids": lambda: decision_queries.decision_ids(ledger, last),
        "day: first_days_served": lambda: first_days_served(
            ledger, BACKBONE, day, 31, [NO_HISTORY, *DUE]
        ),
        "day: standing_decisions": lambda: redeciding.standing_decisions(ledger, last, 1, BACKBONE),
        "day: decisions_to_judge": lambda: past.decisions_to_judge(ledger, ago, recent, day),
        "day: last_finetunes": lambda: past.last_finetunes(ledger, BACKBONE, day),
        "day: asked_by": lambda: past.asked_by(ledger, NEW_BACKBONE, BACKBONE, day, names),
        "day: waiting_challengers": lambda: past.waiting_challengers(ledger, BACKBONE, day),
        "day: made_for_others": lambda: past.made_for_others(ledger, BACKBONE),
        "day: switched_by_hand": lambda: past.switched_by_hand(ledger, ago, day),
        "day: checks_of": lambda: checks.checks_of(ledger, last),
        "day: checked_days": lambda: checks.checked_days(ledger),
        "day: taken_back": lambda: checks.taken_back(ledger, last),
        "day: taken_back_between": lambda: checks.taken_back_between(ledger, ago, day),
        "day: differences_before": lambda: checks.differences_before(ledger, day),
        "day: unannounced": lambda: checks.unannounced(ledger),
        "day: is_decided_since": lambda: decision_queries.is_decided_since(ledger, last),
        "day: require_decided": lambda: decision_queries.require_decided(ledger, last),
        "day: day_rows": lambda: day_rows(ledger, last),
        "a challenger: first_looks": lambda: first_looks(ledger, BACKBONE, before, "ctr_auc"),
        "prune: open_decisions": lambda: decision_queries.open_decisions(ledger),
        "metrics: decisions_by_state": lambda: counts.decisions_by_state(ledger),
        "site: day_stamps": lambda: decision_queries.day_stamps(ledger),
        "site: decided_on, a day": lambda: decision_queries.decided_on(ledger, [str(last)]),
    }


def front(config: Config, ledger: Ledger, last: date) -> dict[str, Times]:
    """What the front page costs at first, and once the decisions of one day have changed."""
    home = Workspace(config).reports

    def write() -> None:
        history = load_history(config, ledger, RELEASE)
        write_months(history, home, RELEASE, ROWS)
        write_text(home / "index.html", Renderer().render("index.html", front_view(history)))

    say("front page …")
    found = {"front page, first": timed(write)}
    with ledger.write() as connection:
        changed = decisions.update().where(decisions.c.day == last.isoformat())
        connection.execute(changed.values(updated_at=decisions.c.updated_at + 1))
    return found | {"front page after a day": timed(write)}


def timed(work: Callable[[], object]) -> Times:
    """Seconds by the clock, and on the processor, those of ended children too."""
    start, before = time.perf_counter(), os.times()
    work()
    spent = sum(os.times()[:4]) - sum(before[:4])
    return [round(time.perf_counter() - start, 3), round(spent, 3)]


if __name__ == "__main__":
    main()
