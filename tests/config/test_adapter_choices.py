"""Choices of the section ``adapter``: places as lists of lists, folds within the rows."""

import pytest
from pydantic import ValidationError

from driftune.config.adapter import Adapter


def test_one_list_of_places_is_one_choice_and_several_are_several() -> None:
    one = Adapter(at=["a", "b"])
    assert (one.places, one.all_places) == ([["a", "b"]], ["a", "b"])
    several = Adapter(at=[["a"], ["b", "a"]])
    assert (several.places, several.all_places) == ([["a"], ["b", "a"]], ["a", "b"])
    own = Adapter(at="auto")
    assert (own.places, own.all_places) == (None, None)


def test_folds_leave_rows_that_always_train() -> None:
    assert Adapter(folds=6).folds == 6
    with pytest.raises(ValidationError, match="leave no rows that always train"):
        Adapter(folds=7)


@pytest.mark.parametrize("at", [[], [[]], [["a"], []], "nowhere", [["a"], "b"]])
def test_places_that_name_nothing_are_refused(at: object) -> None:
    with pytest.raises(ValidationError, match="at"):
        Adapter(at=at)
