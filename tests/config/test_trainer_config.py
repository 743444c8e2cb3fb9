"""The key adapter.trainer: one of command and deployment, and what a change of it marks."""

from collections.abc import Callable
from typing import Any

import pytest

from driftune.config.marks import changed_settings, known_marks, settings_marks
from tests.config.refusals import refusal
from tests.conftest import World


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "names a command or a deployment: write one of them"),
        ({"command": ["x"], "deployment": "a/b"}, "names a command or a deployment"),
        ({"command": []}, "adapter.trainer.command = []: must not be empty"),
        ({"command": "python train.py"}, "must be a list, such as [a, b]"),
        ({"command": [""]}, "adapter.trainer.command.0 = '': must not be empty"),
        ({"deployment": "train"}, "deployment = 'train' is none: write the names of flow and"),
        ({"deployment": "train/"}, "deployment = 'train/' is none"),
        ({"deployment": "a/b/c"}, "deployment = 'a/b/c' is none"),
        ({"command": ["x"], "timeout_minutes": 0}, "timeout_minutes = 0: must be above 0"),
        ({"command": ["x"], "timeout": 3}, "unknown key 'adapter.trainer.timeout'"),
        ("train.py", "adapter.trainer = 'train.py': must hold keys, such as {command: …}"),
    ],
)
def test_a_wrong_trainer_is_one_line(
    make_world: Callable[..., World], given: dict[str, Any] | str, line: str
) -> None:
    assert line in refusal(make_world, adapter={"trainer": given})


def test_another_trainer_is_another_setting_and_another_time_out_none(
    make_world: Callable[..., World],
) -> None:
    without = make_world().config
    one = make_world(adapter={"trainer": {"command": ["a"]}}).config
    longer = make_world(adapter={"trainer": {"command": ["a"], "timeout_minutes": 9}}).config
    other = make_world(adapter={"trainer": {"deployment": "a/b"}}).config
    assert settings_marks(one) == settings_marks(longer)
    assert changed_settings(settings_marks(one), known_marks(other)) == ["adapter"]
    assert changed_settings(settings_marks(without), known_marks(one)) == ["adapter"]


def test_marks_of_releases_without_the_key_still_count(make_world: Callable[..., World]) -> None:
    import hashlib
    import json

    config = make_world().config
    later = {"trainer", "precision", "device", "start", "folds"}
    before = config.adapter.model_dump(mode="json", exclude=later)
    mark = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()[:12]
    assert changed_settings({"adapter": mark}, known_marks(config)) == []
