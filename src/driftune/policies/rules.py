"""Rules: which domains each policy wants to fine-tune at the end of a day."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import sqrt
from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.signals import SIGNALS
from driftune.drift.windows import decision_id, draw_windows, read_windows
from driftune.errors import LedgerError
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.models.backbone import backbone_mark
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores

# A monitor's usual limit: that much less AUC than when the champion was trained.
FALL = 0.01
WEEK = 7


@dataclass(frozen=True)
class Policy:
    """A policy by name: ``told`` says what it does, ``decide`` writes a day's decisions.

    ``drift``: settings in place of the configured ones of that section. ``gated``: whether gate
    and guard judge what it fine-tunes; without them it serves as soon as it is trained.
    """

    name: str
    told: str
    decide: Callable[[Config, Ledger, date], None]
    drift: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = True

    def settings(self, config: Config) -> Config:
        """The configuration under this policy."""
        drift = config.drift.model_copy(update=self.drift)
        return config.model_copy(update={"drift": drift})


def policies(
    config: Config,
    first: date,
    alphas: Sequence[float] = (),
    changes: Collection[tuple[str, date]] | None = None,
    ages: Sequence[int] = (),
) -> list[Policy]:
    """The policies to compare from ``first`` on, the one of params.yaml among them.

    ``alphas``: the drift policy at these levels too; ``ages``: it with fine-tunes after so many
    days without drift, too; ``changes``: domains and days on which interests are known to change,
    for the oracle.
    """

    found = [
        NEVER,
        REFRESH,
        Policy("every day", "every domain, every day", every_domain),
        Policy(
            "every week",
            "every domain on the first day and each seventh after it",
            every(WEEK, first),
        ),
        Policy(
            "performance-only",
            f"AUC {FALL:g} below that of held-out rows at training, on one day",
            fallen_domains,
        ),
        Policy("drift", "the drift policy of params.yaml", drifted_domains),
    ]
    found += [
        Policy(
            f"drift, alpha {alpha:g}", "the same at this level", drifted_domains, {"alpha": alpha}
        )
        for alpha in alphas
        if alpha != config.drift.alpha
    ]
    found += [
        Policy(
            f"drift, at most {age} days old",
            f"the same, and each domain after {age} days without a fine-tune",
            drifted_domains,
            {"max_age_days": age},
        )
        for age in ages
        if age != config.drift.max_age_days
    ]
    if changes is not None:

        def known(config: Config, ledger: Ledger, day: date) -> None:
            after = (0, *config.drift.follow_up_days)
            recent = {day - timedelta(days=passed) for passed in after}
            shifted = {name: when for name, when in sorted(changes) if when in recent}
            every_domain(config, ledger, day, shifted)

        told = "interests are known to have changed that day, or as long ago as follow-ups are due"
        found.append(Policy("oracle", told, known))
    return found


def every(days: int, first: date) -> Callable[[Config, Ledger, date], None]:
    """A rule that wants every domain on the first day and each ``days``-th after it."""

    def decide(config: Config, ledger: Ledger, day: date) -> None:
        if (day - first).days % days == 0:
            every_domain(config, ledger, day)

    return decide


def drifted_domains(config: Config, ledger: Ledger, day: date) -> None:
    """Decide as the daily flow does."""
    windows = draw_windows(config, ledger, day)
    decide_day(config, ledger, windows, measure_day(config, windows))


def fallen_domains(config: Config, ledger: Ledger, day: date) -> None:
    """Want the domains whose champion ranks worse than on held-out rows, by points alone."""
    for window in draw_windows(config, ledger, day):
        windows = read_windows(config, window)
        reading = None if windows is None else SIGNALS["auc"].reading(windows)
        drop = None if reading is None else sqrt(reading.today.square[0])
        fell = reading is not None and reading.worse and drop is not None and drop >= FALL
        ledger.decide(
            id=window.decision_id,
            domain=window.domain,
            domain_key=window.key,
            day=day.isoformat(),
            revision=window.revision,
            backbone=window.backbone,
            state="pending" if fell else "stable" if reading else "insufficient",
            score=drop,
            scores=Scores(rule="performance-only"),
            sentence="",
            data_version=window.data_version,
            champion_version=window.champion,
        )


def every_domain(
    config: Config, ledger: Ledger, day: date, shifted: Mapping[str, date | None] | None = None
) -> None:
    """Want every domain that has the rows and clicks that the drift policy asks for.

    ``shifted``: none but these, by name, and since when they have drifted, if that is known.

    Raises:
        LedgerError: when the day was not ingested.
    """
    record = ledger.day(day)
    backbone = backbone_mark(Workspace(config).model / "backbone")
    if record is None or backbone is None:
        raise LedgerError(f"{day} is not in the lake, or there is no backbone")
    view = Lake.of(config)
    for key, domain in large_domains(config, day).items():
        if shifted is not None and domain not in shifted:
            continue
        scores = Scores(rule="scheduled")
        if shifted is not None:
            scores = Scores(rule="scheduled", since=shifted[domain])
        ledger.decide(
            id=decision_id(day, key, record.revision, backbone),
            domain=domain,
            domain_key=key,
            day=day.isoformat(),
            revision=record.revision,
            backbone=backbone,
            state="pending",
            score=None,
            scores=scores,
            sentence="",
            data_version=view.version([day]),
            champion_version=ledger.champion_version(key),
        )


def large_domains(config: Config, day: date) -> dict[str, str]:
    """Names by key of the day's domains with the rows and clicks that a drift decision needs."""
    view = Lake.of(config)
    rows = view.relation([day])
    limits = config.drift
    with connect(reach=[view.place]) as con:
        found = con.execute(
            f"SELECT domain_key, any_value(domain) FROM {rows} GROUP BY 1 "
            f"HAVING count(*) >= {limits.min_rows} AND sum(click) >= {limits.min_clicks} "
            "ORDER BY 1"
        ).fetchall()
    return dict(found)


NEVER = Policy("never", "the frozen base serves everywhere", lambda *_: None)
# What others are measured by: all that daily fine-tuning gains and loses.
REFRESH = Policy(
    "refresh", "every domain, every day, promoted without gate or guard", every_domain, gated=False
)
