"""Erasures: list, ledger and lake must agree on who was erased before a row is taken in or used.

Each of the three has the number of the last erasure. Where one of them was lost, or is an older
one from a backup, its number is behind: nothing is taken in then, and ``driftune erase --again``
brings the list together from what is left and applies it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError, LakeError, LedgerError
from driftune.intake.erasure_problems import Places, lake_differs, lists_differ, look, unfinished
from driftune.lake.applied import note_applied
from driftune.lake.store import store_of
from driftune.lake.suppressed import (
    Erasure,
    Suppressed,
    new_list,
    read_suppressed,
    write_suppressed,
)
from driftune.locks import is_held, locked
from driftune.registry.erasures import keep_list, kept_list, standing
from driftune.registry.ledger import Ledger


def check_erasures(config: Config, ledger: Ledger) -> Suppressed:
    """See that list, ledger and lake know of the same erasures; returns the list.

    One that is at work now may be half done: its rows are excluded already.

    Raises:
        LakeDamageError: when one of them is missing, older, or another, or an erasure did not end.
        LakeError: when the list or the lake's log cannot be read.
    """
    if problem := erasure_problem(config, ledger):
        raise LakeDamageError(problem)
    return read_suppressed(config)


def erasure_problem(config: Config, ledger: Ledger) -> str | None:
    """What is wrong with the list of erased users, in one line with the way back.

    Raises:
        LakeError: when the list or the lake's log cannot be read.
    """
    workspace = Workspace(config)
    with locked(workspace.suppressed_lock, shared=True):
        places = look(config, ledger)
        # Asked before the lock is let go of: what is half done now may be done then.
        working = is_held(workspace.erasing_lock)
    if places.listed.number is None and not places.said.number and places.listed.erasures:
        with rewriting(config, ledger):
            # The list of an earlier release joins the ledger.
            pass
        places = look(config, ledger)
    if problem := lists_differ(config, places):
        return problem
    return None if working else unfinished(places) or lake_differs(config, places)


@contextmanager
def rewriting(config: Config, ledger: Ledger, *, again: bool = False) -> Iterator[Suppressed]:
    """Yield the list to be changed, and write it to ledger and disk; commits of days end before.

    ``again``: the caller applies every erasure again, so that list and ledger may differ; what
    one of them lacks is taken from the other. Else only an erasure that was killed may differ.

    Raises:
        LakeDamageError: when list, ledger and lake do not agree otherwise.
        LakeError: when the list is damaged and the ledger has none.
    """
    with locked(Workspace(config).suppressed_lock):
        held = _joined(config, ledger) if again else _agreed(config, ledger)
        held = held.model_copy(deep=True)
        yield held
        held.number = len(held.erasures)
        if held.erasures and not _is_written(config, ledger, held):
            # Killed in between, the two differ, and the day is refused.
            keep_list(ledger, held)
            write_suppressed(config, held)


def note_lake(config: Config, held: Suppressed) -> None:
    """Let the lake say which erasures it has had: all up to the first that did not end.

    Raises:
        LakeError: when it takes no commit.
    """
    note_applied(store_of(config), held.done)


def _agreed(config: Config, ledger: Ledger) -> Suppressed:
    """The list as list, ledger and lake have it, but for an erasure that was killed."""
    places = look(config, ledger)
    listed, said, lake = places.listed, places.said, places.lake
    if listed.number is None and not said.number and lake in (None, 0, listed.done):
        # The list of an earlier release, which neither ledger nor lake knew of.
        note_applied(store_of(config), listed.done)
        return listed
    problem = lists_differ(config, places)
    held = kept_list(ledger) or listed
    if problem:
        # An erasure writes to the ledger first.
        same = held.model_copy(update={"erasures": held.erasures[: len(listed.erasures)]})
        new = {*range(len(listed.erasures) + 1, len(held.erasures) + 1)}
        if same.state != listed.state or not new or not new <= held.open:
            raise LakeDamageError(problem)
    held = _finished_in_either(held, listed)
    if lake is not None and not held.done <= lake <= len(held.erasures):
        raise LakeDamageError(
            lake_differs(config, Places(held, said, lake)) or "the lake has had other erasures"
        )
    return held


def _joined(config: Config, ledger: Ledger) -> Suppressed:
    """All erasures that list or ledger know of."""
    listed, kept = _readable(config, ledger)
    if kept is None or not listed.erasures:
        return listed if kept is None else kept
    if kept.salt != listed.salt:
        places = look(config, ledger)
        raise LakeDamageError(lists_differ(config, places) or "the lists have different keys")
    longer, other = (kept, listed) if len(kept.erasures) >= len(listed.erasures) else (listed, kept)
    known = {_identity(each) for each in longer.erasures}
    lacking = [each for each in other.erasures if _identity(each) not in known]
    both = longer.model_copy(update={"erasures": [*longer.erasures, *lacking], "number": 0})
    days = {
        day: {**kept.days.get(day, {}), **listed.days.get(day, {})}
        for day in {*kept.days, *listed.days}
    }
    return _finished_in_either(both.model_copy(update={"days": days}), other)


def _is_written(config: Config, ledger: Ledger, held: Suppressed) -> bool:
    """Whether disk and ledger have this list."""
    try:
        return read_suppressed(config) == held and kept_list(ledger) == held
    except (LakeError, LedgerError):
        return False


def _readable(config: Config, ledger: Ledger) -> tuple[Suppressed, Suppressed | None]:
    """The list on disk and the ledger's; of two that are damaged neither can stand for the other.

    Raises:
        LakeError: when the list on disk is damaged, and the ledger has none.
        LedgerError: when the ledger's is, and the list on disk is an older one.
    """
    try:
        listed = read_suppressed(config)
    except LakeError:
        kept = kept_list(ledger)
        if kept is None:
            raise
        return new_list(), kept
    try:
        return listed, kept_list(ledger)
    except LedgerError:
        if len(listed.erasures) < standing(ledger).number:
            raise
        return listed, None


def _finished_in_either(held: Suppressed, other: Suppressed) -> Suppressed:
    """The list with what the other one knows of how its erasures ended."""
    ended = {_identity(each): each for each in other.erasures if each.finished is not None}
    whole = [
        each if each.finished is not None else ended.get(_identity(each), each)
        for each in held.erasures
    ]
    return held.model_copy(update={"erasures": whole})


def _identity(each: Erasure) -> tuple[str, ...]:
    return (each.at, each.by, each.why, *each.users)
