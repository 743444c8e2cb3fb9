"""Giving way: which of a day's decisions are made anew, and which stay, a line each."""

import logging
from collections.abc import Collection, Iterable
from datetime import date

from driftune.config import Config
from driftune.config.marks import known_marks
from driftune.registry.ledger import Ledger
from driftune.registry.records import State
from driftune.registry.redeciding import standing_decisions, staying, what_changed
from driftune.registry.rows import DayRecord

log = logging.getLogger("driftune")
# Domains that lines of the log name.
NAMED = 10


def to_replace(
    config: Config,
    ledger: Ledger,
    record: DayRecord,
    backbone: str,
    judged: Collection[str],
) -> dict[str, str]:
    """By domain key the ids of the decisions that give way to new ones.

    These are of other settings than those of now, or used a day that was delivered anew since.
    One that ended in an error is made anew in its place, as by any run of the day.

    Args:
        record: the day, whose decisions in its revision and under ``backbone`` these are.
        judged: keys of the domains that the day can be decided for.
    """
    day = date.fromisoformat(record.day)
    standing = standing_decisions(ledger, day, record.revision, backbone)
    known = known_marks(config)
    reasons = {key: what_changed(row, known) for key, row in standing.items()}
    changed = {key: row for key, row in standing.items() if reasons[key] is not None}
    stay = staying(ledger, changed.values())
    stay |= {
        key: f"its champion was trained on {day} or later"
        for key in changed
        if key not in judged and key not in stay
    }
    _tell(f"{changed[key].id} stays as it is: {reason}" for key, reason in stay.items())
    found = {
        key: row.id for key, row in changed.items() if key not in stay and row.state != State.ERROR
    }
    if found:
        told = "; ".join(dict.fromkeys(str(reasons[key]) for key in found))
        many = f"{len(found)} decisions are" if len(found) > 1 else "1 decision is"
        log.info("%s: %s made again: %s", day, many, told)
    elif standing and not any(row.state == State.ERROR for row in standing.values()):
        kept = "" if changed else " under these settings"
        log.info("%s was decided%s; nothing is decided again", day, kept)
    return found


def _tell(lines: Iterable[str]) -> None:
    told = list(lines)
    for line in told[:NAMED]:
        log.info("%s", line)
    if len(told) > NAMED:
        log.info("and %d more stay as they are", len(told) - NAMED)
