"""False alarms and power of the drift policy, on simulated worlds whose truth is known.

Shifts of tastes over categories, which the policy counts, and of what it does not count: hidden
segments of users, prices, positions, the age of items. Stable days on which tastes wander from day
to day, and others on which they wander with a memory and in all domains alike. A slow creep.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, options, say
from benchmarks.drift_report import Shift, Stable, report
from benchmarks.drift_shifts import (
    HIDDEN,
    KINDS,
    Scenario,
    auc_gap,
    bring_in,
    oracle_power,
    scenario_config,
)
from benchmarks.drift_watch import Profiles, Watch, largest_psi, profiler_of, stable_days
from benchmarks.drift_world import REFERENCE, prepare, small_world, world
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.domains import domain_key
from driftune.simulate.settings import SimulationConfig

DAYS = 76
# What a shift shall cost, in true AUC; traffic alone is sized by its strength instead.
TARGETS = (0.005, 0.01, 0.02)
HIDDEN_TARGETS = (0.02, 0.03)
TRAFFIC = (0.5, 1.0, 1.5)
# True AUC that a creep has cost when it shall have been found, and after how many days.
CREPT, CREEP_DAYS = 0.01, 20

PARAMS = {"batch_size: 512": "batch_size: 2048"}


@dataclass(frozen=True)
class Plan:
    """What is run: ``targets`` in true AUC by kind, days of reference, of all, and of the creep;
    ``small``: in the world of four domains; ``params``: what is replaced in params.yaml.
    """

    reference: int
    days: int
    targets: Mapping[str, Sequence[float]]
    creep_days: int
    params: Mapping[str, str]
    small: bool = False

    def triggered_by(self, triggers: Sequence[str]) -> "Plan":
        """The same with other signals that decide."""
        (line,) = re.findall(r"triggers: \[.*?\]", (ROOT / "params.yaml").read_text("utf-8"))
        return replace(self, params={**self.params, line: f"triggers: [{', '.join(triggers)}]"})


FULL = Plan(
    REFERENCE,
    DAYS,
    dict.fromkeys(KINDS[:-1], TARGETS)
    | {KINDS[-1]: TRAFFIC}
    | dict.fromkeys(HIDDEN, HIDDEN_TARGETS),
    CREEP_DAYS,
    PARAMS,
)
# A minute: four domains, and a creep four times as fast.
QUICK = Plan(
    10,
    15,
    {"abrupt": (0.02,), "segment": (0.03,)},
    5,
    {**PARAMS, "hidden: [128, 64]": "hidden: [32, 16]", "  epochs: 2\n": "  epochs: 1\n"},
    small=True,
)


@dataclass(frozen=True)
class Bench:
    """A prepared world: its settings and lake, its domains' keys, the counts of its days."""

    settings: SimulationConfig
    config: Config
    folder: Path
    keys: Sequence[str]
    profiles: Profiles
    reference: int
    usual: dict[date, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def made(cls, settings: SimulationConfig, folder: Path, plan: Plan) -> "Bench":
        """Bring the world's days in, pre-train, count."""
        config = prepare(settings, folder, plan.reference, plan.params)
        keys = [domain_key(domain) for domain in settings.domains]
        profiler = profiler_of(config, keys)
        profiles = {day: profiler.of_day(day, keys) for day in settings.calendar}
        say("the days are counted")
        return cls(settings, config, folder, keys, profiles, plan.reference)

    def copied(self, scenario: Scenario) -> Path:
        """Where a copy of the world takes in the scenario's days; two processes do so at once."""
        return self.folder.with_name(f"{self.folder.name}-shifted-{scenario.seed}")

    def gap(self, day: date) -> dict[str, float]:
        """The champion's gap to the true AUC on a day without shifts, by domain."""
        if day not in self.usual:
            self.usual[day] = auc_gap(self.config, self.settings, day)
        return self.usual[day]

    @property
    def volumes(self) -> list[int]:
        """Thousands of impressions a day, by domain."""
        own = self.settings.volumes
        return [int(own[number % len(own)]) for number in range(len(self.keys))]

    def watch(self) -> Watch:
        """The policy before its first day."""
        return Watch(self.config, self.profiles, self.keys, self.reference)

    def stable(self, *, rivals: bool = True) -> Stable:
        """What was raised on the days after the reference."""
        found = stable_days(self.watch(), self.settings.calendar, rivals=rivals)
        return Stable(np.array(self.volumes), *map(np.array, found))


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--folder", type=Path, help="keep the worlds here and use them again")
    parser.add_argument("--triggers", nargs="+", help="signals that decide (params.yaml's)")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    if given.triggers:
        plan = plan.triggered_by(given.triggers)
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        folder = given.folder or Path(scratch) / "world"
        wander = pool.submit(wandering, folder, plan)
        if not given.quick:
            # Small worlds fit in memory side by side.
            wander.result()
        bench = Bench.made(settings_of(plan), folder, plan)
        kinds = {kind: number for number, kind in enumerate(plan.targets)}
        beside = [
            pool.submit(planted, bench, plan, kind, kinds[kind]) for kind in HIDDEN if kind in kinds
        ]
        creeps = pool.submit(crept, bench, plan)
        stable = bench.stable()
        shifts = [
            shift
            for kind in KINDS
            if kind in kinds
            for shift in planted(bench, plan, kind, kinds[kind])
        ]
        shifts += [shift for found in beside for shift in found.result()]
        report(stable, wander.result(), shifts, creeps.result(), given.quick)


def settings_of(plan: Plan, *, wander: bool = False) -> SimulationConfig:
    """The world of a plan."""
    return (small_world if plan.small else world)(plan.days, wander=wander)


def wandering(folder: Path, plan: Plan) -> Stable:
    """What is raised on days on which tastes wander with a memory, and in all domains alike."""
    beside = folder.with_name(f"{folder.name}-wander")
    return Bench.made(settings_of(plan, wander=True), beside, plan).stable(rivals=False)


def planted(bench: Bench, plan: Plan, kind: str, number: int) -> list[Shift]:
    """Shifts of one kind, the ``number``-th, of every size, in every domain at a time."""
    # Kinds share days where there are too few.
    turn = number % max(1, (plan.days - plan.reference - 2) // 6)
    day = bench.settings.calendar[min(plan.reference + 4 + 6 * turn, plan.days - 4)]
    after = 3 if kind in HIDDEN else 2
    scenario = Scenario(kind, day, (0.5,) * len(bench.keys), number, after=after)
    trial = [] if kind == "traffic_only" else _costs(bench, scenario)
    found = []
    for target in plan.targets[kind]:
        sizes = (target,) * len(bench.keys) if not trial else _sizes(trial, target)
        sized = replace(scenario, sizes=sizes)
        cost = _costs(bench, sized, whole=True)
        found += _decided(bench, sized, cost)
        say(f"{kind}, {target}: {np.median(cost):.4f} in the median")
    return found


def crept(bench: Bench, plan: Plan) -> list[bool]:
    """Of each domain of 10,000 rows or more, whether creep triggers before it has cost ``CREPT``.

    What it costs grows evenly from day to day up to the last one.
    """
    day = bench.settings.calendar[bench.reference]
    last = day + timedelta(plan.creep_days - 1)
    ended = Scenario("abrupt", last, (0.5,) * len(bench.keys), 99, after=1)
    sizes = _sizes(_costs(bench, ended), CREPT)
    creep = Scenario("creep", day, sizes, 99, over=plan.creep_days, after=1)
    cost = _costs(bench, creep, whole=True)
    found = []
    for shift in _decided(bench, creep, cost):
        if shift.volume >= 10:
            due = min(1.0, CREPT / max(shift.cost, 1e-6)) * len(shift.states)
            found.append("drifted" in shift.states[: max(1, int(due))])
    return found


def _sizes(trial: Sequence[float], target: float) -> tuple[float, ...]:
    """Sizes of shifts that cost ``target``, by what those of size 0.5 cost.

    What a shift costs grows about with the square of its size.
    """
    return tuple(float(np.clip(0.5 * np.sqrt(target / max(cost, 2e-4)), 0.05, 2)) for cost in trial)


def _costs(bench: Bench, scenario: Scenario, *, whole: bool = False) -> list[float]:
    """What the shifts cost in true AUC on their first full day, by domain.

    The days up to it are brought into a copy of the world; with ``whole`` all that are looked at.
    """
    shifted = scenario.settings(bench.settings)
    copy = scenario_config(bench.folder, bench.copied(scenario))
    days = scenario.days if whole else [day for day in scenario.days if day <= scenario.full]
    bring_in(copy, shifted, days)
    usual, gap = bench.gap(scenario.full), auc_gap(copy, shifted, scenario.full)
    return [gap[name] - usual[name] for name in bench.settings.domains]


def _decided(bench: Bench, scenario: Scenario, cost: Sequence[float]) -> list[Shift]:
    """What the policy decides on the days that were brought into the copy of the world."""
    watch, config = bench.watch(), load_config(bench.copied(scenario) / "params.yaml")
    for back in range(config.drift.confirm.of - 1, 0, -1):
        before = scenario.day - timedelta(back)
        watch.decide(before, watch.windows(before, bench.profiles[before]))
    profiler = profiler_of(config, bench.keys)
    states: dict[str, list[str]] = {key: [] for key in bench.keys}
    psi: dict[str, list[float]] = {key: [] for key in bench.keys}
    clicks: dict[str, int] = {}
    for day in scenario.days:
        windows = watch.windows(day, profiler.of_day(day, list(bench.keys)))
        for key, judged in watch.decide(day, windows).items():
            states[key].append(judged.state)
        for each in windows:
            psi[each.key].append(largest_psi(each))
            clicks[each.key] = each.current.clicks
    oracle = oracle_power(bench.settings, scenario.settings(bench.settings), scenario.full)
    kind, volumes, ahead = scenario.kind, bench.volumes, (scenario.full - scenario.day).days
    return [
        Shift(kind, volumes[n], cost[n], clicks[key], oracle[n], ahead, states[key], psi[key])
        for n, key in enumerate(bench.keys)
    ]


if __name__ == "__main__":
    main()
