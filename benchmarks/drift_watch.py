"""The drift policy at work over a world's days, and two rivals on the same windows."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from benchmarks.common import say
from driftune.config import Config
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

EVIDENTLY_EVERY = 4
Profiles = Mapping[date, Mapping[str, Profile]]


def profiler_of(config: Config, keys: Sequence[str]) -> Profiler:
    """A profiler whose champion is the frozen base everywhere."""
    encoder, model, mark = load_model(config)
    until = trained_until(backbone_folder(config))
    served = {key: Served(mark[:16], until.of(key)) for key in keys}
    bank = AdapterBank.from_adapters({})
    return Profiler(config, encoder, model, bank, Lake.of(config), served)


class Watch:
    """The policy, day after day, over all domains of a world; the first days are its reference."""

    def __init__(
        self, config: Config, profiles: Profiles, keys: Sequence[str], reference: int
    ) -> None:
        self.config, self.profiles, self.keys = config, profiles, keys
        self.reference = reference
        days = sorted(profiles)[:reference]
        half_life = int(config.features.counters.half_life_days)
        # As ``drift.references.settled_days``: the newer half at least.
        self.days, self.settled = days, frozenset(days[min(half_life, len(days) // 2) :])
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
    watch: Watch, calendar: Sequence[date], *, rivals: bool = True
) -> tuple[list[list[bool]], list[list[float]], list[list[bool]]]:
    """Alarms of the policy, largest PSI, and Evidently's alarms: (days, domains) each.

    Evidently's are those of every fourth day; without ``rivals`` both lists stay empty.
    """
    config, profiles, keys = watch.config, watch.profiles, watch.keys
    alarms: list[list[bool]] = []
    psi: list[list[float]] = []
    evidently: list[list[bool]] = []
    for number, day in enumerate(calendar[watch.reference :]):
        windows = watch.windows(day, profiles[day])
        judged = watch.decide(day, windows)
        alarms.append([judged[key].state == "drifted" for key in keys])
        say(f"{day}: {sum(alarms[-1])} false alarms")
        if not rivals:
            continue
        psi.append([largest_psi(each) for each in windows])
        if number % EVIDENTLY_EVERY == 0:
            evidently.append([preset_alarm(each, config.drift.sample_rows) for each in windows])
    return alarms, psi, evidently


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
