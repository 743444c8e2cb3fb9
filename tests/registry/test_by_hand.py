"""A fine-tune that a person asks for: of which decision, and what the audit keeps."""

import pytest

from driftune.errors import RegistryError
from driftune.registry.by_hand import BY_HAND, ask
from driftune.registry.ledger import Ledger
from driftune.registry.review import reviews_of
from tests.registry.conftest import KEY, Decide


@pytest.mark.parametrize("domain", [KEY, f"name of {KEY}"])
def test_the_newest_quiet_decision_is_adapted_for(
    ledger: Ledger, decide: Decide, domain: str
) -> None:
    decide(day="2026-03-09", state="stable")
    newest = decide(day="2026-03-10", state="stable", sentence="Stable.")
    asked = ask(ledger, domain, "ann", "a new menu")
    assert (asked.id, asked.state, asked.scores.rule) == (newest, "pending", BY_HAND)
    assert asked.sentence == "Asked for by ann: a new menu. Stable."
    (told,) = reviews_of(ledger, KEY)
    assert (told["verdict"], told["who"], told["why"]) == ("asked for", "ann", "a new menu")
    assert ledger.claim(newest) is not None


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ([], "no day of this domain was decided"),
        (["stable", "pending"], "is open already"),
        (["review", "stable"], "is open already"),
        (["stable", "promoted"], "was fine-tuned for already"),
        (["stable", "absent"], "leaves nothing to fine-tune on"),
    ],
)
@pytest.mark.few(4)
def test_what_cannot_be_adapted_for_is_one_line(
    ledger: Ledger, decide: Decide, states: list[str], line: str
) -> None:
    for number, state in enumerate(states):
        decide(day=f"2026-03-{10 + number}", state=state)
    with pytest.raises(RegistryError, match=line):
        ask(ledger, KEY, "ann", "a new menu")
    assert reviews_of(ledger, KEY) == []


def test_it_needs_a_reason(ledger: Ledger, decide: Decide) -> None:
    decide(state="stable")
    with pytest.raises(RegistryError, match="give --why"):
        ask(ledger, KEY, "ann", " ")
