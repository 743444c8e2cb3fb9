"""Recipes of fine-tuning side by side: what each gains without a gate, and in the drift policy.

Small worlds of shifted interests, eight domains of 1,000 to 4,000 rows a day. Every recipe sees the
same days and decisions. Gains are of true AUC over the frozen base, paired by domain and day.
"""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import finish, options, say
from benchmarks.drift_world import prepare
from benchmarks.policy import run
from benchmarks.policy_world import TrueMeter
from benchmarks.policy_world import world as usual_world
from driftune.config import Config
from driftune.config.adapter import Adapter
from driftune.policies.rules import NEVER, REFRESH, policies
from driftune.registry.ledger import Ledger
from driftune.simulate.settings import Event, SimulationConfig

REFERENCE, DAYS = 6, 6
VOLUMES = (4, 2, 3, 1, 1, 2, 3, 1)
# Domain, kind, day after the reference, size, other settings.
PLANTED: Sequence[tuple[int, str, int, float, Mapping[str, int]]] = (
    (0, "abrupt", 1, 0.8, {}),
    (1, "gradual", 0, 1.0, {"over": 3}),
    (2, "label_only", 2, 0.8, {}),
    (3, "abrupt", 2, 0.6, {}),
    (4, "surge", 1, 1.0, {"length": 4, "items": 8}),
    (5, "traffic_only", 1, 1.0, {}),
    (6, "abrupt", 3, 0.8, {}),
)
PLACES = [
    ["click_tower.1", "convert_tower.1"],
    ["representation"],
    ["representation", "click_tower.1", "convert_tower.1"],
]
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "today": {},
    "pooled": {"start": "pooled"},
    "best": {"start": "best"},
    "input": {"at": ["representation"]},
    "places": {"at": PLACES},
    "places, 3 folds": {"at": PLACES, "folds": 3},
    "best, places, 3 folds": {"start": "best", "at": PLACES, "folds": 3},
}
Cell = tuple[str, str, str]


def main() -> None:
    """Follow, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the worlds")
    parser.add_argument("--recipes", nargs="+", choices=[*RECIPES], default=[*RECIPES])
    parser.add_argument("--folder", type=Path, help="keep worlds and runs here, and go on")
    parser.add_argument("--ungated", action="store_true", help="leave out the drift policy")
    given = parser.parse_args()
    seeds = given.seeds[:1] if given.quick else given.seeds
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        kept = [_in_world(folder, seed, given.recipes, given.ungated) for seed in seeds]
    told = [REFRESH.name] if given.ungated else [REFRESH.name, "drift"]
    rows = [_row(name, told, kept) for name in given.recipes]
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ")
    finish({"benchmark": "recipe", "seeds": list(seeds), "rows": rows})


def world(seed: int) -> SimulationConfig:
    """The settings of one world."""
    base = usual_world(seed, "shifts", quick=False).model_copy(
        update={"days": REFERENCE + DAYS, "volumes": VOLUMES, "users": 4_000, "items": 400}
    )
    names, found = base.categories, []
    for number, (domain, kind, first, size, own) in enumerate(PLANTED):
        turned = [names[(number + place) % len(names)] for place in (0, 3, 1, 5)]
        settings: dict[str, Any] = {**own, "favour": turned[:2]}
        if kind != "surge":
            settings["against"] = turned[2:]
        day = base.calendar[REFERENCE] + timedelta(first)
        settings |= {"domain": base.domains[domain], "day": day, "kind": kind, "size": size}
        found.append(Event.model_validate(settings))
    return base.model_copy(update={"events": tuple(found)})


def _in_world(
    folder: Path, seed: int, recipes: Sequence[str], ungated: bool
) -> dict[str, dict[str, Any]]:
    """What each recipe did in a world, by ``recipe, policy``."""
    settings = world(seed)
    config = prepare(settings, folder / f"recipe-{seed}", REFERENCE)
    days = settings.calendar[REFERENCE:]
    found: dict[str, dict[str, Any]] = {}
    with Ledger(config) as ledger:
        meter = TrueMeter(config, settings)
        for name in recipes:
            own = with_recipe(config, name)
            drift = next(each for each in policies(own, days[0]) if each.name == "drift")
            wanted = [NEVER, REFRESH] if ungated else [NEVER, REFRESH, drift]
            meter.known.clear()
            for policy, kept in run(own, ledger, wanted, meter, days, name).items():
                found[f"{name}, {policy}"] = kept
            say(f"seed {seed}, {name}: done")
    return found


def with_recipe(config: Config, name: str) -> Config:
    """The configuration with the adapter's settings of a recipe."""
    adapter = Adapter.model_validate({**config.adapter.model_dump(), **RECIPES[name]})
    return config.model_copy(update={"adapter": adapter})


def _row(
    name: str, told: Sequence[str], kept: Sequence[Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """The figures of a recipe; ``told``: of which policies."""
    row: dict[str, Any] = {"recipe": name}
    for policy in told:
        gains = _gains(name, policy, kept)
        today = _gains("today", policy, kept) if f"today, {policy}" in kept[0] else gains
        more = np.array([gains[cell] - today[cell] for cell in gains])
        runs = [each[f"{name}, {policy}"] for each in kept]
        row |= {
            f"{policy}_gain": round(float(np.mean([*gains.values()])), 4),
            f"{policy}_more": round(float(more.mean()), 4),
            f"{policy}_error": round(_error(more, [cell[:2] for cell in gains]), 4),
            f"{policy}_worst": round(float(min(gains.values())), 4),
            f"{policy}_finetunes": sum(each["finetunes"] for each in runs),
            f"{policy}_promoted": sum(each["promoted"] for each in runs),
            f"{policy}_seconds": round(sum(each["seconds"] for each in runs), 1),
        }
    return row


def _gains(
    name: str, policy: str, kept: Sequence[Mapping[str, Mapping[str, Any]]]
) -> dict[Cell, float]:
    """Gain over the frozen base by world, domain and day; of days that something could serve."""
    found = {}
    for number, runs in enumerate(kept):
        base = {(key, day): auc for key, day, auc in runs[f"{name}, {NEVER.name}"]["aucs"]}
        first = min(day for _, day in base)
        for key, day, auc in runs[f"{name}, {policy}"]["aucs"]:
            if day != first:
                found[str(number), key, day] = auc - base[key, day]
    return found


def _error(values: np.ndarray, clusters: Sequence[tuple[str, ...]]) -> float:
    """Standard error of the mean, clustered by world and domain."""
    names = sorted(set(clusters))
    sums = np.array(
        [values[[each == name for each in clusters]].sum() for name in names]
    ) - values.mean() * np.array([sum(each == name for each in clusters) for name in names])
    return float(np.sqrt((sums**2).sum()) / len(values))


if __name__ == "__main__":
    main()
