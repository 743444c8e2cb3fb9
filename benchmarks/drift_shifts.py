"""Shifts planted into the drift benchmarks' world, each sized by what it costs the champion."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks.plain_intake import take_in
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.domains import domain_key
from driftune.features.days import encode_day
from driftune.registry.ledger import Ledger
from driftune.simulate.days import Simulator
from driftune.simulate.events import mood_on
from driftune.simulate.response import Impressions, probability, utilities
from driftune.simulate.settings import Event, SimulationConfig, domain_name
from driftune.simulate.write import simulate
from driftune.training.pretrain import load_model
from driftune.training.rows import load_rows
from driftune.training.scoring import score

KINDS = ("abrupt", "gradual", "recurring", "surge", "label_only", "traffic_only")
# Off the categories: nothing that is counted by category moves.
HIDDEN = ("segment", "price", "position", "item_age")
OVER = 3
ITEMS = 6


@dataclass(frozen=True)
class Scenario:
    """One kind of shift on one day, in every domain at its own size.

    ``over``: days until a gradual one, or a creep, is in full force; ``after``: days that are
    looked at from then on.
    """

    kind: str
    day: date
    sizes: tuple[float, ...]
    seed: int
    over: int = OVER
    after: int = 2

    @property
    def full(self) -> date:
        """The first day on which the shift is in full force."""
        return self.day + timedelta(self.over - 1 if self.kind in ("gradual", "creep") else 0)

    @property
    def days(self) -> list[date]:
        """The shifted days that are looked at."""
        return [self.day + timedelta(n) for n in range((self.full - self.day).days + self.after)]

    def settings(self, base: SimulationConfig) -> SimulationConfig:
        """The world with these shifts; the categories of each are drawn anew."""
        random = np.random.default_rng([base.seed, 77, self.seed])
        events = []
        for domain, size in zip(base.domains, self.sizes, strict=True):
            names = [str(name) for name in random.permutation(base.categories)]
            own: dict[str, object] = {"favour": names[:2], "against": names[2:4]}
            if self.kind in ("gradual", "creep"):
                own["over"] = self.over
            elif self.kind == "recurring":
                own |= {"every": 7, "length": 3}
            elif self.kind == "surge":
                own = {"favour": names[:2], "length": 5, "items": ITEMS}
            elif self.kind in HIDDEN[1:]:
                own = {}
            event = {"domain": domain, "day": self.day, "kind": self.kind, "size": size, **own}
            events.append(Event.model_validate(event))
        return base.model_copy(update={"events": tuple(events)})


def scenario_config(world: Path, folder: Path) -> Config:
    """A copy of the world that can be written to: its files are linked, its ledger is copied."""
    shutil.rmtree(folder, ignore_errors=True)
    # A lock that is linked would be one lock of both.
    left = shutil.ignore_patterns("logs", "scenarios", "locks")
    shutil.copytree(world, folder, copy_function=_link, ignore=left)
    (folder / "logs").mkdir()
    return load_config(folder / "params.yaml")


def _link(source: str, target: str) -> None:
    if Path(source).name.startswith("ledger.db") or source.endswith("params.yaml"):
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)


def bring_in(config: Config, settings: SimulationConfig, days: Sequence[date]) -> None:
    """Simulate the days and take them into the lake in place of what it held."""
    with Ledger(config) as ledger:
        for day in days:
            file = simulate(settings, config.root / "logs", days=[day])[0]
            take_in(config, ledger, day)
            file.unlink()


def auc_gap(config: Config, settings: SimulationConfig, day: date) -> dict[str, float]:
    """Per domain, the AUC of the true click probabilities less that of the frozen base.

    Both are expectations over the labels: each row counts as a click by its true probability, so
    that what is left of chance is which impressions were drawn.
    """
    encoder, model, _ = load_model(config)
    rows = load_rows(encoder, [encode_day(config, encoder, day)])
    predicted, _ = score(model, rows)
    truth = true_clicks(settings, day)
    gaps = {}
    for domain in settings.domains:
        own = rows.domain_key == domain_key(domain)
        time, p = truth[domain]
        if not np.array_equal(time, rows.time[own]):
            raise ValueError(f"{day}, {domain}: the truth is not that of the lake's rows")
        gaps[domain] = expected_auc(p, p) - expected_auc(p, predicted[own])
    return gaps


def true_clicks(settings: SimulationConfig, day: date) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per domain the times (µs) and true click probabilities of its rows, in the lake's order."""
    table, truth = Simulator.build(settings).draw_with_truth(day)
    time = table.column("event_time").to_numpy().astype("datetime64[us]").astype(np.int64)
    user, item = (_codes(table, name) for name in ("user_id", "item_id"))
    p = truth.column("click_probability").to_numpy().astype(float)
    named = _domains(table)
    order = np.lexsort((item, user, time))
    return {
        domain: (time[order][own], p[order][own])
        for domain in settings.domains
        for own in [named[order] == domain]
    }


def oracle_power(
    base: SimulationConfig, settings: SimulationConfig, day: date, false_alarms: float = 0.01
) -> list[float]:
    """Per domain, how often an oracle would see the shift from the day's clicks alone.

    It knows every row's true click probability with and without the shift, and alarms by their
    likelihood ratio (J. Neyman and E. Pearson 1933: no test is more powerful at that share of
    false alarms); normal approximation of the ratio's logarithm, a sum over rows.
    """
    simulator = Simulator.build(settings)
    table, truth = simulator.draw_with_truth(day)
    shifted = truth.column("click_probability").to_numpy().astype(float)
    named = _domains(table)
    hour = table.column("event_time").to_numpy().astype("datetime64[h]").astype(np.int64) % 24
    position = table.column("position").to_numpy().astype(np.int64) - 1
    user, item = (_codes(table, name) for name in ("user_id", "item_id"))
    found = []
    for number, domain in enumerate(base.domains):
        own = named == domain
        mood = mood_on(base, simulator.world, number, day)
        shown = Impressions(user[own], item[own], position[own], hour[own])
        logits, _ = utilities(simulator.world, mood.liked, shown, mood.liked_lift, mood.twist)
        usual = probability(logits + simulator.levels.click[number])
        found.append(_power(usual, shifted[own], false_alarms))
    return found


def _power(usual: np.ndarray, shifted: np.ndarray, false_alarms: float) -> float:
    click = np.log(shifted / usual)
    none = np.log((1 - shifted) / (1 - usual))
    (null, null_sd), (moved, moved_sd) = (
        ((p * click + (1 - p) * none).sum(), np.sqrt((p * (1 - p) * (click - none) ** 2).sum()))
        for p in (usual, shifted)
    )
    if moved_sd == 0:
        return false_alarms
    limit = null + norm.isf(false_alarms) * null_sd
    return float(norm.sf((limit - moved) / moved_sd))


def expected_auc(p: np.ndarray, scores: np.ndarray) -> float:
    """AUC of scores where row n is a click with probability ``p[n]``, ties counted half."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    wins = np.add.reduceat(p[order], first)
    losses = np.add.reduceat(1 - p[order], first)
    return float(wins @ (np.cumsum(losses) - losses / 2) / (wins.sum() * losses.sum()))


def _domains(table: Any) -> np.ndarray:
    parts = [name for name in ("scene", "region", "period") if name in table.column_names]
    places = [table.column(name).to_pylist() for name in parts]
    return np.array([domain_name(*found) for found in zip(*places, strict=True)])


def _codes(table: Any, name: str) -> np.ndarray:
    # Numbered names of one width: their codes are in the order of the names.
    return np.asarray(table.column(name).combine_chunks().indices.to_numpy())
