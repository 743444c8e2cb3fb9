"""Flipped bits: nothing is decided on a file that does not hold what was written to it."""

from pathlib import Path

import pytest

from tests.conftest import World
from tests.faults.bits import KINDS, REFUSED, Drill, flip, prepared

# Each flip in what drift is drawn from makes the day's windows anew.
SLOW = ("encoded day", "drift profile")


@pytest.fixture(scope="module")
def drill(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Drill:
    return prepared(World.copied(_trained, tmp_path_factory.mktemp("bits") / "world"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
@pytest.mark.ci
def test_a_flipped_bit_changes_no_value_and_leaves_no_traceback(drill: Drill, kind: str) -> None:
    found = flip(drill, kind, flips=2 if kind in SLOW else 6, seed=7)
    assert found.keys() <= {"as it was", REFUSED}, found


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", KINDS)
def test_forty_flipped_bits(drill: Drill, kind: str) -> None:
    found = flip(drill, kind, flips=40, seed=8)
    assert found.keys() <= {"as it was", REFUSED}, found
