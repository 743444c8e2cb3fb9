"""Which erasures a lake has had: their number stands in its log, and comes back with its backup."""

from typing import TYPE_CHECKING

from driftune.errors import LakeError
from driftune.lake.store import LakeStore, reason
from driftune.lake.table import open_table

if TYPE_CHECKING:
    from deltalake import Transaction

_APPLICATION = "driftune.erasures"


def applied(store: LakeStore) -> int | None:
    """The number of the last erasure that the lake has had; None before its first day.

    Raises:
        LakeError: when its log cannot be read.
    """
    table = open_table(store)
    return None if table is None else table.transaction_version(_APPLICATION) or 0


def note_applied(store: LakeStore, number: int) -> None:
    """Let the lake say that it has had the erasures up to a number; one without days says nothing.

    Raises:
        LakeError: when it takes no commit.
    """
    from deltalake import CommitProperties
    from deltalake.exceptions import DeltaError

    table = open_table(store)
    if table is None or (table.transaction_version(_APPLICATION) or 0) == number:
        return
    try:
        table.create_write_transaction(
            [],
            "append",
            table.schema(),
            ["day"],
            commit_properties=CommitProperties(
                custom_metadata={_APPLICATION: str(number)}, app_transactions=saying(number)
            ),
        )
    except (DeltaError, OSError) as error:
        raise LakeError(f"the lake {store} takes no commit ({reason(error)})") from None


def saying(number: int) -> "list[Transaction]":
    """What a commit of the lake says of the erasures up to a number; nothing of none."""
    from deltalake import Transaction

    return [Transaction(_APPLICATION, number)] if number else []
