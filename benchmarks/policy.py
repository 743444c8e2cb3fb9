"""When to fine-tune: Driftune's policy and others over the same days, in worlds and on KuaiRand.

The yardstick is the refresh: every measurable domain fine-tuned every day by the same recipe, and
promoted without gate or guard. Gains in simulated worlds are of true AUC. A run that was stopped
goes on with ``--folder``: each policy in each world is kept there as soon as it is done.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, finish, options, say
from benchmarks.drift_world import prepare
from benchmarks.policy_figures import Run, figures, outcomes, show
from benchmarks.policy_rivals import rivals
from benchmarks.policy_signals import WatchingMeter
from benchmarks.policy_world import (
    PLANTED,
    QUICK_REFERENCE,
    REFERENCE,
    TrueMeter,
    world,
)
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.importers.kuairand import import_kuairand
from driftune.intake.ingest import ingest
from driftune.io import write_json
from driftune.policies.follow import follow
from driftune.policies.rules import NEVER, REFRESH, Policy, policies
from driftune.policies.trial import Outcomes, Trial
from driftune.registry.ledger import Ledger
from driftune.simulate.events import changes
from driftune.training.pretrain import ensure_backbone

SEEDS = tuple(range(1, 11))
KUAIRAND = (date(2022, 5, 2), date(2022, 5, 8))
KUAIRAND_BEFORE = 4
# A world that ends in a minute: fewer epochs, a smaller net.
QUICK_PARAMS: Mapping[str, str] = {
    "batch_size: 512": "batch_size: 1024",
    "hidden: [128, 64]": "hidden: [32, 16]",
    "epochs: 12": "epochs: 4",
    "beta: [0, 0.001]": "beta: [0]",
    "resamples: 1000": "resamples: 200",
}
Kept = dict[str, Any]


def main() -> None:
    """Follow, print."""
    parser = options(__doc__ or "", data=True)
    parser.add_argument("--seeds", type=int, nargs="+", help="of the worlds (default: 1 to 10)")
    parser.add_argument(
        "--world", choices=sorted(PLANTED), default="shifts", help="what is planted"
    )
    parser.add_argument(
        "--folder", type=Path, help="keep worlds and runs here, and go on with them"
    )
    parser.add_argument("--only", choices=["simulation", "kuairand"])
    given = parser.parse_args()
    seeds = tuple(given.seeds or (SEEDS[:1] if given.quick else SEEDS))
    found: dict[str, Any] = {"benchmark": "policy", "quick": given.quick, "world": given.world}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if given.only != "kuairand":
            found |= on_simulation(folder, seeds, given.world, quick=given.quick)
        if given.only != "simulation" and given.data.is_dir() and not given.quick:
            found["kuairand"] = on_kuairand(folder, given.data)
    finish(found)


def on_simulation(folder: Path, seeds: Sequence[int], kind: str, *, quick: bool) -> dict[str, Any]:
    """Every policy in every world; returns the figures over all of them."""
    kept: dict[str, dict[str, Kept]] = {}
    for seed in seeds:
        name = f"{kind}-{seed}{'-quick' if quick else ''}"
        kept[name] = _in_world(folder / name, seed, kind, quick=quick)
    found = outcomes(together(kept))
    show(f"{kind}, seeds {', '.join(map(str, seeds))}", found)
    return figures(found, len(seeds), sum(len(each[NEVER.name]["aucs"]) for each in kept.values()))


def _in_world(folder: Path, seed: int, kind: str, *, quick: bool) -> dict[str, Kept]:
    reference = QUICK_REFERENCE if quick else REFERENCE
    settings = world(seed, kind, quick=quick)
    params = QUICK_PARAMS if quick else {"batch_size: 512": "batch_size: 2048"}
    config = prepare(settings, folder, reference, params)
    calendar = settings.calendar
    with Ledger(config) as ledger:
        first, before = calendar[reference], calendar[max(0, reference - 4) : reference]
        meter = TrueMeter(config, settings)
        wanted = [NEVER, REFRESH, *_ours(config, first, settings=None if quick else settings)]
        wanted += rivals(first, meter, ledger, before, quick=quick)
        return run(config, ledger, wanted, meter, calendar[reference:])


def _ours(config: Config, first: date, settings: Any = None) -> list[Policy]:
    """The policy of params.yaml, and with a world's settings the oracle of its planted events."""
    known = None if settings is None else changes(settings)
    return [each for each in policies(config, first, (), known) if each.name in ("drift", "oracle")]


