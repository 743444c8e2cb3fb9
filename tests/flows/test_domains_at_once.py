"""Domains at once: on threads, and on a real Ray cluster of two nodes, with the same outcome."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prefect import flow, task
from prefect.settings import PREFECT_API_URL, temporary_settings

from driftune.config import Config
from driftune.errors import ConfigError, DriftuneError
from driftune.registry.ledger import Ledger
from driftune.simulate import simulate
from flows.daily import daily
from tasks import fanout
from tests.conftest import World
from tests.flows.conftest import OTHER, SHIFT_DAY, TWO_SHIFTS, simulated_world
from tests.flows.outcomes import assert_equal
from tests.margins import assert_drift_by_far, assert_promoted_by_far
from tests.shifts import SHIFTED

# What only one of the two nodes has: the domain can run nowhere else.
PLACES = {SHIFTED: {"resources": {"left": 1}}, OTHER: {"resources": {"right": 1}}}


def with_runner(world: World, **runner: Any) -> World:
    params = yaml.safe_load(world.params.read_text())
    world.params.write_text(yaml.safe_dump({**params, "runner": runner}))
    return world


def with_log(world: World, name: str) -> None:
    params = yaml.safe_load(world.params.read_text())
    world.params.write_text(yaml.safe_dump({**params, "observe": {"log_file": name}}))


def told(world: World, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world.root / name).read_text().splitlines()]


@pytest.fixture
def worlds(_pretrained: Path, tmp_path: Path) -> tuple[World, World]:
    """Two copies of a pre-trained world in which two domains shift on one day."""
    made = []
    for name in ("one", "other"):
        shutil.copytree(_pretrained, tmp_path / name)
        made.append(simulated_world(tmp_path / name))
        simulate(TWO_SHIFTS, tmp_path / name / "logs", days=[SHIFT_DAY])
    return made[0], made[1]


@pytest.fixture
def address() -> Iterator[str]:
    """A Ray cluster of two nodes on this machine, each with a resource that the other lacks."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    from ray.cluster_utils import Cluster

    def node(resource: str) -> dict[str, Any]:
        return {
            "num_cpus": 2,
            "resources": {resource: 4},
            "object_store_memory": 100 * 2**20,
            "include_dashboard": False,
        }

    cluster = Cluster(initialize_head=True, head_node_args=node("left"))
    try:
        cluster.add_node(**node("right"))
        yield cluster.address
    finally:
        cluster.shutdown()


def assert_both_adapted(world: World) -> None:
    with Ledger(world.config) as ledger:
        rows = ledger.decisions()
        assert len(ledger.champions()) == 2
    acted = [row for row in rows if row.state != "stable"]
    assert {row.domain: row.state for row in acted} == {SHIFTED: "promoted", OTHER: "promoted"}
    assert_drift_by_far(rows, world.config)
    for row in acted:
        assert_promoted_by_far(row.gate, world.config)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_domains_at_once_end_as_one_after_the_other(worlds: tuple[World, World]) -> None:
    one, other = worlds
    daily(SHIFT_DAY, str(with_runner(one, threads=1).params))
    daily(SHIFT_DAY, str(with_runner(other, threads=4).params))
    assert_both_adapted(other)
    assert_equal(other, one)


@pytest.mark.slow
def test_a_day_on_processes_ends_as_on_threads_and_logs_as_one(
    worlds: tuple[World, World],
) -> None:
    threads, processes = worlds
    daily(SHIFT_DAY, str(threads.params))
    with_runner(processes, kind="processes", processes=2)
    with_log(processes, "run.jsonl")
    daily(SHIFT_DAY, str(processes.params))
    assert_both_adapted(processes)
    assert_equal(processes, threads)
    lines = told(processes, "run.jsonl")
    of_domains = [line for line in lines if line.get("domain") in (SHIFTED, OTHER)]
    assert {line["decision"] for line in of_domains if "decision" in line}
    assert {(line["flow"], line["day"], line["station"]) for line in of_domains} == {
        ("daily", str(SHIFT_DAY), "adapt")
    }


@task
def killed(config: Config, told: dict[str, str]) -> None:
    os.kill(os.getpid(), 9)


@pytest.mark.slow
@pytest.mark.ci
def test_a_process_that_is_killed_is_one_line(simulated: World) -> None:
    config = with_runner(simulated, kind="processes", processes=1).config

    @flow
    def spread() -> None:
        with fanout.fan_out(config) as domains:
            domains.each(killed, [(SHIFTED, {}), (OTHER, {})], long=True)

    with pytest.raises(DriftuneError, match="a worker process was killed"):
        spread()


@pytest.mark.slow
def test_a_day_on_two_ray_nodes_ends_as_on_threads(
    worlds: tuple[World, World], address: str
) -> None:
    threads, ray = worlds
    daily(SHIFT_DAY, str(threads.params))
    with_runner(ray, kind="ray", address=address, needs={"cpus": 0.5}, domains=PLACES)
    with_log(ray, "run.jsonl")
    daily(SHIFT_DAY, str(ray.params))
    assert_both_adapted(ray)
    assert_equal(ray, threads)
    assert {SHIFTED, OTHER} <= {line.get("domain") for line in told(ray, "run.jsonl")}


def test_an_address_at_which_no_cluster_answers_is_one_line(simulated: World) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with_runner(simulated, kind="ray", address=address)
        with pytest.raises(ConfigError, match=f"no Ray cluster answers at {address}") as error:
            daily(SHIFT_DAY, str(simulated.params))
    assert "\n" not in str(error.value)


def test_without_the_extra_the_line_says_what_to_install(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    config = with_runner(simulated, kind="ray").config
    with pytest.raises(ConfigError, match=r"pip install -c constraints.txt -e '\.\[ray\]'"):
        fanout.fan_out(config).__enter__()


@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_without_a_server_that_workers_reach_they_are_refused(simulated: World, kind: str) -> None:
    if kind == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    config = with_runner(simulated, kind=kind).config
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ConfigError, match="PREFECT_API_URL is not set"),
    ):
        fanout.fan_out(config).__enter__()


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("assigned", "seen"), [([], ""), (["1"], "1")])
def test_a_worker_sees_the_gpus_that_its_domain_needs(
    monkeypatch: pytest.MonkeyPatch, assigned: list[str], seen: str
) -> None:
    """Ray's own function, which it calls in the worker before each task."""
    ray = pytest.importorskip("ray")
    from ray._private.utils import set_visible_accelerator_ids

    for name, value in {**fanout.worker_environment(), "CUDA_VISIBLE_DEVICES": "0,1"}.items():
        monkeypatch.setenv(name, value)
    context = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": assigned})
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    set_visible_accelerator_ids()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen
