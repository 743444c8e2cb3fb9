"""The drill of bits: single flipped bits in each kind of file that decides.

``python -m tests.faults.bits --flips 400 --seed 1``: each flip must leave what is read as it was
(made anew or untouched), or be refused in one line. Another value, or a traceback, is a failure.
"""

import argparse
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch

from driftune.config.workspace import Workspace
from driftune.drift.measure import measure_domain
from driftune.drift.windows import DomainWindow, draw_windows, read_profiles
from driftune.errors import DriftuneError
from driftune.features.encoder import load_encoder, load_vocabulary
from driftune.intake.columns import read_columns
from driftune.intake.ingest import ingest
from driftune.intake.lost import check_days
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.models.adapters import (
    Adapter,
    AdapterFileError,
    IAKConfig,
    IAKKernel,
    fingerprint,
    load_adapter,
    save_adapter,
)
from driftune.models.backbone import load_backbone, trained_until
from driftune.quality.day_profile import read_profile
from driftune.quality.record import read_quality
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import encoder_folder, pretrain
from tests.conftest import World

REFUSED = "refused"


class Drill(NamedTuple):
    """A world whose files are damaged, and the windows of its newest day."""

    world: World
    windows: list[DomainWindow]


Read = Callable[[Drill], object]


def prepared(world: World) -> Drill:
    """Take a day into a pre-trained world, draw its windows, and write an adapter."""
    world.write(world.day(3))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, world.day(3))
        windows = draw_windows(world.config, ledger, world.day(3))
    torch.manual_seed(0)
    adapter = Adapter({"representation": IAKKernel(8, IAKConfig(2, 4, "replace"))})
    save_adapter(world.root / "adapter", adapter, {"backbone": "b"})
    return Drill(world, windows)


def rows_of_lake(drill: Drill) -> object:
    world = drill.world
    lake = Lake.of(world.config)
    with Ledger(world.config) as ledger, connect(reach=[world.root]) as con:
        check_days(world.config, ledger, world.day(4))
        table = lake.relation(lake.days)
        return con.execute(f"SELECT count(*), bit_xor(hash(r)) FROM {table} AS r").fetchone()


def drift_of_day(drill: Drill) -> object:
    """What drift measures; caches are made anew where they are damaged."""
    world = drill.world
    with Ledger(world.config) as ledger:
        windows = draw_windows(world.config, ledger, world.day(3))
    return repr([measure_domain(world.config, window) for window in windows])


def windows_of_day(drill: "Drill") -> object:
    """Windows as they lie there, without drawing them anew."""
    return [
        (str(day), part, values.tolist())
        for window in drill.windows
        for day, profile in read_profiles(drill.world.config, window).items()
        for part, values in profile.parts.items()
    ]


def encoder(drill: Drill) -> object:
    world = drill.world
    found = load_encoder(encoder_folder(world.config))
    with connect(reach=[world.root]) as con:
        load_vocabulary(con, found)
        tables = [
            con.execute(f"SELECT bit_xor(hash(v)), count(*) FROM vocabulary_{n} AS v").fetchone()
            for n in range(len(found.fields))
        ]
    return found.fingerprint, found.fields, found.means, found.scales, tables


def backbone(drill: Drill) -> object:
    world = drill.world
    folder = Workspace(world.config).model / "backbone"
    fitted = load_encoder(encoder_folder(world.config)).fingerprint
    model, mark = load_backbone(folder, fitted)
    return fingerprint(model), mark, trained_until(folder)


def adapter(drill: Drill) -> object:
    world = drill.world
    try:
        found, card = load_adapter(world.root / "adapter", backbone="b")
    except AdapterFileError as error:
        raise DriftuneError(str(error)) from None
    return fingerprint(found), dict(card)


def quality(drill: Drill) -> object:
    found = [read_quality(Workspace(drill.world.config), day) for day in _days(drill)]
    if None in found:
        # It is told in the log, and the day counts as not taken in.
        raise DriftuneError("a day has no quality record")
    return [vars(record) for record in found if record is not None]


def figures(drill: Drill) -> object:
    return [read_profile(Workspace(drill.world.config), day) for day in _days(drill)]


def columns(drill: Drill) -> object:
    return [read_columns(drill.world.config, day) for day in _days(drill)]


def _days(drill: Drill) -> list[date]:
    return [drill.world.day(number) for number in range(4)]


KINDS: dict[str, tuple[str, Read]] = {
    "lake file": ("workspace/lake/day=*/*.parquet", rows_of_lake),
    "lake log": ("workspace/lake/_delta_log/*.json", rows_of_lake),
    "encoded day": ("workspace/features/*.parquet", drift_of_day),
    "drift profile": ("workspace/drift/profiles/*.parquet", drift_of_day),
    "drift windows": ("workspace/drift/*/windows.parquet", windows_of_day),
    "encoder": ("workspace/model/encoder/*", encoder),
    "backbone": ("workspace/model/backbone/backbone.*", backbone),
    "adapter": ("adapter/*", adapter),
    "quality record": ("workspace/quality/2*.json", quality),
    "day's figures": ("workspace/quality/profiles/*.json", figures),
    "day's columns": ("workspace/columns/*.json", columns),
}


def flip(drill: Drill, kind: str, flips: int, seed: int) -> Counter[str]:
    """Flip bits one after the other, each alone; returns how each ended."""
    pattern, read = KINDS[kind]
    draws, found = random.Random(f"{seed} {kind}"), Counter[str]()
    world = drill.world
    wanted = read(drill)
    files = sorted(path for path in world.root.glob(pattern) if path.is_file())
    assert files, kind
    for _ in range(flips):
        path = draws.choice(files)
        content = path.read_bytes()
        place = draws.randrange(len(content))
        damaged = bytearray(content)
        damaged[place] ^= 1 << draws.randrange(8)
        path.write_bytes(damaged)
        try:
            same = read(drill) == wanted
            found["as it was" if same else f"ANOTHER VALUE {path.name} {place}"] += 1
        except DriftuneError as error:
            assert "\n" not in str(error)
            found[REFUSED] += 1
        except Exception as error:  # What the drill is for.
            found[f"TRACEBACK {type(error).__name__}: {error} {path.name} {place}"[:300]] += 1
        path.write_bytes(content)
    return found


def main() -> None:
    """Run the drill; exit 1 on another value or a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "world").with_reference()
        with Ledger(world.config) as ledger:
            pretrain(world.config, ledger)
        drill = prepared(world)
        for kind in given.kind or KINDS:
            found = flip(drill, kind, given.flips, given.seed)
            failed |= bool(found.keys() - {"as it was", REFUSED})
            print(f"{kind}: {dict(found)}", flush=True)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
