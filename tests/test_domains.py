"""Domain keys: safe, short, stable, and different for different names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.domains import domain_key
from driftune.lake.roles import DOMAIN_JOIN
from driftune.simulate.settings import domain_name

NAMES = st.text(max_size=400)


@given(NAMES)
def test_a_key_is_safe_in_files_models_and_urls(name: str) -> None:
    key = domain_key(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{8}", key)
    assert len(key) <= 41
    assert domain_key(name) == key


@given(NAMES, NAMES)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert (domain_key(one) == domain_key(other)) is (one == other)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("home · north", "home-north-e7345155"),
        ("../../x", "x-"),
        ("外卖 首页", "d-"),
        ("<script>", "script-"),
        ("Café", "cafe-"),
    ],
)
def test_keys_stay_what_they_are(name: str, key: str) -> None:
    assert domain_key(name).startswith(key)


def test_half_a_surrogate_pair_has_a_key() -> None:
    assert domain_key("\ud83d").startswith("d-")


def test_the_simulator_names_domains_as_the_lake_joins_them() -> None:
    assert domain_name("home", "north") == f"home{DOMAIN_JOIN}north"
