"""Lost days: what the ledger says was taken in, and the lake does not hold."""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta

from filelock import FileLock, Timeout

from driftune.config import Config
from driftune.config.retention import LEAST_LAKE_DAYS
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError, LakeError
from driftune.lake.suppressed import read_suppressed
from driftune.lake.table import Lake, last_content, short_hash
from driftune.registry.days import give_up_day
from driftune.registry.ledger import Ledger
from driftune.registry.rows import DayRecord

LOST = "lost"
"""The verdict of a day that its owner has given up (``driftune lake forget``)."""

PRUNED = hashlib.sha256(b"pruned").hexdigest()
"""The content hash of a day that was taken out of the lake on purpose."""


def check_days(config: Config, ledger: Ledger, day: date) -> None:
    """See that the lake holds what the ledger says of the days that a run of ``day`` looks at.

    Those are the reference days and the days within ``LEAST_LAKE_DAYS`` before it. A run of a day
    that is lost itself brings it back, and is let through.

    Raises:
        LakeDamageError: naming the first lost day.
        LakeError: when the lake's log cannot be read.
    """
    first = day - timedelta(days=LEAST_LAKE_DAYS)
    looked = {*config.reference.days}
    lost = [
        (each, why)
        for each, why in lost_days(config, ledger, own=day)
        if each in looked or first <= each <= day
    ]
    if not lost or day in [each for each, _ in lost]:
        return
    each, why = lost[0]
    others = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    raise LakeDamageError(
        f"{why}{others}; bring it in again: driftune run --day {each}; or put the lake's backup "
        f"back; or, where its files are gone for good: driftune lake forget {each}"
    )


def lost_days(
    config: Config, ledger: Ledger, own: date | None = None
) -> Iterator[tuple[date, str]]:
    """The days that lake and ledger differ in, in order, each with a clause that says how.

    A day at work is none of them: its run commits to the lake first. ``own``: the day of the
    caller, who may be at work on it.

    Raises:
        LakeError: when the lake's log cannot be read.
    """
    records = [record for record in ledger.days() if record.verdict != LOST]
    lake = Lake.of(config)
    for record in records:
        day = date.fromisoformat(record.day)
        if _problem(lake, record) is None or (day != own and _is_at_work(config, day)):
            continue
        # An erasure rewrites the lake before the ledger.
        erased = read_suppressed(config).days.get(record.day, {})
        if lake.contents.get(day, -1) in map(short_hash, erased.values()):
            continue
        now = ledger.day(day)
        if now is not None and (problem := _problem(Lake.of(config), now)):
            yield day, problem


def forget_day(config: Config, ledger: Ledger, day: date) -> None:
    """Let runs no longer ask for a day that is lost; taken in again, it counts again.

    Raises:
        LakeError: when the day is not lost.
    """
    if day not in [each for each, _ in lost_days(config, ledger)]:
        raise LakeError(f"{day}: is not lost; see driftune doctor for days that are")
    give_up_day(ledger, day, LOST)


def _problem(lake: Lake, record: DayRecord) -> str | None:
    day = date.fromisoformat(record.day)
    if day not in lake.files:
        pruned = last_content(lake.store, day) == short_hash(PRUNED)
        return None if pruned else f"the lake {lake.store} has lost {day}, which the ledger holds"
    held, said = lake.rows[day], record.rows
    # Early releases did not count the rows of a file.
    alike = held in (0, said)
    if lake.contents[day] == short_hash(record.content_hash) and alike:
        return None
    figures = "" if alike else f" ({held:,} rows instead of {said:,})"
    return f"{day}: the lake {lake.store} holds another delivery than the ledger{figures}"


def _is_at_work(config: Config, day: date) -> bool:
    """Whether a run or release of the day is at work now."""
    try:
        with FileLock(Workspace(config).turn(day)).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        # Nobody can hold a lock that cannot be made.
        return False
