"""Files that appear whole or not at all."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.io import creating, finite, read_json, replacing, write_json, write_text


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), replacing(target) as part:
        part.write_text("half of the n")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_nan_does_not_reach_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", {"x": math.nan})
    assert not (tmp_path / "a.json").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(VALUES)
def test_finite_values_survive_json(value: object) -> None:
    clean = finite(value)
    assert json.loads(json.dumps(clean, allow_nan=False)) == clean


def test_json_reads_back(tmp_path: Path) -> None:
    value = {"b": [1, None, "ü"], "a": {"x": 0.5}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_of_two_that_create_a_file_the_first_one_stays(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file.txt"
    with creating(target) as late:
        late.write_text("late")
        with creating(target) as early:
            early.write_text("early")
    assert target.read_text() == "early"
    assert list(target.parent.iterdir()) == [target]
