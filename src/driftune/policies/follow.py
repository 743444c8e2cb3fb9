"""Follow: one policy over past days, and what its champions would have scored on each."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from driftune.config import Config
from driftune.evaluation.metrics import auc
from driftune.features.days import encode_day
from driftune.policies.rules import large_domains
from driftune.policies.trial import Outcomes, Trial
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import load_model
from driftune.training.rows import Rows, load_rows
from driftune.training.scoring import score

# AUC per domain (key) and day.
Aucs = dict[tuple[str, date], float]


class Served(NamedTuple):
    """What served a domain on a day: the name of a champion's folder, or ``base``."""

    key: str
    day: date
    champion: str


class Meter:
    """Measures champions on whole days; what was measured for one trial is known for the others.

    ``measure`` may be overridden: it sees a domain's rows of the day, and both scores of each.
    """

    def __init__(self, config: Config) -> None:
        self.metric = config.gate.metric
        self.encoder, self.model, self.backbone = load_model(config)
        self.known: dict[Served, float] = {}
        self.domains: dict[date, list[str]] = {}

    def measure(
        self, served: Served, rows: Rows, p_click: np.ndarray, p_ctcvr: np.ndarray
    ) -> float:
        """The gate's metric of the rows; NaN where it has none."""
        click = rows.click.numpy()
        if self.metric == "ctcvr_auc":
            return auc(click * rows.convert.numpy(), p_ctcvr)
        return auc(click, p_click)

    def served(self, config: Config, ledger: Ledger, day: date) -> dict[str, Served]:
        """By key what serves the day's measurable domains, each measured on it."""
        if day not in self.domains:
            self.domains[day] = list(large_domains(config, day))
        keys = self.domains[day]
        champions, bank = champions_for(config, ledger, self.backbone, keys)
        found = {
            key: Served(key, day, each.folder.name if each.folder and each.serves else "base")
            for key, each in champions.items()
        }
        missing = [key for key in keys if found[key] not in self.known]
        if missing:
            rows = load_rows(self.encoder, [encode_day(config, self.encoder, day)])
            rows = rows.take(np.isin(rows.domain_key, missing))
            p_click, p_ctcvr = score(self.model, rows, bank)
            for key in missing:
                own = rows.domain_key == key
                self.known[found[key]] = self.measure(
                    found[key], rows.take(own), p_click[own], p_ctcvr[own]
                )
        return found

    def aucs(self, trial: Trial, day: date) -> Aucs:
        """AUC of the trial's champions on the day, where a domain has one."""
        served = self.served(trial.config, trial.ledger, day)
        found = {(key, day): self.known[each] for key, each in served.items()}
        return {cell: value for cell, value in found.items() if np.isfinite(value)}


def follow(
    trial: Trial,
    days: Sequence[date],
    meter: Meter,
    outcomes: Outcomes,
    progress: Callable[[int], None] = lambda _: None,
) -> Aucs:
    """Take the trial through the days and close it; returns its AUC by domain and day.

    A day is measured by the champions that the days before it left: none of its rows had a part in
    any training. The last day is judged, and no longer acted on. ``progress`` is told of each day.
    """
    found: Aucs = {}
    try:
        for number, day in enumerate(days):
            progress(number)
            found |= meter.aucs(trial, day)
            if day < days[-1]:
                trial.act(day, outcomes)
    finally:
        trial.project.close()
    return found
