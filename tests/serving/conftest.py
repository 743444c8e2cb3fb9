"""A served world: ids of many types, nulls, unknown ids, odd numbers, and two champions."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftune.domains import domain_key
from driftune.features.days import encode_day
from driftune.intake.ingest import ensure_reference
from driftune.project import Project
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.serving.export import export
from driftune.training.pretrain import load_model, pretrain
from driftune.training.rows import load_rows
from driftune.training.scoring import score
from tests.checkpoint import judged_plainly
from tests.conftest import DOMAINS, REFERENCE_DAYS, World, impressions, made_once
from tests.crowning import bring, crown, random_adapter

# What orders the rows of an encoded day once it is loaded.
ORDER = ["event_time", "domain", "user_id", "item_id", "request_id", "position"]
CHANGES = {
    "columns": {"domain": ["scene", "region"]},
    "features": {
        "categorical": {
            name: name
            for name in ("restaurant_id", "shop", "cents", "opened", "weight", "fresh", "since")
        },
        "numerical": ["distance", "stock", "rating", "fee"],
        "debias": {"position": 1},
    },
    "timezone": "Europe/Berlin",
}


def logs(day: date, rows: int = 900, *, unknown: bool = False) -> pd.DataFrame:
    """A day of logs with ids and numbers of many types."""
    frame = impressions(day, rows)
    rng = np.random.default_rng([5, day.toordinal()])
    frame["region"] = np.where(frame.region == "south", "old · town", frame.region)
    shops = rng.integers(-5, 40, rows) + (1000 if unknown else 0)
    frame["shop"] = pd.array(np.where(rng.random(rows) < 0.1, None, shops), "Int64")
    frame["cents"] = pd.array(np.round(rng.integers(0, 30, rows) / 4, 2))
    frame["opened"] = pd.array(rng.random(rows) < 0.5)
    frame["weight"] = (rng.integers(0, 9, rows) / 8).astype("float32")
    frame["fresh"] = pd.array([f"caf\u00e9 {n}\n" for n in rng.integers(0, 9, rows)])
    frame["since"] = pd.Timestamp("2020-01-01 10:00") + pd.to_timedelta(
        rng.integers(0, 9, rows) * 500, unit="ms"
    )
    frame["since"] = frame["since"].astype("datetime64[us]")
    frame["distance"] = rng.normal(0, 1000, rows)
    frame["stock"] = pd.array(np.where(rng.random(rows) < 0.1, None, shops), "Int64")
    frame["rating"] = rng.random(rows).astype("float32")
    frame["fee"] = [None if n < 10 else f" {n / 7:.5f}" for n in rng.integers(0, 99, rows)]
    frame.loc[frame.index % 17 == 0, "category"] = None
    frame.loc[frame.index % 19 == 0, "price"] = None
    if unknown:
        frame.loc[frame.index % 5 == 0, "user_id"] = "nobody"
        frame.loc[frame.index % 7 == 0, "item_id"] = [f"new {n}" for n in range(0, rows, 7)]
        frame.loc[frame.index % 11 == 0, "price"] *= -1
    return frame


def plant(world: World) -> None:
    """Two of the domains have champions."""
    for number, domain in enumerate((*DOMAINS[:1], "search · old \\· town")):
        adapter = random_adapter(world)
        with_seed = adapter.state_dict()
        for tensor in with_seed.values():
            if tensor.is_floating_point():
                tensor.mul_(1 + number)
        crown(world, adapter, world.config.reference.days, domain=domain)


@dataclass(frozen=True)
class Bundled:
    """A world with a bundle of its last reference day, and the day after in its lake."""

    world: World
    bundle: Path
    day: date

    @property
    def rows(self) -> pa.Table:
        """The rows of the day after, in the order of ``expected``."""
        frame = logs(self.day, unknown=True)
        frame["domain"] = [
            domain_key(f"{scene} · {region.replace('·', chr(92) + '·')}")
            for scene, region in zip(frame.scene, frame.region, strict=True)
        ]
        frame = frame.sort_values(ORDER, kind="stable").drop(columns="domain")
        return pa.Table.from_pandas(frame, preserve_index=False)

    def loaded(self):
        """Encoder, model, bank, and the day's rows as training has them."""
        config = self.world.config
        encoder, model, mark = load_model(config)
        rows = load_rows(encoder, [encode_day(config, encoder, self.day)])
        keys = sorted(set(rows.domain_key.tolist()))
        with Ledger(config) as ledger:
            _, bank = champions_for(config, ledger, mark, keys)
        return encoder, model, bank, rows

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores that training would give the day's rows."""
        _, model, bank, rows = self.loaded()
        return score(model, rows, bank)


def pretrained(world: World) -> None:
    """The reference days are in the lake, and a base is trained on them."""
    write_reference(world)
    with judged_plainly(), Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger)
        pretrain(world.config, ledger)


def write_reference(world: World) -> None:
    """The logs of the reference days."""
    for number in range(REFERENCE_DAYS):
        world.write(world.day(number), logs(world.day(number)))


def bundled(world: World) -> None:
    """A bundle of what serves now, and the day after it in the lake."""
    with Project(world.config) as project:
        export(project, world.root / "bundle")
    with judged_plainly():
        day = world.day(REFERENCE_DAYS)
        bring(world, day, logs(day, unknown=True))


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world = World(folder, **CHANGES)
        pretrained(world)
        plant(world)
        bundled(world)

    return made_once(tmp_path_factory, "served", make)


@pytest.fixture
def served(_served: Path, tmp_path: Path) -> Bundled:
    """A copy of a world with a bundle and the day after it."""
    world = World.copied(_served, tmp_path / "served")
    return _bundled(world)


@pytest.fixture
def read_only(_served: Path) -> Bundled:
    """The same, itself: for tests that write nothing."""
    return _bundled(World.at(_served))


def _bundled(world: World) -> Bundled:
    return Bundled(world, world.root / "bundle", world.day(REFERENCE_DAYS))