def on_kuairand(folder: Path, data: Path) -> dict[str, Any]:
    """KuaiRand-Pure, 2 to 8 May, domains by tab; gains by the logged labels."""
    config = kuairand_config(folder / "kuairand", data)
    first, last = KUAIRAND
    days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
    with Ledger(config) as ledger:
        ensure_backbone(config, ledger)
        for day in days:
            if ledger.day(day) is None:
                ingest(config, ledger, day)
        meter = WatchingMeter(config)
        before = config.reference.days[-KUAIRAND_BEFORE:]
        wanted = [NEVER, REFRESH, *_ours(config, first)]
        wanted += rivals(first, meter, ledger, before, quick=False)
        kept = run(config, ledger, wanted, meter, days)
    found = outcomes(together({"kuairand": kept}))
    show("KuaiRand-Pure", found)
    return figures(found, 1, len(kept[NEVER.name]["aucs"]))


def run(
    config: Config,
    ledger: Ledger,
    wanted: Sequence[Policy],
    meter: WatchingMeter,
    days: Sequence[date],
    recipe: str = "",
) -> dict[str, Kept]:
    """Follow the policies that were not followed yet under these settings; all of them, by name.

    ``recipe``: what tells the runs of these settings from those of others in the same world.
    """
    folder, mark = config.home / "policy-runs" / recipe, _mark(config)
    folder.mkdir(exist_ok=True, parents=True)
    found: dict[str, Kept] = {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        known = Outcomes(Path(scratch) / "outcomes")
        for policy in wanted:
            file = folder / f"{policy.name.replace(' ', '-')}.json"
            kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            if kept.get("mark") != mark:
                trial = Trial.begin(config, ledger, policy, Path(scratch))
                aucs = follow(trial, days, meter, known)
                kept = {
                    "mark": mark,
                    "policy": policy.name,
                    "finetunes": trial.finetunes,
                    "promoted": trial.promoted,
                    "seconds": trial.seconds,
                    "aucs": [[key, day.isoformat(), auc] for (key, day), auc in aucs.items()],
                }
                write_json(file, kept)
            found[policy.name] = kept
            say(f"{config.root.name}, {policy.name}: {kept['finetunes']} fine-tunes")
    return found


def together(kept: Mapping[str, Mapping[str, Kept]]) -> dict[str, Run]:
    """What each policy did over all worlds."""
    names = next(iter(kept.values()))
    return {
        name: Run(
            aucs={
                (world, key, day): value
                for world, runs in kept.items()
                for key, day, value in runs[name]["aucs"]
            },
            finetunes=sum(runs[name]["finetunes"] for runs in kept.values()),
            promoted=sum(runs[name]["promoted"] for runs in kept.values()),
            seconds=sum(runs[name]["seconds"] for runs in kept.values()),
        )
        for name in names
    }


def _mark(config: Config) -> str:
    """What a kept run depends on: settings, and the code that decides, trains and measures."""
    hashed = hashlib.sha256(config.model_dump_json(exclude={"workspace"}).encode())
    for source in sorted(
        [*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").glob("policy*.py")]
    ):
        hashed.update(source.read_bytes())
    return hashed.hexdigest()[:16]


def kuairand_config(folder: Path, data: Path) -> Config:
    """Import the days with the settings that the import writes."""
    params = folder / "params.yaml"
    if not params.exists():
        import_kuairand(data, folder)
    return load_config(params)


if __name__ == "__main__":
    main()
