"""Seals: a JSON object says itself whether it holds what was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.io import DamagedFileError, sealed, unsealed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(
    st.text().filter(lambda name: name not in ("sealed", "sha256")), VALUES, max_size=4
)


@given(OBJECTS)
def test_what_was_sealed_comes_back(value: dict[str, object]) -> None:
    assert unsealed(json.loads(json.dumps(sealed(value)))) == json.loads(json.dumps(value))


@given(OBJECTS, st.data())
def test_a_changed_byte_is_seen_or_changes_nothing(
    value: dict[str, object], data: st.DataObject
) -> None:
    text = json.dumps(sealed(value)).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = bytearray(text)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = unsealed(json.loads(damaged.decode()))
    except ValueError:
        return
    assert found == json.loads(json.dumps(value))


def test_an_object_of_an_earlier_release_is_read_as_it_is() -> None:
    assert unsealed({"rows": 3}) == {"rows": 3}
    assert unsealed({"sha256": "VARCHAR", "sealed": "BIGINT"}) == {
        "sha256": "VARCHAR",
        "sealed": "BIGINT",
    }
    assert unsealed([1, 2]) == [1, 2]


def test_half_a_seal_is_damage() -> None:
    for gone in ("sealed", "sha256"):
        value = sealed({"rows": 3})
        del value[gone]
        with pytest.raises(DamagedFileError, match="checksum"):
            unsealed(value)
