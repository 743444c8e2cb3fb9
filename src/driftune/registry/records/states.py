"""States of a decision."""

from enum import StrEnum


class State(StrEnum):
    """Where a decision stands; its values are what the ledger holds."""

    # Ended where drift was measured: no fine-tune was asked for.
    STABLE = "stable"
    WATCHED = "watched"
    INSUFFICIENT = "insufficient"
    # Waits for a person's approval, for an adaptation, or is being adapted under a lease.
    REVIEW = "review"
    PENDING = "pending"
    CLAIMED = "claimed"
    # Has a challenger that is judged again as rows come in.
    WAITING = "waiting"
    # Ended by the gate or by hand; undecided: the gate never had enough data.
    PROMOTED = "promoted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    # Overtaken by a newer decision, champion or delivery; declined by a person; ended by an error.
    SUPERSEDED = "superseded"
    DECLINED = "declined"
    FAILED = "failed"

    @classmethod
    def read(cls, text: str) -> "State | str":
        """The state of a ledger's text; the text itself where a newer release wrote it."""
        try:
            return cls(text)
        except ValueError:
            return text
