"""Rival policies: when others would fine-tune. None has a gate: what is trained serves.

Each is a simple form of what it names, faithful in what it looks at and in how it decides:

- drift distance: Modyn's data-drift trigger (M. Böther et al., Modyn: Data-centric machine learning
  pipeline orchestration, SIGMOD 2025): the distance between the model's representations of today
  and of the day of the last training, against a percentile of the distances before.
- CUSUM on log loss: E. S. Page 1954; see ``Cusum``.
- CARA: A. Mahadevan and M. Mathioudakis, Cost-aware retraining for machine learning,
  Knowledge-Based Systems 293, 2024 (arXiv 2310.04216), its cumulative threshold: fine-tune when the
  staleness that has gathered since the last training costs more than a fine-tune. A day's
  impressions are its data and its queries at once.
- UPF: F. Regol et al., When to retrain a machine learning model, ICML 2025 (arXiv 2505.14903):
  performance is forecast by age and shift from what was seen of earlier trainings, with its
  uncertainty, and a quantile of what training now would save decides. The first day fine-tunes
  every domain, so that there is something to forecast from.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from benchmarks.policy_signals import Cusum, Forecast, Loss, WatchingMeter, mmd
from driftune.config import Config
from driftune.policies.follow import Served
from driftune.policies.rules import Policy, every, every_domain, fallen_domains, large_domains
from driftune.registry.ledger import Ledger

MONTH = 30


@dataclass(frozen=True)
class Today:
    """A domain's day: loss of its champion and of the base, representations of its rows."""

    day: date
    loss: Loss
    base: Loss
    sample: np.ndarray


@dataclass(frozen=True)
class Want:
    """A fine-tune that is asked for, and since when things have changed, if that is known."""

    since: date | None = None


class Rule(ABC):
    """What watches one domain, day after day; ``learns``: by so many of the reference days first.

    A model's loss on days that trained it says little: of those only the last is mostly held out.
    """

    learns: ClassVar[int] = 1

    @abstractmethod
    def look(self, today: Today) -> Want | None:
        """Take a day; returns what is asked for at its end."""

    @abstractmethod
    def trained(self) -> None:
        """A new champion serves from the next day that is looked at."""


@dataclass
class Distance(Rule):
    """Modyn-like: the newest distance is among the ``share`` largest of the last ``window``."""

    learns: ClassVar[int] = 4
    share: float
    window: int = 10
    reference: np.ndarray | None = None
    newest: np.ndarray | None = None
    before: deque[float] = field(default_factory=deque)

    def look(self, today: Today) -> Want | None:
        """Compare with the day of the last training; three distances calibrate."""
        self.newest = today.sample
        if self.reference is None:
            self.reference = today.sample
            return None
        found = mmd(self.reference, today.sample)
        warm = len(self.before) >= 3
        far = warm and found > float(np.quantile(self.before, 1 - self.share))
        self.before.append(found)
        while len(self.before) > self.window:
            self.before.popleft()
        return Want() if far else None

    def trained(self) -> None:
        """Later days are compared with the day that trained."""
        self.reference = self.newest


@dataclass
class LossCusum(Rule):
    """CUSUM on the champion's log loss; a fine-tune trains on the days since the change."""

    limit: float
    chart: Cusum | None = None

    def look(self, today: Today) -> Want | None:
        """Add the day's loss."""
        if self.chart is None:
            self.chart = Cusum(limit=self.limit)
        if not self.chart.add(*today.loss):
            return None
        return Want(today.day - timedelta(days=self.chart.run - 1))

    def trained(self) -> None:
        """Another champion has another level."""
        self.chart = None


@dataclass
class Cara(Rule):
    """CARA with a cumulative threshold: ``cost`` of a fine-tune in nats per impression and day."""

    cost: float
    fresh: float | None = None
    gathered: float = 0.0

    def look(self, today: Today) -> Want | None:
        """Add by how much the day's loss is above that of the champion's first day."""
        if self.fresh is None:
            self.fresh = today.loss.mean
        self.gathered += max(0.0, today.loss.mean - self.fresh)
        return Want() if self.gathered > self.cost else None

    def trained(self) -> None:
        """Nothing is stale."""
        self.fresh, self.gathered = None, 0.0


