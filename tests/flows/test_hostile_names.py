"""A day of domains with hostile names is decided as that of plain ones."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from driftune.domains import domain_key
from driftune.registry.ledger import Ledger
from driftune.simulate import simulate
from driftune.training.pretrain import pretrain
from flows.daily import daily
from tests.conftest import World, make_mlflow_store
from tests.flows.conftest import SHIFT_DAY, SIMULATION, simulated_world
from tests.hostile import NAMES

PLAIN = sorted(SIMULATION.domains, key=domain_key)
HOSTILE = ["".join(NAMES[number :: len(PLAIN)]).strip(" ") for number in range(len(PLAIN))]
# In the same order, for whatever goes through domains by their keys to be the same.
RENAMED = dict(zip(PLAIN, sorted(HOSTILE, key=domain_key), strict=True))


def decided(world: World) -> dict[str, tuple[str, bool]]:
    """What was decided by domain, and whether a champion came of it."""
    found = {}
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
        make_mlflow_store(world.config.home)
        daily(SHIFT_DAY, str(world.params))
        champions = {row.domain for row in ledger.champions().values()}
        for row in ledger.decisions():
            found[row.domain] = row.state, row.domain in champions
    return found


def lived(folder: Path, names: dict[str, str]) -> dict[str, tuple[str, bool]]:
    """A world whose domains have these names, after a day."""
    world = simulated_world(folder)
    simulate(SIMULATION, folder / "logs")
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    params["columns"]["domain"] = "place"
    world.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    for path in (folder / "logs").glob("*.parquet"):
        rows = pd.read_parquet(path)
        place = (rows["scene"] + " · " + rows["region"]).map(names)
        rows.assign(place=place).to_parquet(path, index=False)
    return decided(world)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.great_expectations
def test_hostile_names_are_decided_as_plain_ones(tmp_path: Path) -> None:
    plain = lived(tmp_path / "plain", dict(zip(PLAIN, PLAIN, strict=True)))
    hostile = lived(tmp_path / "hostile", RENAMED)
    assert hostile == {RENAMED[domain]: ended for domain, ended in plain.items()}
    assert any(champion for _, champion in hostile.values())
