"""Prune: drop what ``retention`` says is past its time, while runs work or not.

Nothing that a run may be reading is touched: files that are current stay, and what looks unfinished
does for a day. Each file goes by itself, after what names it: killed in between, a second call
ends it.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from itertools import chain

from driftune.adaptation.outside.orphans import end_orphans
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.intake.commit import replace_day
from driftune.intake.lost import PRUNED
from driftune.intake.turns import turn
from driftune.lake.store import store_of
from driftune.locks import locked
from driftune.registry.decision_queries import open_decisions
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_left import drop_from_mlflow, forget
from driftune.reports import build_site
from driftune.retention.aged_days import aged_records, leftovers
from driftune.retention.aged_lake import aged_caches, aged_days, aged_versions
from driftune.retention.aged_models import (
    aged_adapters,
    aged_challengers,
    aged_pooled,
    aged_registered,
)
from driftune.retention.found import Aged, Kept

# What of the workspace is no business of prune, and whose it is.
ELSEWHERE = (
    Kept("pages", "drift.keep_pages_days drops Evidently's, daily runs those of quiet decisions"),
    Kept("audit", "ledger, releases and erasures: the record of who did what"),
    Kept("prefect", "Prefect's own records of runs: see its documentation"),
)


def plan(config: Config, ledger: Ledger, now: float | None = None) -> tuple[list[Aged], list[Kept]]:
    """What is past its time, and what is kept and why, a line each.

    ``now``: seconds since 1970, by default the clock's; the days of the lake have their own.

    Raises:
        LakeError: when the lake's log cannot be read.
        RegistryError: when MLflow's store cannot be read.
    """
    now = time.time() if now is None else now
    found = chain(
        aged_versions(config, now),
        aged_days(config, ledger),
        aged_records(config),
        aged_challengers(config, ledger, now),
        aged_adapters(config, ledger, now),
        aged_registered(config, ledger, now),
        aged_caches(config, now),
        aged_pooled(config, now),
        leftovers(config, now),
    )
    aged: list[Aged] = []
    kept: dict[Kept, None] = {}
    for each in found:
        if isinstance(each, Aged):
            aged.append(each)
        else:
            kept[each] = None
    return aged, [*kept, *ELSEWHERE]


def prune(
    config: Config, ledger: Ledger, now: float | None = None
) -> tuple[list[tuple[Aged, int]], list[Kept]]:
    """Drop what is past its time; returns what was dropped with its bytes, and what is kept.

    Raises:
        LakeError: when the lake cannot be read or takes no commit.
        RegistryError: when MLflow cannot be reached.
    """
    with locked(Workspace(config).upkeep_lock):
        # A job of a run that was killed works in a folder that is a leftover then.
        end_orphans(config, ledger)
        aged, kept = plan(config, ledger, now)
        dropped = []
        for each in aged:
            size = each.bytes
            if _drop(config, ledger, each):
                dropped.append((each, size))
        if days := _days_shown(aged):
            build_site(config, ledger, days=days)
        return dropped, kept


def _drop(config: Config, ledger: Ledger, each: Aged) -> bool:
    if each.kind == "lake" and each.day is not None:
        return _drop_day(config, ledger, date.fromisoformat(each.day))
    if each.version is not None and each.key is not None:
        record = ledger.adapter(each.key, each.version)
        # A rollback by hand may have brought it back since the plan was made.
        if record is None or ledger.champion_version(each.key) == each.version:
            return False
        if record.mlflow_version is not None:
            forget(config, record)
    if each.left is not None:
        drop_from_mlflow(config, each.left)
    for file in each.held:
        store_of(config).drop(file.name)
    for path in each.paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                path.unlink()
    return True


def _drop_day(config: Config, ledger: Ledger, day: date) -> bool:
    """Take a day out of the lake's newest version; its files go as those of old versions do."""
    with turn(config, day), locked(Workspace(config).suppressed_lock):
        if open_decisions(ledger):
            return False
        replace_day(store_of(config), day, PRUNED, {})
    return True


def _days_shown(aged: Sequence[Aged]) -> list[date]:
    """The days whose pages show something that was dropped."""
    shown = {each.day for each in aged if each.kind in ("quarantine", "records") and each.day}
    return sorted(map(date.fromisoformat, shown))
