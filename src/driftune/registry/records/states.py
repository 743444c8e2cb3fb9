"""States of a decision, and the words that terminal, pages and doctor say for them."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a decision stands; its values are what the ledger holds."""

    # Ended where drift was measured: no fine-tune was asked for.
    STABLE = "stable"
    WATCHED = "watched"
    # Drift was not measured; the word says why.
    INSUFFICIENT = "insufficient"
    NEW = "new"
    ABSENT = "absent"
    PARTIAL = "partial"
    NO_CLICKS = "no-clicks"
    ONLY_CLICKS = "only-clicks"
    REFUSED = "refused"
    ERROR = "error"
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
    # Overtaken by a newer decision, champion, delivery or settings; declined by a person; ended by
    # an error.
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


UNMEASURED: Mapping[State, str] = {
    State.INSUFFICIENT: "too few impressions, clicks, impressions without a click, or days before",
    State.NEW: "too little on the days before to compare with; counts as such a day from now on",
    State.ABSENT: "the day has no impression of the domain",
    State.PARTIAL: "the day has impressions in too few hours",
    State.NO_CLICKS: "the domain has impressions, but no click",
    State.ONLY_CLICKS: "the domain has clicks, but no impression without one",
    State.REFUSED: "what was delivered of the day did not reach the lake",
    State.ERROR: "drift could not be measured or decided; the day's next run tries again",
}
"""What the states mean in which drift was not measured."""

# States of domains in which no fine-tune was asked for.
QUIET = tuple(state.value for state in (State.STABLE, State.WATCHED, *UNMEASURED))

_WORDS: Mapping[State, str] = {
    State.INSUFFICIENT: "too little data",
    State.PARTIAL: "partial day",
    State.NO_CLICKS: "no clicks",
    State.ONLY_CLICKS: "only clicks",
    State.REFUSED: "data refused",
    State.REVIEW: "waits for approval",
    State.PENDING: "waiting",
    State.CLAIMED: "adapting",
    State.WAITING: "judged again",
}


def word(state: str) -> str:
    """What people are told of a state, in a word or two; an unknown one is its own word."""
    known = State.read(state)
    return _WORDS.get(known, known.value) if isinstance(known, State) else known