@dataclass
class Upf(Rule):
    """UPF with a horizon of a week; ``seen`` is shared by all domains."""

    learns: ClassVar[int] = 0
    cost: float
    seen: Forecast
    horizon: int = 7
    quantile: float = 0.25
    age: int | None = None
    first: bool = True
    reference: np.ndarray | None = None
    newest: np.ndarray | None = None

    def look(self, today: Today) -> Want | None:
        """Forecast the week with and without a fine-tune now."""
        self.newest = today.sample
        moved = 0.0 if self.reference is None else mmd(self.reference, today.sample)
        days = range(1, self.horizon + 1)
        kept = np.zeros(3)
        if self.age is not None:
            self.age += 1
            self.seen.features.append((1.0, self.age, moved))
            self.seen.targets.append(today.base.mean - today.loss.mean)
            kept = np.sum([(1.0, self.age + day, moved) for day in days], axis=0)
        elif self.first:
            self.first = False
            return Want()
        trained = np.sum([(1.0, day, 0.0) for day in days], axis=0)
        mean, spread = self.seen.of(trained - kept)
        return Want() if mean + NormalDist().inv_cdf(self.quantile) * spread > self.cost else None

    def trained(self) -> None:
        """A model of age 0, made for today's rows."""
        self.age, self.reference = 0, self.newest


class Watched:
    """A rule in every domain; ``before``: reference days by which a rule learns what is usual."""

    def __init__(
        self,
        make: Callable[[], Rule],
        meter: WatchingMeter,
        ledger: Ledger,
        before: Sequence[date],
    ) -> None:
        self.make, self.meter, self.ledger, self.before = make, meter, ledger, before
        self.rules: dict[str, Rule] = {}
        self.champions: dict[str, str] = {}

    def decide(self, config: Config, ledger: Ledger, day: date) -> None:
        """Want the domains whose rule asks for it."""
        names = large_domains(config, day)
        served = self.meter.served(config, ledger, day)
        wanted: dict[str, date | None] = {}
        for key, name in names.items():
            rule = self.rules.get(key)
            if rule is None:
                rule = self.rules[key] = self._begun(config, key)
            elif served[key].champion != self.champions[key]:
                rule.trained()
            self.champions[key] = served[key].champion
            want = rule.look(self._today(config, served[key]))
            if want is not None:
                wanted[name] = want.since
        every_domain(config, ledger, day, wanted)

    def _begun(self, config: Config, key: str) -> Rule:
        rule = self.make()
        for day in self.before[max(0, len(self.before) - rule.learns) :]:
            served = self.meter.served(config, self.ledger, day)
            if key in served:
                rule.look(self._today(config, served[key]))
        return rule

    def _today(self, config: Config, served: Served) -> Today:
        base = self.meter.served(config, self.ledger, served.day)[served.key]
        losses = self.meter.losses
        return Today(served.day, losses[served], losses[base], self.meter.samples[base])


def rivals(
    first: date, meter: WatchingMeter, ledger: Ledger, before: Sequence[date], *, quick: bool
) -> list[Policy]:
    """The rivals over days from ``first`` on; ``ledger`` is the workspace's, without champions."""

    def watched(name: str, told: str, make: Callable[[], Rule]) -> Policy:
        rule = Watched(make, meter, ledger, before)
        return Policy(name, told, rule.decide, gated=False)

    found = [
        Policy("weekly", "every domain each seventh day", every(7, first), gated=False),
        Policy("monthly", "every domain each 30th day", every(MONTH, first), gated=False),
        Policy("performance-only", "AUC fell by a point", fallen_domains, gated=False),
    ]
    for share in (0.05,) if quick else (0.05, 0.2):
        told = f"MMD of representations among the {share:.0%} largest (Modyn-like)"
        found.append(watched(f"distance {share:g}", told, partial(Distance, share)))
    for limit in (4.0,) if quick else (4.0, 2.0):
        told = f"CUSUM of the log loss above {limit:g}"
        found.append(watched(f"CUSUM {limit:g}", told, partial(LossCusum, limit)))
    for cost in (0.01,) if quick else (0.03, 0.01):
        told = f"staleness costs more than {cost:g} nats"
        found.append(watched(f"CARA {cost:g}", told, partial(Cara, cost)))
    for cost in (0.01,) if quick else (0.03, 0.01):
        seen = Forecast([], [])
        told = f"the forecast week saves more than {cost:g} nats"
        found.append(watched(f"UPF {cost:g}", told, partial(Upf, cost, seen)))
    return found
