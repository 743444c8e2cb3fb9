"""The drift benchmarks' world: 24 domains of 1,000 to 20,000 impressions a day, nothing planted.

Tastes follow the weekday and wander from day to day, volumes are noisy, items keep arriving: what
a drift policy must sit through without an alarm.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType

from benchmarks.common import ROOT, say
from benchmarks.plain_intake import take_in
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.registry.ledger import Ledger
from driftune.simulate.settings import SimulationConfig
from driftune.simulate.write import simulate
from driftune.training.pretrain import has_backbone, pretrain

REFERENCE = 28
# In thousands of impressions a day, small and large ones spread over scenes and regions.
SMALL = (10, 2, 10, 1)
# How far tastes wander from day to day, on the logit scale.
NOISE = 0.04
VOLUMES = (1, 10, 2, 20, 5, 10, 20, 1, 10, 2, 20, 5, 2, 20, 5, 10, 1, 20, 10, 1, 20, 2, 10, 5)


def world(
    days: int, *, volumes: Sequence[int] = VOLUMES, seed: int = 23, wander: bool = False
) -> SimulationConfig:
    """The settings of the world: ``REFERENCE`` days from a Monday, then the others.

    With ``wander`` tastes of a day are much like those of the day before (AR .9), and as far as
    they wander by domain they wander in all domains alike, too.
    """
    return SimulationConfig(
        seed=seed,
        start=date(2026, 3, 2),
        days=days,
        rows_per_domain=1000,
        users=20_000,
        items=600,
        scenes=("home", "search", "deals"),
        regions=("north", "harbour", "old town", "campus"),
        periods={"daytime": (6, 16), "evening": (16, 24)},
        volumes=tuple(volumes),
        volume_noise=0.1,
        seasonality=0.15,
        taste_noise=NOISE,
        taste_persistence=0.9 if wander else 0.0,
        common_noise=NOISE if wander else 0.0,
        segments=4,
        arrivals=0.1,
    )


def small_world(days: int, *, wander: bool = False) -> SimulationConfig:
    """Four domains of the world, two of them of 10,000 impressions a day, all day long."""
    small = {"scenes": ("home",), "periods": {}, "users": 4_000, "volumes": SMALL}
    return world(days, wander=wander).model_copy(update=small)


def prepare(
    settings: SimulationConfig,
    folder: Path,
    reference: int = REFERENCE,
    params: Mapping[str, str] = MappingProxyType({"batch_size: 512": "batch_size: 2048"}),
    change: Callable[[Path], None] | None = None,
) -> Config:
    """Bring the world's days into a lake, and pre-train on the first, by the project's own road but
    for Great Expectations (see ``plain_intake``).

    What an earlier run has left in the folder is kept. ``params``: what is replaced in the
    project's own params.yaml; ``change`` is done to a day's file before it is taken in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    last = settings.calendar[reference - 1].isoformat()
    domains = "[scene, region, period]" if settings.periods else "[scene, region]"
    for old, new in (
        ("workspace: workspace\n", "workspace: .\n"),
        ("workspace/logs/", "logs/"),
        ("data/impressions", "logs/impressions"),
        ("domain: [scene, region]", f"domain: {domains}"),
        ('last: "2026-03-11"', f'last: "{last}"'),
        # No domain is kept out for a shift of its click rate: what is made of it is the question.
        ("click_odds: 4 ", "click_odds: 1000 "),
        *params.items(),
    ):
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    config = load_config(file)
    started = time.perf_counter()
    with Ledger(config) as ledger:
        held = {row.day for row in ledger.days()}
        for number, day in enumerate(settings.calendar):
            if day.isoformat() in held:
                continue
            files = simulate(settings, folder / "logs", days=[day])
            if change is not None:
                change(files[0])
            take_in(config, ledger, day)
            if number >= reference:
                files[0].unlink()
            say(f"{day} in the lake, {time.perf_counter() - started:.0f} s")
        if not has_backbone(config):
            say(f"pre-training, {time.perf_counter() - started:.0f} s")
            pretrain(config, ledger)
    say(f"the world is there, {time.perf_counter() - started:.0f} s")
    return config
