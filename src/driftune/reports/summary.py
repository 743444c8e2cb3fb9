"""A day in a few lines: for the terminal and the log."""

from collections import Counter
from datetime import date
from typing import TypedDict

from driftune.drift.rules import DUE
from driftune.quality.record import DayQuality
from driftune.registry.checks import Check, checks_as_of
from driftune.registry.decision_queries import told_of_day
from driftune.registry.ledger import Ledger
from driftune.registry.records.gate import Difference
from driftune.registry.records.states import QUIET, UNMEASURED, State, word

# Domains that a line names of those in one state.
NAMED = 5


class DayRow(TypedDict):
    """A domain's day; ``before`` and ``after``: the metric of champion and challenger."""

    domain: str
    state: str
    rule: str | None
    drift: float | None
    champion: int
    before: float | None
    after: float | None
    rolled_back: str | None
    why: str


def day_rows(ledger: Ledger, day: date) -> list[DayRow]:
    """One row per domain of the day: drift score, state, metric before and after, rollback.

    Of a day that was delivered anew, or decided under another backbone, the newest decisions.
    """
    taken_back = {
        check.domain_key: check for check in checks_as_of(ledger, day) if check.restored is not None
    }
    rows: list[DayRow] = []
    newest = {row.domain_key: (row, rule) for row, rule in told_of_day(ledger, day)}
    for row, rule in newest.values():
        difference = (row.gate and row.gate.difference) or Difference()
        rows.append(
            {
                "domain": row.domain,
                "state": row.state,
                "rule": rule,
                "drift": None if row.score is None else round(row.score, 2),
                "champion": row.adapter_version or row.champion_version,
                "before": _rounded(difference.champion),
                "after": _rounded(difference.challenger),
                "rolled_back": _rolled_back(taken_back.get(row.domain_key)),
                "why": row.sentence,
            }
        )
    return rows


def day_line(day: date, quality: DayQuality | None, rows: list[DayRow]) -> str:
    """The day in one line: delivered rows, those drawn beside them, rejected rows, and every domain
    that was not left alone."""
    parts = [str(day)]
    if quality is not None:
        parts.append(f"{quality.accepted:,} rows")
        if quality.drawn:
            parts.append(f"{quality.drawn:,} drawn")
        if quality.rejected:
            parts.append(f"{quality.rejected:,} rejected")
    quiet = Counter(row["state"] for row in rows if row["state"] in QUIET)
    counts = {"stable": quiet["stable"]} | {name: quiet[name] for name in QUIET if quiet[name]}
    # One that is away or new is named; of those that are merely small there may be many.
    named = [name for name in UNMEASURED if name != State.INSUFFICIENT]
    parts.append(
        ", ".join(
            f"{count} {word(name)}{_names(rows, name) if name in named else ''}"
            for name, count in counts.items()
        )
    )
    told = [moved(row) for row in rows if row["state"] not in QUIET or row["rolled_back"]]
    return " · ".join(parts + told)


def _names(rows: list[DayRow], state: str) -> str:
    """The first domains in a state, in brackets."""
    names = [row["domain"] for row in rows if row["state"] == state]
    more = ", …" if len(names) > NAMED else ""
    return f" ({', '.join(names[:NAMED])}{more})"


def moved(row: DayRow) -> str:
    """What happened to a domain, in a phrase."""
    text = f"{row['domain']}: {word(row['state'])}"
    if row["drift"] is not None or row["rule"] in DUE:
        text += f" ({evidence(row['rule'], row['drift'] or 0.0)}"
        if row["before"] is not None and row["after"] is not None:
            text += f", AUC {row['before']:.3f} → {row['after']:.3f}"
        text += ")"
    return f"{text}, {row['rolled_back']}" if row["rolled_back"] else text


def _rolled_back(check: Check | None) -> str | None:
    if check is None:
        return None
    to = f"version {check.restored}" if check.restored else "the frozen base"
    seen = "that day" if check.day == check.as_of else f"on {check.day}"
    why = check.rule if check.estimate is None else f"AUC {check.estimate:+.3f}"
    return f"version {check.version} taken back for {to} ({why} {seen})"


def evidence(rule: str | None, score: float) -> str:
    """Why a decision asked for a fine-tune, in a word or two."""
    return rule if rule is not None and rule in DUE else f"drift {score:.1f}×"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
