"""How a configuration is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from driftune.errors import ConfigError
from tests.conftest import World


def refusal(make_world: Callable[..., World], **changes: Any) -> str:
    """The one line by which the sections of ``changes`` are refused."""
    with pytest.raises(ConfigError) as refused:
        _ = make_world(**changes).config
    line = str(refused.value)
    assert "\n" not in line
    assert "params.yaml: " in line
    return line
