"""The worlds of the policy benchmark, and a meter that knows their truth."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from benchmarks.drift_shifts import expected_auc, true_clicks
from benchmarks.policy_signals import WatchingMeter
from driftune.config import Config
from driftune.domains import domain_key
from driftune.policies.follow import Served
from driftune.simulate.settings import Event, SimulationConfig
from driftune.training.rows import Rows

REFERENCE, DAYS = 14, 21
QUICK_REFERENCE, QUICK_DAYS = 3, 4
# Per domain the events: kind, first day after the reference, size, other settings.
Planted = Sequence[tuple[int, str, int, float, Mapping[str, int]]]
PLANTED: Mapping[str, Planted] = {
    "shifts": (
        (0, "abrupt", 3, 0.8, {}),
        (1, "gradual", 5, 1.0, {"over": 3}),
        (2, "label_only", 6, 0.8, {}),
        (3, "abrupt", 9, 0.5, {}),
        (4, "surge", 4, 1.0, {"length": 6, "items": 8}),
        (5, "traffic_only", 7, 1.0, {}),
        (0, "abrupt", 12, 0.8, {}),
    ),
    "hidden": (
        (0, "segment", 3, 1.0, {}),
        (1, "price", 5, 1.0, {}),
        (2, "item_age", 6, 1.0, {}),
        (3, "position", 4, 1.0, {}),
        (4, "creep", 2, 0.8, {"over": 18}),
        (5, "segment", 9, 0.7, {}),
    ),
    "shock": tuple((domain, "shock", 3 + 2 * domain, 1.0, {}) for domain in range(6)),
}
TASTELESS = ("price", "position", "item_age")


def world(seed: int, kind: str, *, quick: bool) -> SimulationConfig:
    """The world's settings, with the planted events of its kind; their categories are their own."""
    reference, days = (QUICK_REFERENCE, QUICK_DAYS) if quick else (REFERENCE, DAYS)
    base = SimulationConfig(
        seed=seed,
        start=date(2026, 3, 2),
        days=reference + days,
        rows_per_domain=1000,
        users=2_000 if quick else 8_000,
        items=300 if quick else 600,
        scenes=("home",) if quick else ("home", "search"),
        regions=("north", "harbour", "old town", "campus"),
        volumes=(2,) if quick else (6, 4, 5, 8, 5, 6, 3, 4),
        volume_noise=0.1,
        seasonality=0.15,
        taste_noise=0.04,
        arrivals=0.1,
        segments=4,
    )
    return base.model_copy(update={"events": tuple(_events(base, kind, reference, quick=quick))})


def _events(base: SimulationConfig, kind: str, reference: int, *, quick: bool) -> list[Event]:
    names, found = base.categories, []
    for number, (domain, event, first, size, own) in enumerate(PLANTED[kind]):
        day = base.calendar[reference] + timedelta(0 if quick else first)
        if domain >= len(base.domains) or day > base.last:
            continue
        turned = [names[(number + place) % len(names)] for place in (0, 3, 1, 5)]
        settings: dict[str, Any] = dict(own)
        if event not in TASTELESS:
            settings["favour"] = turned[:2]
        if event not in (*TASTELESS, "surge"):
            settings["against"] = turned[2:]
        settings |= {"domain": base.domains[domain], "day": day, "kind": event, "size": size}
        found.append(Event.model_validate(settings))
    return found


class TrueMeter(WatchingMeter):
    """Measures by true click probabilities: AUC in expectation over the labels."""

    def __init__(self, config: Config, settings: SimulationConfig) -> None:
        super().__init__(config)
        self.settings = settings
        self.names = {domain_key(name): name for name in settings.domains}
        self.truth: dict[date, dict[str, tuple[np.ndarray, np.ndarray]]] = {}

    def quality(self, served: Served, rows: Rows, p_click: np.ndarray) -> float:
        """True AUC of the rows."""
        if served.day not in self.truth:
            self.truth[served.day] = true_clicks(self.settings, served.day)
        time, p = self.truth[served.day][self.names[served.key]]
        if not np.array_equal(time, rows.time):
            raise ValueError(
                f"{served.day}, {served.key}: the truth is not that of the lake's rows"
            )
        return expected_auc(p, p_click)
