"""False alarms and power of the drift policy, on a simulated world whose truth is known."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import finish, options, say, table
from benchmarks.drift_shifts import (
    KINDS,
    Scenario,
    auc_gap,
    bring_in,
    oracle_power,
    scenario_config,
)
from benchmarks.drift_world import REFERENCE, VOLUMES, prepare, world
from driftune.config import Config
from driftune.domains import domain_key
from driftune.drift.compare import Windows
from driftune.drift.detect import judge_domains
from driftune.drift.evidently_report import definition, frames
from driftune.drift.measure import Measured
from driftune.drift.policy import Judgement, Past, decide
from driftune.drift.profiles import Profile, Profiler, Served
from driftune.drift.signals import SIGNALS, counted_signals
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterBank
from driftune.models.backbone import trained_until
from driftune.training.pretrain import backbone_folder, load_model

DAYS = 76
# What a shift shall cost, in true AUC; traffic alone is sized by its strength instead.
TARGETS = (0.005, 0.01, 0.02)
TRAFFIC = (0.5, 1.0, 1.5)
EVIDENTLY_EVERY = 4
PSI = (0.1, 0.25)
FREE = 0.001
Profiles = Mapping[date, Mapping[str, Profile]]


@dataclass(frozen=True)
class Shift:
    """A planted shift of one domain: its cost in true AUC, what was decided from its first day on,
    day by day until after the first full one, and the largest PSI of any signal on these days.

    ``oracle``: how often a likelihood ratio that knows the shift sees it on the first full day.
    """

    kind: str
    volume: int
    cost: float
    clicks: int
    oracle: float
    states: Sequence[str]
    psi: Sequence[float]

    def caught(self, days: int) -> bool:
        """Whether it triggered by the end of that many full days (1 or 2)."""
        return "drifted" in self.states[: len(self.states) - 2 + days]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--folder", type=Path, help="keep the world here and use it again")
    given = parser.parse_args()
    days = REFERENCE + 14 if given.quick else DAYS
    settings = world(days)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "world"
        config = prepare(settings, folder)
        keys = [domain_key(domain) for domain in settings.domains]
        profiler = profiler_of(config, keys)
        profiles = {day: profiler.of_day(day, keys) for day in settings.calendar}
        say("the days are counted")
        stable, psi, evidently = stable_days(config, profiles, settings.calendar, keys)
        kinds = KINDS[:1] if given.quick else KINDS
        shifts = planted(config, folder, profiles, kinds, keys, settings)
    report(stable, psi, evidently, shifts)


def profiler_of(config: Config, keys: Sequence[str]) -> Profiler:
    """A profiler whose champion is the frozen base everywhere."""
    encoder, model, mark = load_model(config)
    until = trained_until(backbone_folder(config))
    served = {key: Served(mark[:16], until.of(key)) for key in keys}
    bank = AdapterBank.from_adapters({})
    return Profiler(config, encoder, model, bank, Lake.of(config), served)


class Watch:
    """The policy, day after day, over all domains of the world."""

    def __init__(self, config: Config, profiles: Profiles, keys: Sequence[str]) -> None:
        self.config, self.profiles, self.keys = config, profiles, keys
        days = sorted(profiles)[:REFERENCE]
        half_life = int(config.features.counters.half_life_days)
        self.days, self.settled = days, frozenset(days[half_life:])
        self.p_values: dict[date, dict[str, dict[str, float]]] = {}

    def windows(self, day: date, current: Mapping[str, Profile]) -> list[Windows]:
        """The windows of all domains, with the pre-training days as reference."""
        drift = self.config.drift
        return [
            Windows(
                key=key,
                day=day,
                current=current[key],
                reference={each: self.profiles[each][key] for each in self.days},
                settled=self.settled,
                weekday_days=drift.weekday_days,
                top_categories=drift.top_categories,
                min_rows=drift.min_rows,
                seed=self.config.seed,
            )
            for key in self.keys
        ]

    def decide(self, day: date, windows: Sequence[Windows]) -> dict[str, Judgement]:
        """Decide a day and remember its evidence."""
        measured = [
            Measured(
                each.key,
                {},
                readings={name: signal.reading(each) for name, signal in SIGNALS.items()},
            )
            for each in windows
        ]
        verdicts = judge_domains(measured)
        before = [day - timedelta(back) for back in range(1, self.config.drift.confirm.of)]
        past = {
            key: Past([self.p_values.get(each, {}).get(key, {}) for each in before])
            for key in self.keys
        }
        self.p_values[day] = {
            key: {name: verdict.p for name, verdict in found.items()}
            for key, found in verdicts.items()
        }
        return decide(self.config.drift, verdicts, {key: {} for key in self.keys}, past)


def stable_days(
    config: Config, profiles: Profiles, calendar: Sequence[date], keys: Sequence[str]
) -> tuple[list[list[bool]], list[list[float]], list[list[bool]]]:
    """Alarms of the policy, largest PSI, and Evidently's alarms: (days, domains) each.

    Evidently's are those of every fourth day.
    """
    watch = Watch(config, profiles, keys)
    alarms, psi, evidently = [], [], []
    for number, day in enumerate(calendar[REFERENCE:]):
        windows = watch.windows(day, profiles[day])
        judged = watch.decide(day, windows)
        alarms.append([judged[key].state == "drifted" for key in keys])
        psi.append([largest_psi(each) for each in windows])
        if number % EVIDENTLY_EVERY == 0:
            evidently.append([preset_alarm(each, config.drift.sample_rows) for each in windows])
        say(f"{day}: {sum(alarms[-1])} false alarms")
    return alarms, psi, evidently


def planted(
    config: Config, folder: Path, profiles: Profiles, kinds: Sequence[str], keys: Sequence[str],
    settings: Any,
) -> list[Shift]:  # fmt: skip
    """Shifts of every kind and size, one in each domain at a time."""
    found = []
    usual: dict[date, dict[str, float]] = {}
    for number, kind in enumerate(kinds):
        day = settings.calendar[REFERENCE + 4 + 6 * number]
        trial: list[float] = []
        for target in (None, *(TRAFFIC if kind == "traffic_only" else TARGETS)):
            if kind == "traffic_only":
                if target is None:
                    continue
                sizes = (target,) * len(keys)
            elif target is None:
                sizes = (0.5,) * len(keys)
            else:
                # What a shift costs grows about with the square of its size.
                sizes = tuple(
                    float(np.clip(0.5 * np.sqrt(target / max(cost, 2e-4)), 0.05, 3))
                    for cost in trial
                )
            scenario = Scenario(kind, day, sizes, number)
            shifted = scenario.settings(settings)
            copy = scenario_config(folder, folder.with_name(f"{folder.name}-shifted"))
            bring_in(copy, shifted, scenario.days)
            if scenario.full not in usual:
                usual[scenario.full] = auc_gap(config, settings, scenario.full)
            gap = auc_gap(copy, shifted, scenario.full)
            cost = [gap[name] - usual[scenario.full][name] for name in settings.domains]
            if target is None:
                trial = cost
                continue
            oracle = oracle_power(settings, shifted, scenario.full)
            found += _decided(copy, profiles, scenario, keys, cost, oracle)
            say(f"{kind}, {target}: {np.median(cost):.4f} in the median")
    return found


def _decided(
    config: Config, profiles: Profiles, scenario: Scenario, keys: Sequence[str],
    cost: Sequence[float], oracle: Sequence[float],
) -> list[Shift]:  # fmt: skip
    watch = Watch(config, profiles, keys)
    for back in range(config.drift.confirm.of - 1, 0, -1):
        before = scenario.day - timedelta(back)
        watch.decide(before, watch.windows(before, profiles[before]))
    profiler = profiler_of(config, keys)
    states: dict[str, list[str]] = {key: [] for key in keys}
    psi: dict[str, list[float]] = {key: [] for key in keys}
    clicks: dict[str, int] = {}
    for day in scenario.days:
        windows = watch.windows(day, profiler.of_day(day, list(keys)))
        for key, judged in watch.decide(day, windows).items():
            states[key].append(judged.state)
        for each in windows:
            psi[each.key].append(largest_psi(each))
            clicks[each.key] = each.current.clicks
    return [
        Shift(scenario.kind, VOLUMES[n], cost[n], clicks[key], oracle[n], states[key], psi[key])
        for n, key in enumerate(keys)
    ]


def largest_psi(windows: Windows) -> float:
    """The largest population stability index of the counted signals, numbers in ten bins."""
    found = []
    for signal in counted_signals().values():
        now, then = (signal.adjusted(windows, counts) for counts in signal.pair(windows))
        if signal.evidently == "wasserstein":
            edges = np.floor(10 * (np.cumsum(then) - then) / max(then.sum(), 1)).astype(int)
            edges = np.clip(edges, 0, 9)
            now, then = (np.bincount(edges, counts, minlength=10) for counts in (now, then))
        p, q = (np.maximum(counts / max(counts.sum(), 1), 1e-4) for counts in (now, then))
        found.append(float(((p - q) * np.log(p / q)).sum()))
    return max(found)


def preset_alarm(windows: Windows, rows: int) -> bool:
    """Whether Evidently's DataDriftPreset, as it comes, finds a drifted column."""
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    now, then = frames(windows, {}, rows)
    columns = definition(now.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(now, columns), Dataset.from_pandas(then, columns)
        )
    for metric in snapshot.dict()["metrics"]:
        if isinstance(metric["value"], dict) and "count" in metric["value"]:
            return bool(metric["value"]["count"] > 0)
    raise ValueError("Evidently's preset reports no count of drifted columns")


