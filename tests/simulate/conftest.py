"""The demo's logs, written once for all tests of this folder."""

from pathlib import Path

import pandas as pd
import pytest

from driftune.simulate import SimulationConfig, demo_config, simulate


@pytest.fixture(scope="session")
def demo() -> SimulationConfig:
    return demo_config()


@pytest.fixture(scope="session")
def demo_files(demo: SimulationConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return simulate(demo, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def demo_logs(demo_files: list[Path]) -> pd.DataFrame:
    logs = pd.concat([pd.read_parquet(path) for path in demo_files], ignore_index=True)
    logs["day"] = logs["event_time"].dt.date
    logs["domain"] = logs["scene"] + " · " + logs["region"]
    return logs
