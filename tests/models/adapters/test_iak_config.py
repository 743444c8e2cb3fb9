"""The kernel's settings: what is allowed, and a faithful way to and from JSON values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.models.adapters import IAKConfig

configs = st.builds(
    IAKConfig,
    bottleneck=st.integers(1, 512),
    hidden=st.integers(1, 4096),
    combine=st.sampled_from(["residual", "replace"]),
    beta=st.floats(0, 10),
)


@given(configs)
def test_settings_survive_json(config: IAKConfig) -> None:
    assert IAKConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_left_out_keys_take_their_defaults() -> None:
    assert IAKConfig.from_dict({"bottleneck": 3}) == IAKConfig(3, 64, "residual", 1e-3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bottleneck", 0),
        ("bottleneck", 2.0),
        ("bottleneck", True),
        ("hidden", -1),
        ("hidden", "64"),
        ("combine", "add"),
        ("beta", -1e-3),
        ("beta", float("nan")),
        ("beta", float("inf")),
        ("beta", "0.1"),
        ("beta", True),
    ],
)
def test_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} is"):
        IAKConfig.from_dict({field: value})


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown rank"):
        IAKConfig.from_dict({"bottleneck": 3, "rank": 8})