def report(
    stable: list[list[bool]],
    psi: list[list[float]],
    evidently: list[list[bool]],
    shifts: list[Shift],
) -> None:
    """Print tables by size, kind and cost, and the figures."""
    alarms, index, preset = np.array(stable), np.array(psi), np.array(evidently)
    volumes = np.array(VOLUMES)
    rows = []
    for volume in sorted(set(VOLUMES)):
        own = volumes == volume
        rows.append(
            [
                f"{volume},000 rows",
                alarms[:, own].size,
                *(
                    f"{100 * value:.2f}"
                    for value in (
                        alarms[:, own].mean(),
                        *((index[:, own] > limit).mean() for limit in PSI),
                        preset[:, own].mean(),
                    )
                ),
            ]
        )
    say("")
    table(
        ["false alarms per 100 stable domain-days", "days", "policy",
         *(f"PSI {limit:g}" for limit in PSI), "Evidently's preset"],
        rows,
    )  # fmt: skip
    edges = (0.0025, 0.005, 0.01, 0.02, 0.5)
    real = [shift for shift in shifts if shift.kind != "traffic_only"]
    rows = []
    for kind in KINDS[:-1]:
        for low, high in pairwise(edges):
            cells = []
            for sizes in ((1,), (2,), (5,), (10, 20)):
                some = [
                    shift for shift in real
                    if shift.kind == kind and shift.volume in sizes and low <= shift.cost < high
                ]  # fmt: skip
                cells.append(_share(some, 1) if some else "–")
            rows.append([f"{kind}, {low:g} to {high:g}", *cells])
    table(["caught on the first full day (shifts)", "1,000", "2,000", "5,000", "≥ 10,000"], rows)
    rows = []
    small: dict[str, float | None] = {}
    for volume in sorted(set(VOLUMES)):
        of_size = [shift for shift in real if shift.volume == volume]
        cells = []
        for low, high in pairwise(edges):
            some = [shift for shift in of_size if low <= shift.cost < high]
            cells.append(_beside_oracle(some) if some else "–")
        rows.append([f"{volume},000 rows", *cells])
        seen = [shift for shift in of_size if shift.cost >= 0.005]
        small[f"{volume}000"] = _of_oracle(seen)
    say("")
    heads = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    table(["caught on the first full day / by the oracle (shifts)", *heads], rows)
    large = [shift for shift in real if shift.volume >= 10 and shift.clicks >= 1000]
    costly = [shift for shift in large if shift.cost >= 0.01]
    dear = [shift for shift in large if shift.cost >= 0.005]
    free = [s for s in shifts if s.kind == "traffic_only" and s.cost < FREE]
    finish(
        {
            "stable_domain_days": alarms.size,
            "false_alarms_per_100": 100 * alarms.mean(),
            "false_alarms_per_100_by_rows": {
                f"{volume}000": 100 * alarms[:, volumes == volume].mean()
                for volume in sorted(set(VOLUMES))
            },
            "shifts": len(shifts),
            "caught_1d_loss_010": _caught(costly, 1),
            "caught_2d_loss_005": _caught(dear, 2),
            "shifts_loss_010": len(costly),
            "shifts_loss_005": len(dear),
            "power_of_oracle_loss_005_by_rows": small,
            "traffic_only_triggered": _caught(free, 2),
            "traffic_only_free": len(free),
            "evidently_false_alarms_per_100": 100 * preset.mean(),
            "evidently_domain_days": preset.size,
            "psi_false_alarms_per_100": {
                f"{limit:g}": 100 * (index > limit).mean() for limit in PSI
            },
            "psi_caught_1d_loss_010": {
                f"{limit:g}": _mean([max(s.psi[:-1]) > limit for s in costly]) for limit in PSI
            },
        }
    )


def _of_oracle(shifts: Sequence[Shift]) -> float | None:
    caught = _caught(shifts, 1)
    return None if caught is None else caught / float(np.mean([s.oracle for s in shifts]))


def _beside_oracle(shifts: Sequence[Shift]) -> str:
    oracle = float(np.mean([shift.oracle for shift in shifts]))
    return f"{_caught(shifts, 1):.2f} / {oracle:.2f} ({len(shifts)})"


def _share(shifts: Sequence[Shift], days: int) -> str:
    return f"{_caught(shifts, days):.2f} ({len(shifts)})"


def _caught(shifts: Sequence[Shift], days: int) -> float | None:
    return _mean([shift.caught(days) for shift in shifts])


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None


if __name__ == "__main__":
    main()
