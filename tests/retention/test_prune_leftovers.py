"""What killed runs and lost promotions leave anywhere in the workspace goes, after a day."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from driftune.config.workspace import Workspace
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, model_name, register
from driftune.retention.prune import plan, prune
from tests.conftest import World
from tests.crowning import DOMAIN, KEY, bring, pending

HOUR, DAY = 3600.0, 24 * 3600.0
PLACES = (
    ".mlflow.db.0123abcd.part",
    ".mlflow.db.0123abcd.part-journal",
    ".policies.json.0123abcd.part",
    "columns/.2026-03-02.json.0123abcd.part",
    "drift/2026-03-05/.windows.parquet.0123abcd.part",
    "metrics/.daily.prom.0123abcd.part",
    "challengers/2026-03-05.x/.checkpoint.safetensors.12.part",
    "reports/day/.2026-03-05.html.0123abcd.part",
)


def dropped(world: World, seconds: float) -> list[str]:
    with Ledger(world.config) as ledger:
        found, _ = prune(world.config, ledger, time.time() + seconds)
    return sorted(each.what for each, _ in found if each.kind == "leftovers")


def test_unfinished_files_go_wherever_they_lie(ingested_world: World) -> None:
    home = Workspace(ingested_world.config).home
    for place in PLACES:
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text("half")
    kept = [home / "reports" / ".partly", home / "prefect" / ".x.part", home / "a.part"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("whole")
    assert dropped(ingested_world, 23 * HOUR) == []
    assert dropped(ingested_world, 25 * HOUR) == sorted(f"workspace/{each}" for each in PLACES)
    assert not [place for place in PLACES if (home / place).exists()]
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("owner", [None, "", "half"])
def test_a_staged_day_whose_owner_was_not_written_goes_after_a_day(
    ingested_world: World, owner: str | None
) -> None:
    folder = Workspace(ingested_world.config).staging / "2026-03-05-0123abcd"
    folder.mkdir(parents=True)
    if owner is not None:
        (folder / ".owner").write_text(owner)
    assert dropped(ingested_world, 23 * HOUR) == []
    assert dropped(ingested_world, 25 * HOUR) == [f"staging/{folder.name}"]
    assert not folder.exists()


def test_the_half_of_a_challenger_that_was_killed_goes_once(ingested_world: World) -> None:
    half = Workspace(ingested_world.config).challengers / ".2026-03-05.x.0123abcd.part"
    half.mkdir(parents=True)
    (half / "adapter.safetensors").write_bytes(b"half")
    assert dropped(ingested_world, 25 * HOUR) == [f"workspace/challengers/{half.name}"]
    assert not half.exists()


@pytest.fixture
def files(trained_world: World) -> Any:
    """A folder of files to register."""
    folder = trained_world.root / "files"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    return folder


def registered(world: World, decision: str, files: Any) -> str:
    about = SimpleNamespace(
        id=decision, domain=DOMAIN, domain_key=KEY, day="2026-03-05", backbone="b",
        data_version="v",
    )  # fmt: skip
    return register(world.config, about, folder=files, sha256="a" * 64, version=1, gate=None)


def in_mlflow(world: World) -> list[str]:
    found = client(world.config).search_model_versions(f"name = '{model_name(KEY)}'")
    return sorted(str(each.version) for each in found)


def test_a_version_that_no_promotion_recorded_goes_with_its_files(
    trained_world: World, files: Any
) -> None:
    version = registered(trained_world, "2026-03-05.of.nothing", files)
    runs = trained_world.config.home / "mlflow"
    assert len(list(runs.iterdir())) == 1
    assert dropped(trained_world, 23 * HOUR) == []
    told = f"MLflow's version {version} of {model_name(KEY)}, never promoted"
    assert dropped(trained_world, 25 * HOUR) == [told]
    assert in_mlflow(trained_world) == list(runs.iterdir()) == []
    assert dropped(trained_world, 25 * HOUR) == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_version_of_a_decision_that_is_open_waits_for_it(
    trained_world: World, files: Any
) -> None:
    decision = pending(trained_world, bring(trained_world, trained_world.day(3)))
    registered(trained_world, decision, files)
    assert dropped(trained_world, 25 * HOUR) == []
    assert in_mlflow(trained_world) == ["1"]


def test_a_run_that_was_killed_before_it_was_registered_goes(trained_world: World) -> None:
    config = trained_world.config
    registry = client(config)
    experiment = registry.create_experiment(
        config.registry.experiment, artifact_location=(config.home / "mlflow").as_uri()
    )
    run = registry.create_run(experiment, tags={"decision": "2026-03-05.of.nothing"})
    registry.log_text(run.info.run_id, "{}", "card.json")
    assert dropped(trained_world, 25 * HOUR) == [
        f"MLflow's run {run.info.run_id}, never registered"
    ]
    assert not (config.home / "mlflow" / run.info.run_id).exists()


def test_a_server_of_several_is_left_alone(trained_world: World, files: Any) -> None:
    registered(trained_world, "2026-03-05.of.nothing", files)
    store = f"sqlite:///{trained_world.config.home / 'mlflow.db'}"
    shared = World(trained_world.root, registry={"mlflow": store})
    with Ledger(shared.config) as ledger:
        assert plan(shared.config, ledger, time.time() + 25 * HOUR)[0] == []
    assert in_mlflow(trained_world) == ["1"]


def test_the_days_of_a_file_that_nobody_reads_any_more_go(ingested_world: World) -> None:
    home = Workspace(ingested_world.config).many_days
    for name in ("used", ".0123abcd.part"):
        (home / name).mkdir(parents=True)
    (home / "used" / "days.json").write_text("{}")
    assert dropped(ingested_world, 23 * HOUR) == []
    assert dropped(ingested_world, 25 * HOUR) == ["workspace/many-days/.0123abcd.part"]
    assert (home / "used").exists()
    keep = ingested_world.config.retention.caches
    assert keep is not None
    with Ledger(ingested_world.config) as ledger:
        found, _ = prune(ingested_world.config, ledger, time.time() + (keep + 1) * DAY)
    assert "used: a file of many days, by day" in [each.what for each, _ in found]
    assert not [*home.glob("used")]
