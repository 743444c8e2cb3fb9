"""Days to plant faults in: a simulated world that grows, and KuaiRand-Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.common import ROOT, say
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.importers.kuairand import import_kuairand
from driftune.intake.ingest import domains_for, ensure_reference
from driftune.intake.stage import stage
from driftune.lake.scratch import scratch
from driftune.lake.source import fetch
from driftune.quality.check import Check
from driftune.quality.checkpoint import Checkpoint, validate
from driftune.quality.day_profile import write_profile
from driftune.quality.profile import measure
from driftune.registry.ledger import Ledger
from driftune.simulate.days import Simulator
from driftune.simulate.settings import SimulationConfig
from driftune.training.pretrain import pretrain

# Of the requests on the first day beside the last one, and of the users who are there from it on.
GROWTH, AT_FIRST = 0.8, 0.95


@dataclass(frozen=True)
class World:
    """A log whose reference days are in a lake; ``later``: the days after them, in order."""

    config: Config
    later: Sequence[date]
    draw: Callable[[date], pd.DataFrame]

    def write(self, day: date, frame: pd.DataFrame) -> None:
        """Write a day's file."""
        # A column of text and numbers is delivered as text.
        changed = {}
        for name in frame.select_dtypes("object"):
            given = frame[name].notna()
            if len({isinstance(value, str) for value in frame.loc[given, name]}) > 1:
                changed[name] = frame[name].where(~given, frame[name].astype(str))
        path = self.config.root / self.config.source.uri.format(day=day)
        frame.assign(**changed).to_parquet(path, index=False)

    def validate(self, day: date) -> Checkpoint:
        """Validate the day's file."""
        with scratch(self.config, day) as folder:
            known = domains_for(self.config, day)
            fetched = fetch(self.config, day, folder)
            return validate(self.config, stage(self.config, fetched, known, folder / "day.duckdb"))

    def settle(self, days: Sequence[date]) -> None:
        """Make clean days known, for those after them to be compared with."""
        for day in days:
            self.write(day, self.draw(day))
            with scratch(self.config, day) as folder:
                known = domains_for(self.config, day)
                fetched = fetch(self.config, day, folder)
                staged = stage(self.config, fetched, known, folder / "day.duckdb")
                write_profile(Workspace(self.config), measure(self.config, staged))

    def clean(self, days: Sequence[date]) -> dict[date, list[Check]]:
        """Validate clean days in order, and what each of them breaks."""
        found = {}
        for day in days:
            self.write(day, self.draw(day))
            outcome = self.validate(day)
            write_profile(Workspace(self.config), outcome.judged.profile)
            found[day] = broken(outcome)
            for check in found[day]:
                say(f"{day} clean: {check.rule} {check.severity}: {check.detail}")
        return found


def broken(found: Checkpoint) -> list[Check]:
    """What is broken and is more than information."""
    return [check for check in found.checks if not check.success and check.severity != "info"]


def simulated(folder: Path, seed: int, reference: int, days: int, rows: int) -> World:
    """Tastes follow the weekday and wander, volumes are noisy, items, users and requests grow."""
    settings = SimulationConfig(
        seed=seed,
        start=date(2026, 3, 2),
        days=reference + days,
        rows_per_domain=rows,
        volumes=(1.0, 2.0, 0.7, 1.5, 1.0, 0.5),
        volume_noise=0.1,
        seasonality=0.2,
        taste_noise=0.05,
        arrivals=0.1,
    )
    simulator, calendar = Simulator.build(settings), settings.calendar
    joined = np.random.default_rng(seed).random(settings.users)

    def draw(day: date) -> pd.DataFrame:
        past = (day - settings.start).days / settings.days
        frame = simulator.draw(day).to_pandas()
        names = ["user_id", "item_id", "request_id", "scene", "region", "category", "restaurant_id"]
        frame = frame.astype(dict.fromkeys(names, object))
        user = frame["user_id"].str[1:].astype(int).to_numpy()
        request = frame["request_id"].str[-5:].astype(int).to_numpy()
        there = joined[user] < AT_FIRST + (1 - AT_FIRST) * past
        asked = request % 100 < 100 * (GROWTH + (1 - GROWTH) * past)
        return frame[there & asked].reset_index(drop=True)

    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"] = {"uri": "logs/{day}.parquet"}
    params["reference"] = {
        "first": calendar[0].isoformat(),
        "last": calendar[reference - 1].isoformat(),
        "holdout": 0.2,
    }
    (folder / "logs").mkdir(parents=True)
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    world = World(load_config(file, env={}), calendar[reference:], draw)
    for day in calendar[:reference]:
        world.write(day, draw(day))
    return _with_reference(world)


def kuairand(folder: Path, source: Path) -> World:
    """KuaiRand-Pure as it is imported: 25 April-1 May are the reference, 2-8 May the later days."""
    import_kuairand(source, folder)
    config = load_config(folder / "params.yaml", env={})
    later = [config.reference.last + timedelta(days=n) for n in range(1, 8)]
    frames = {day: pd.read_parquet(folder / "logs" / f"impressions-{day}.parquet") for day in later}
    return _with_reference(World(config, later, lambda day: frames[day].copy()))


def _with_reference(world: World) -> World:
    with Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger, lambda *_: None)
        pretrain(world.config, ledger, "encode", lambda *_: None)
    say(f"reference days up to {world.config.reference.last} in the lake")
    return world
