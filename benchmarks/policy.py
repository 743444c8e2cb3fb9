"""When to fine-tune: policies over the same days, on a simulated world and on KuaiRand-Pure."""

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import finish, options, say, table
from benchmarks.drift_world import prepare
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.importers.kuairand import import_kuairand
from driftune.policies.compare import Comparison, compare_policies
from driftune.policies.rules import policies
from driftune.registry.ledger import Ledger
from driftune.simulate.events import changes
from driftune.simulate.settings import Event, SimulationConfig

REFERENCE = 14
DAYS = 21
KUAIRAND = (date(2022, 5, 2), date(2022, 5, 8))
ALPHAS = (0.01, 0.0001)
AGES = (7,)
# Per domain the events: kind, first day after the reference, size, other settings.
PLANTED: Sequence[tuple[int, str, int, float, dict[str, int]]] = (
    (0, "abrupt", 3, 0.8, {}),
    (1, "gradual", 5, 1.0, {"over": 3}),
    (2, "label_only", 6, 0.8, {}),
    (3, "abrupt", 9, 0.5, {}),
    (4, "surge", 4, 1.0, {"length": 6, "items": 8}),
    (5, "traffic_only", 7, 1.0, {}),
    (0, "abrupt", 12, 0.8, {}),
)


def main() -> None:
    """Compare and print."""
    parser = options(__doc__ or "", data=True)
    parser.add_argument("--seed", type=int, default=41, help="of the simulated world")
    parser.add_argument("--folder", type=Path, help="keep the worlds here and use them again")
    parser.add_argument("--only", choices=["simulation", "kuairand"])
    given = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "policy"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if given.only != "kuairand":
            figures["simulation"] = on_simulation(folder, given.seed, quick=given.quick)
        if given.only != "simulation" and given.data.is_dir() and not given.quick:
            figures["kuairand"] = on_kuairand(folder, given.data)
    finish(figures)


def on_simulation(folder: Path, seed: int, *, quick: bool) -> dict[str, Any]:
    """Eight domains, six with planted events."""
    days, reference = (5, 4) if quick else (DAYS, REFERENCE)
    settings = world(seed, reference, days, quick=quick)
    config = prepare(settings, folder / f"simulation-{seed}", reference)
    start = settings.calendar[reference]
    alphas, ages = ((), ()) if quick else (ALPHAS, AGES)
    wanted = policies(config, start, alphas, changes(settings), ages)
    with Ledger(config) as ledger:
        found = compare_policies(config, ledger, wanted, start, settings.last, _progress)
    return show(f"simulation, seed {seed}", found)


def on_kuairand(folder: Path, data: Path) -> dict[str, Any]:
    """KuaiRand-Pure, 2 to 8 May, domains by tab."""
    config = kuairand_config(folder / "kuairand", data)
    with Ledger(config) as ledger:
        wanted = policies(config, KUAIRAND[0], ALPHAS, ages=AGES)
        found = compare_policies(config, ledger, wanted, *KUAIRAND, _progress)
    return show("KuaiRand-Pure", found)


def world(seed: int, reference: int, days: int, *, quick: bool) -> SimulationConfig:
    """The world's settings; the categories of each event are its own."""
    scenes = ("home", "search")
    regions = ("north", "campus") if quick else ("north", "harbour", "old town", "campus")
    base = SimulationConfig(
        seed=seed,
        start=date(2026, 3, 2),
        days=reference + days,
        rows_per_domain=1000,
        users=8_000,
        items=600,
        scenes=scenes,
        regions=regions,
        volumes=(2, 2, 2, 2) if quick else (6, 4, 5, 8, 5, 6, 3, 4),
        volume_noise=0.1,
        seasonality=0.15,
        taste_noise=0.04,
        arrivals=0.1,
    )
    names = base.categories
    events = []
    for number, (domain, kind, first, size, own) in enumerate(PLANTED):
        if domain >= len(base.domains):
            continue
        turned = [names[(number + place) % len(names)] for place in (0, 3, 1, 5)]
        settings: dict[str, Any] = {"favour": turned[:2], "against": turned[2:], **own}
        if kind == "surge":
            del settings["against"]
        day = base.calendar[reference] + timedelta(1 if quick else first)
        settings |= {"domain": base.domains[domain], "day": day, "kind": kind, "size": size}
        if day <= base.last:
            events.append(Event.model_validate(settings))
    return base.model_copy(update={"events": tuple(events)})


def kuairand_config(folder: Path, data: Path) -> Config:
    """Import the days with the settings that the import writes."""
    params = folder / "params.yaml"
    if not params.exists():
        import_kuairand(data, folder)
    return load_config(params)


def show(name: str, found: Comparison) -> dict[str, Any]:
    """Print a table; returns what is kept of it."""
    rows = []
    for each in found.policies:
        gain, part = each.gain, each.gain_share
        rows.append(
            [
                each.policy,
                each.finetunes,
                each.promoted,
                f"{each.seconds / 60:.1f}",
                f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})",
                f"{part.value:.2f} ({part.low:.2f} to {part.high:.2f})",
                f"{each.finetune_share:.2f}",
            ]
        )
    table([name, "fine-tunes", "promoted", "minutes", f"{found.metric} gained",
           "of every day's gain", "of its fine-tunes"], rows)  # fmt: skip
    drift = next(each for each in found.policies if each.policy == "drift")
    return {
        "domain_days": found.domain_days,
        "gain_share": drift.gain_share.value,
        "gain_share_95": [drift.gain_share.low, drift.gain_share.high],
        "finetune_share": drift.finetune_share,
        "policies": {
            each.policy: {"gain": each.gain.value, "finetunes": each.finetunes}
            for each in found.policies
        },
    }


def _progress(label: str, done: int, total: int) -> None:
    say(f"{label}: {done} of {total}")


if __name__ == "__main__":
    main()
