"""Where domains are worked on: the section, its short form, and what a domain may take."""

from typing import Any

import pytest

from driftune.config.loading import load_config
from driftune.config.runner import Needs, Runner
from driftune.errors import ConfigError


def test_the_name_alone_is_enough(make_world) -> None:
    assert make_world(runner="ray").config.runner == Runner(kind="ray")


def test_the_environment_can_choose_it(make_world) -> None:
    env = {"DRIFTUNE__RUNNER__KIND": "ray", "DRIFTUNE__RUNNER__ADDRESS": "head:6379"}
    runner = load_config(make_world().params, env=env).runner
    assert (runner.kind, runner.address) == ("ray", "head:6379")
    assert load_config(make_world().params, env={"DRIFTUNE__RUNNER": "ray"}).runner.kind == "ray"


def test_a_domain_changes_only_what_it_names() -> None:
    runner = Runner.model_validate(
        {
            "needs": {"cpus": 2, "memory": "1.5GB"},
            "domains": {"home": {"gpus": 0.25, "resources": {"big": 1}}},
        }
    )
    usual = {"num_cpus": 2.0, "num_gpus": 0.0, "memory": 1_500_000_000}
    assert runner.options("search") == usual
    assert runner.options("home") == {**usual, "num_gpus": 0.25, "resources": {"big": 1.0}}


@pytest.mark.parametrize(
    ("needs", "wanted"),
    [
        ({}, 64),
        ({"cpus": 0.5}, 128),
        ({"gpus": 1}, 4),
        ({"gpus": 0.25, "cpus": 8}, 8),
        ({"memory": "100GB"}, 2),
        ({"resources": {"big": 1}}, 3),
        ({"cpus": 0}, 64),
        ({"gpus": 8}, 1),
        ({"resources": {"rare": 1}}, 1),
    ],
)
def test_a_cluster_takes_as_many_tasks_as_its_scarcest_resource(
    needs: dict[str, Any], wanted: int
) -> None:
    has = {"CPU": 64.0, "GPU": 4.0, "memory": 2.5e11, "big": 3.0}
    assert Needs.model_validate(needs).at_once(has) == wanted


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ("spark", "runner.kind = 'spark': must be 'threads', 'processes' or 'ray'"),
        ({"needs": {"gpus": 1.5}}, "runner.needs.gpus = 1.5: must be a whole number"),
        ({"needs": {"memory": "2 GB"}}, "runner.needs.memory = '2 GB'"),
        ({"domains": {"home": {"cores": 1}}}, "unknown key 'runner.domains.home.cores'"),
        ({"threads": 0}, "runner.threads = 0"),
    ],
)
def test_a_wrong_value_is_one_line(make_world, wrong: Any, wanted: str) -> None:
    with pytest.raises(ConfigError) as error:
        _ = make_world(runner=wrong).config
    assert wanted in str(error.value)
