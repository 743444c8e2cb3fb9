"""The ids that a person asks to erase: which of them the workspace holds, and what of the others.

Nothing is guessed: an id that nothing holds is told, with those that are spelled alike as a hint.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from driftune.config import Config
from driftune.features.encoder import erase_users
from driftune.lake.suppressed import Suppressed, read_suppressed
from driftune.registry.ledger import Ledger
from driftune.retention import lake_rows, parquet_rows
from driftune.retention.texts import NUMBER, redact_messages, redact_records
from driftune.training.pretrain import encoder_folder

# So many ids that are spelled alike are named.
SHOWN = 3


@dataclass(frozen=True)
class Asked:
    """Ids by what the workspace has of them.

    ``held``: something holds them, or their erasure did not end. ``erased``: those that were
    erased, with the day of it (ISO). ``unknown``: all others, each with the ids that are spelled
    alike and where those are (``lake`` or ``quarantine``).
    """

    held: list[str]
    erased: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, dict[str, str]] = field(default_factory=dict)


def sort_out(
    config: Config, ledger: Ledger, users: Sequence[str], held: Suppressed | None = None
) -> Asked:
    """Sort ids by what the workspace has of them; nothing is written.

    ``held``: the list of erased users, where it is not the one on disk.

    Raises:
        DriftuneError: when a record that may name them is damaged.
    """
    suppressed = read_suppressed(config) if held is None else held
    here = set(_begun(suppressed, users))
    here |= lake_rows.held_ids(config, [user for user in users if user not in here])
    here |= parquet_rows.quarantined_ids(config, [user for user in users if user not in here])
    for finds in _places(config, ledger):
        here |= _found([user for user in users if user not in here], finds)
    others = [user for user in users if user not in here]
    erased = {user: day for user in others if (day := _erased_on(suppressed, user)) is not None}
    unknown = [user for user in others if user not in erased]
    alike = _alike(config, unknown)
    return Asked(sorted(here), erased, {user: alike.get(user, {}) for user in unknown})


def told(user: str, alike: dict[str, str]) -> str:
    """In one line: an id that nothing holds, and those that are spelled alike."""
    named = list(alike.items())[:SHOWN]
    hints = [f"the {where} holds {other!r}" for other, where in named]
    more = f" and {len(alike) - SHOWN} more" if len(alike) > SHOWN else ""
    hint = (
        f"{', '.join(hints)}{more}: did you mean that?" if hints else "see how the lake spells it"
    )
    return f"{user!r}: nothing holds this id, so nothing is erased for it; {hint}"


def _places(config: Config, ledger: Ledger) -> list[Callable[[list[str]], bool]]:
    """Where an id may be besides the rows of lake and quarantine."""
    folder = encoder_folder(config)

    def words(users: list[str]) -> list[str]:
        # A bare number in a record is a count, or the id of something else.
        return [user for user in users if not NUMBER.fullmatch(user)]

    return [
        lambda users: bool(parquet_rows.encoded_with(config, users)),
        lambda users: bool(erase_users(folder, users, write=False)),
        lambda users: bool(redact_records(config, words(users), write=False)),
        lambda users: bool(redact_messages(ledger, words(users), write=False)),
    ]


def _found(users: list[str], finds: Callable[[list[str]], bool]) -> set[str]:
    """Those of the ids that are found, by asking for all of them, then for ever smaller parts."""
    if not users or not finds(users):
        return set()
    if len(users) == 1:
        return set(users)
    half = len(users) // 2
    return _found(users[:half], finds) | _found(users[half:], finds)


def _begun(suppressed: Suppressed, users: Sequence[str]) -> list[str]:
    """Ids whose erasure began and did not end."""
    open_ = {mark for each in suppressed.erasures if each.finished is None for mark in each.users}
    return [user for user in users if suppressed.mark(user) in open_] if open_ else []


def _erased_on(suppressed: Suppressed, user: str) -> str | None:
    """The day of the last erasure of an id that is on the list."""
    mark = suppressed.mark(user)
    ended = [each.finished or each.at for each in suppressed.erasures if mark in each.users]
    return max(ended)[:10] if ended else None


def _alike(config: Config, users: list[str]) -> dict[str, dict[str, str]]:
    """By id the other ids of lake and quarantine that are spelled alike."""
    found: dict[str, dict[str, str]] = {}
    if users:
        for where, pairs in (
            ("lake", lake_rows.spelled_alike(config, users)),
            ("quarantine", parquet_rows.quarantined_alike(config, users)),
        ):
            for user, other in pairs:
                found.setdefault(user, {}).setdefault(other, where)
    return found
