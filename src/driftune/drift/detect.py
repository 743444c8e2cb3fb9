"""Detect: the day's drift decisions of all domains, written to the ledger once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from driftune.config import Config
from driftune.drift.measure import Measured, compare_windows
from driftune.drift.policy import Judgement, Past, decide
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import Verdict, judge_readings
from driftune.drift.windows import DomainWindow, read_windows, windows_path
from driftune.errors import LedgerError
from driftune.files import finite
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from driftune.workspace import Workspace


def decide_day(
    config: Config, ledger: Ledger, windows: Sequence[DomainWindow], measured: Sequence[Measured]
) -> list[str]:
    """Judge the measured domains of a day together and write their decisions; returns the ids.

    A decision that is already in the ledger stays as it is.
    """
    of_key = {window.key: window for window in windows}
    usable = [each for each in measured if each.problem is None]
    verdicts = judge_domains(usable)
    judgements = decide(
        config.drift,
        verdicts,
        {each.key: each.told for each in usable},
        _past(config, ledger, [of_key[each.key] for each in usable]),
    )
    found = []
    for each in measured:
        window = of_key[each.key]
        judgement = judgements.get(each.key) or Judgement(
            "insufficient", "too little data", None, each.problem or ""
        )
        row, _ = ledger.decide(
            id=window.decision_id,
            domain=window.domain,
            domain_key=window.key,
            day=window.day.isoformat(),
            revision=window.revision,
            backbone=window.backbone,
            state="pending" if judgement.state == "drifted" else judgement.state,
            score=judgement.score,
            scores=_scores(window, each, verdicts.get(each.key, {}), judgement),
            sentence=judgement.sentence,
            data_version=window.data_version,
            champion_version=window.champion,
        )
        found.append(row.id)
    return found


def judge_domains(measured: Sequence[Measured]) -> dict[str, dict[str, Verdict]]:
    """The verdicts by domain key and signal; a signal that cannot be judged is left out."""
    found: dict[str, dict[str, Verdict]] = {each.key: {} for each in measured}
    for signal in SIGNALS:
        judged = judge_readings([each.readings.get(signal) for each in measured])
        for each, verdict in zip(measured, judged, strict=True):
            if verdict is not None:
                found[each.key][signal] = verdict
    return found


def write_pages(config: Config, ledger: Ledger, day: date) -> int:
    """Write the Evidently pages of the day that ``drift.html`` wants, and drop those that are old.

    Returns how many were written.
    """
    workspace, wanted, written = Workspace(config), config.drift.html, 0
    last = {row.domain_key: row for row in _decided(ledger, day)}
    for row in last.values():
        if wanted == "never" or "signals" not in row.scores:
            continue
        alert = row.state not in ("stable", "watched", "insufficient")
        page = workspace.drift_page(day, row.domain_key)
        fresh = page.exists() and page.stat().st_mtime >= row.decided_at
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
    """Write Evidently's page of a past decision, from the windows kept then.

    Raises:
        LedgerError: when there is no such decision, a newer one of its domain and day has taken
            the place of its windows, or there is nothing in them to compare.
    """
    row = ledger.decision(decision_id)
    day = date.fromisoformat(row.day)
    same = [other for other in _decided(ledger, day) if other.domain_key == row.domain_key]
    newer = any(other.decided_at > row.decided_at for other in same)
    if newer or not windows_path(config, day).exists():
        raise LedgerError(f"{decision_id}: its windows are no longer kept")
    window = DomainWindow(
        domain=row.domain,
        key=row.domain_key,
        day=day,
        revision=row.revision,
        backbone=row.backbone,
        champion=row.champion_version,
        reference=_days(row.scores.get("reference")),
        settled=_days(row.scores.get("settled")),
        hours=24,
        data_version=row.data_version,
    )
    windows = read_windows(config, window)
    if windows is None:
        raise LedgerError(f"{decision_id}: its windows hold nothing to compare")
    compared = compare_windows(config, window, windows)
    compared.write_page(Workspace(config).drift_page(day, row.domain_key))


def _past(config: Config, ledger: Ledger, windows: Sequence[DomainWindow]) -> dict[str, Past]:
    """What the ledger knows of the domains' days before."""
    if not windows:
        return {}
    day, policy = windows[0].day, config.drift
    span = max(policy.confirm.of - 1, policy.cooldown_days)
    rows = ledger.read(
        sa.select(
            *(
                decisions.c[name]
                for name in (
                    "domain_key", "day", "state", "backbone", "champion_version", "scores"
                )
            )
        )
        .where(
            decisions.c.day < day.isoformat(),
            decisions.c.day >= (day - timedelta(days=span)).isoformat(),
        )
        .order_by(decisions.c.day, decisions.c.revision, decisions.c.decided_at)
    )  # fmt: skip
    before = {(row.domain_key, date.fromisoformat(row.day)): row for row in rows}
    found = {}
    for window in windows:
        p_values: list[dict[str, float]] = []
        cooling = False
        for back in range(1, span + 1):
            row = before.get((window.key, day - timedelta(days=back)))
            if row is None:
                p_values.append({})
                continue
            same = (row.backbone, row.champion_version) == (window.backbone, window.champion)
            p_values.append(_p_values(row.scores) if same else {})
            cooling |= back <= policy.cooldown_days and row.state == "promoted"
        found[window.key] = Past(p_values, cooling)
    return found


def _p_values(scores: Mapping[str, Any]) -> dict[str, float]:
    signals = scores.get("signals") or {}
    return {name: row["p"] for name, row in signals.items() if row.get("p") is not None}


def _scores(
    window: DomainWindow,
    measured: Measured,
    verdicts: Mapping[str, Verdict],
    judgement: Judgement,
) -> dict[str, Any]:
    """What the ledger keeps of a decision besides its sentence."""
    kept: dict[str, Any] = {
        "rule": judgement.rule,
        "counts": dict(measured.counts),
        "reference": [day.isoformat() for day in window.reference],
        "settled": [day.isoformat() for day in window.settled],
    }
    if measured.problem is None:
        kept |= {
            "matched": measured.matched,
            "moved": list(judgement.moved),
            "limits": judgement.limits,
            "signals": {
                signal: {
                    "distance": measured.distances.get(signal),
                    **(
                        asdict(verdicts[signal]) | {"effect": verdicts[signal].effect}
                        if signal in verdicts
                        else {"p": None}
                    ),
                }
                for signal in SIGNALS
            },
            "told": dict(measured.told),
        }
    return dict(finite(kept))


def _days(texts: Sequence[str] | None) -> list[date]:
    return [date.fromisoformat(text) for text in texts or ()]


def _decided(ledger: Ledger, day: date) -> list[Any]:
    return ledger.decisions(decisions.c.day == day.isoformat())
