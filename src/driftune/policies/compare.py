"""Compare: policies of fine-tuning over the same past days, judged on the day after."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, DriftuneError, LedgerError
from driftune.intake.ingest import ingest
from driftune.io import finite, write_json
from driftune.policies.follow import Aucs, Meter, follow
from driftune.policies.intervals import Interval, drawn_weights, mean_interval, share_interval
from driftune.policies.rules import NEVER, REFRESH, Policy
from driftune.policies.trial import Outcomes, Trial
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import ensure_backbone

log = logging.getLogger("driftune")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Followed:
    """What came of a policy: what it spent, and AUC gained over ``never`` per domain-day.

    ``gain_share`` is its part of the gain of ``refresh``, NaN where that one gains nothing for
    sure; ``finetune_share`` its part of the fine-tunes.
    """

    policy: str
    told: str
    finetunes: int
    promoted: int
    seconds: float
    gain: Interval
    gain_share: Interval
    finetune_share: float


@dataclass(frozen=True)
class Comparison:
    """Policies over days: ``metric`` is the gate's; ``domain_days`` is what gains are means of."""

    first: str
    last: str
    metric: str
    domain_days: int
    policies: list[Followed]


def compare_policies(
    config: Config,
    ledger: Ledger,
    policies: Sequence[Policy],
    first: date,
    last: date,
    progress: Progress = lambda *_: None,
) -> Comparison:
    """Follow every policy from the frozen base over the days; writes what is found.

    A day's AUC is that of the champion that the days before it left, on all its rows: none of
    them had a part in any training. The last day is judged, and no longer acted on. Days that the
    lake lacks are ingested; decisions and champions of the workspace stay as they are.

    Raises:
        ConfigError: when a deployment is to train: none is started here.
        LedgerError: when fewer than two days can be had, or no domain is large enough.
    """
    _see_to_trainer(config)
    ensure_backbone(config, ledger, progress)
    days = held_days(config, ledger, first, last)
    meter, trials = Meter(config), []
    aucs: dict[str, Aucs] = {}
    scratch = config.home / "staging"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="policies-", dir=scratch) as name:
        outcomes = Outcomes(Path(name) / "outcomes")
        for number, policy in enumerate(policies):

            def told(day: int, begun: int = number * len(days)) -> None:
                progress("policies", begun + day, len(policies) * len(days))

            trial = Trial.begin(config, ledger, policy, Path(name))
            aucs[policy.name] = follow(trial, days, meter, outcomes, told)
            trials.append(trial)
    progress("policies", len(policies) * len(days), len(policies) * len(days))
    if not aucs[policies[0].name]:
        raise LedgerError(f"{first} to {last}: no domain is large enough (drift.min_rows)")
    found = summarise(trials, aucs, config.seed)
    comparison = Comparison(
        first.isoformat(), last.isoformat(), config.gate.metric, len(aucs[policies[0].name]), found
    )
    write_json(Workspace(config).policies, finite(asdict(comparison)))
    return comparison


def _see_to_trainer(config: Config) -> None:
    trainer = config.adapter.trainer
    if trainer is None:
        return
    if trainer.deployment is not None:
        raise ConfigError(
            f"{config.source_file}: adapter.trainer.deployment = {trainer.deployment!r}: only "
            "flows start deployments, and comparing policies is none; name a command, or write "
            "adapter.trainer: null for the comparison"
        )
    log.warning("adapter.trainer.command is run for every decision of every policy")


def held_days(config: Config, ledger: Ledger, first: date, last: date) -> list[date]:
    """The days that the lake holds, now at least; one that cannot be had is named and left out.

    Raises:
        LedgerError: when fewer than two are left.
    """
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        try:
            if ledger.day(day) is None:
                ingest(config, ledger, day)
            found.append(day)
        except DriftuneError as error:
            log.warning("%s is left out: %s", day, error)
    if len(found) < 2:
        raise LedgerError(f"{first} to {last}: policies need two days to compare, at least")
    return found


def summarise(trials: Sequence[Trial], aucs: Mapping[str, Aucs], seed: int) -> list[Followed]:
    """Gains over ``never`` and parts of what ``refresh`` gains, with domains drawn anew."""
    cells = sorted(aucs[NEVER.name])
    base = np.array([aucs[NEVER.name][cell] for cell in cells])
    gains = {name: np.array([found[cell] for cell in cells]) - base for name, found in aucs.items()}
    weights = drawn_weights([""] * len(cells), [key for key, _ in cells], seed)
    most = next(trial for trial in trials if trial.policy.name == REFRESH.name)
    return [
        Followed(
            policy=trial.policy.name,
            told=trial.policy.told,
            finetunes=trial.finetunes,
            promoted=trial.promoted,
            seconds=trial.seconds,
            gain=mean_interval(gains[trial.policy.name], weights),
            gain_share=share_interval(gains[trial.policy.name], gains[REFRESH.name], weights),
            finetune_share=trial.finetunes / max(most.finetunes, 1),
        )
        for trial in trials
    ]
