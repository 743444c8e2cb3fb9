"""A pending decision with a challenger, ready to be claimed and concluded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel, save_adapter
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from driftune.registry.records.gate import Side
from tests.conftest import World
from tests.postgres import Postgres
from tests.records import as_records

BACKBONE = "b" * 64
KEY = "home-north"
WIDTH = 6

Decide = Callable[..., str]


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> Config:
    """The configuration of an empty world, with its ledger in either database."""
    if request.param == "sqlite":
        return make_world().config
    server: Postgres = request.getfixturevalue("postgres")
    return make_world(registry={"ledger": server.ledger()}).config


@pytest.fixture
def ledger(config: Config) -> Any:
    """The world's ledger."""
    with Ledger(config) as opened:
        yield opened


@pytest.fixture
def mlflow_store(config: Config, _mlflow_store: Path) -> None:
    """The world's empty store of MLflow."""
    config.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_mlflow_store, config.home / "mlflow.db")


@pytest.fixture
def decide(ledger: Ledger) -> Decide:
    """Write a decision; returns its id."""

    def write(day: str = "2026-03-10", key: str = KEY, state: str = "pending", **more: Any) -> str:
        values = {
            "id": f"{day}.{key}.r1.bbbbbbbb",
            "domain": f"name of {key}",
            "domain_key": key,
            "day": day,
            "revision": 1,
            "backbone": BACKBONE,
            "state": state,
            "score": 2.0,
            "scores": {"rule": "strong evidence"},
            "sentence": "Click rate moved.",
            "data_version": "v1",
            "champion_version": 0,
            **more,
        }
        row, _ = ledger.decide(**as_records(values))
        return row.id

    return write


def challenger(config: Config, decision: str, seed: int = 0, bottleneck: int = 2) -> Path:
    """A challenger's files for a decision."""
    torch.manual_seed(seed)
    kernel = IAKKernel(WIDTH, IAKConfig(bottleneck, 4, "replace"))
    folder = Workspace(config).challenger(decision)
    save_adapter(folder, Adapter({"representation": kernel}), {"domain": KEY, "backbone": BACKBONE})
    return folder


def report(decision: str = "promote", champion: int = 0) -> GateReport:
    """A gate report."""
    return GateReport(
        decision=decision,
        champion_version=champion,
        champion=Side(ctr_auc=0.61, rows=100),
        challenger=Side(ctr_auc=0.65, rows=100),
    )
