"""prefect.yaml as Prefect reads it: entry points, parameters, schedules, triggers fit the flows."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, PrefectYamlModel
from prefect.cli.deploy._triggers import DeploymentTriggerAdapter
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from tasks import drift
from tests.conftest import World

ROOT = Path(__file__).parents[2]
# What is asked of who starts a run by hand, by deployment.
ASKED = {"replay": {"first", "last"}, "decide_again": {"day", "who"}}


@pytest.fixture(scope="module")
def deployments() -> dict[str, DeploymentConfig]:
    read = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    return {str(one.name): one for one in read.deployments}


def flow_of(deployment: DeploymentConfig, monkeypatch: pytest.MonkeyPatch) -> Flow[..., Any]:
    monkeypatch.chdir(ROOT)
    return load_flow_from_entrypoint(str(deployment.entrypoint))


def trigger_of(deployment: DeploymentConfig) -> DeploymentEventTrigger:
    (spec,) = deployment.triggers or []
    trigger = DeploymentTriggerAdapter.validate_python({"name": "adapt", **spec})
    assert isinstance(trigger, DeploymentEventTrigger)
    return trigger


def test_every_flow_is_deployed_under_its_own_name(
    deployments: dict[str, DeploymentConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert set(deployments) == files
    assert {flow_of(one, monkeypatch).name for one in deployments.values()} == files


def test_parameters_are_those_of_the_flows(
    deployments: dict[str, DeploymentConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, deployment in deployments.items():
        flow = flow_of(deployment, monkeypatch)
        schema = parameter_schema(flow)
        given = set(deployment.parameters)
        for spec in deployment.triggers or []:
            given |= set(spec["parameters"])
        assert given <= set(schema.properties), name
        # What is left out has a default, or is asked of who starts the run.
        missing = set(schema.required) - given
        assert missing == ASKED.get(name, set()), name
        if not missing:
            flow.validate_parameters(deployment.parameters)


def test_schedules_name_their_zone_and_limits_what_happens_beyond_them(
    deployments: dict[str, DeploymentConfig],
) -> None:
    scheduled = {name for name, one in deployments.items() if one.schedules}
    assert scheduled == {"daily", "reconcile", "guard", "pretrain"}
    for name, deployment in deployments.items():
        for given in deployment.schedules or []:
            plain = given if isinstance(given, dict) else given.model_dump(exclude_unset=True)
            cron = CronSchedule(cron=plain["cron"], timezone=plain["timezone"])
            assert ZoneInfo(str(cron.timezone))
            assert DeploymentScheduleCreate(schedule=cron, active=plain["active"]).active
        limit = deployment.concurrency_limit
        if name not in ASKED:
            assert isinstance(limit, ConcurrencyLimitSpec)
            assert ConcurrencyLimitStrategy(limit.collision_strategy)
    assert deployments["adapt"].concurrency_limit.limit > 1


def test_training_has_a_pool_of_its_own(deployments: dict[str, DeploymentConfig]) -> None:
    pools = {name: one.work_pool.name for name, one in deployments.items() if one.work_pool}
    assert {name for name, pool in pools.items() if pool == "gpu"} == {"adapt", "pretrain"}
    assert {name for name, pool in pools.items() if pool == "default"} == set(pools) - {
        "adapt",
        "pretrain",
    }


def test_the_alert_s_event_wakes_adapt_with_what_it_needs(
    deployments: dict[str, DeploymentConfig], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(drift, "emit_event", lambda **event: told.append(event))
    with Ledger(world.config) as ledger:
        decision, _ = ledger.decide(
            id="2026-03-10.home-north.r1",
            domain="home · north",
            domain_key="home-north",
            day="2026-03-10",
            revision=1,
            backbone="b",
            state="pending",
            score=2.0,
            scores=Scores(),
            sentence="Moved.",
            data_version="v",
            champion_version=0,
        )
    drift.alert.fn(world.config, decision.id)
    (event,) = told
    trigger = trigger_of(deployments["adapt"])
    assert trigger.expect == {event["event"]}
    assert trigger.for_each == {"prefect.resource.id"}
    assert trigger.match.matches(event["resource"])
    assert trigger.parameters == {
        "domain": "{{ event.payload.domain_key }}",
        "config": "{{ event.payload.config }}",
    }
    payload = event["payload"]
    assert (payload["domain_key"], payload["decision_id"]) == (decision.domain_key, decision.id)
    assert (payload["day"], payload["score"]) == (decision.day, decision.score)
    assert payload["config"] == str(world.params)
