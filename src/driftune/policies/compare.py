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
from driftune.evaluation.metrics import auc
from driftune.features.days import encode_day
from driftune.features.encoder import Encoder
from driftune.intake.ingest import ingest
from driftune.io import finite, write_json
from driftune.models.recommender import Recommender
from driftune.policies.rules import Policy, large_domains
from driftune.policies.trial import Outcomes, Trial
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import ensure_backbone, load_model
from driftune.training.rows import load_rows
from driftune.training.scoring import score

log = logging.getLogger("driftune")
RESAMPLES = 1000
Progress = Callable[[str, int, int], None]
# Per domain (key) and day.
Aucs = dict[tuple[str, date], float]


@dataclass(frozen=True)
class Interval:
    """An estimate, and the bounds of its 95% interval over resampled domain-days."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Followed:
    """What came of a policy: what it spent, and AUC gained over ``never`` per domain-day.

    ``gain_share`` is its part of the gain of ``every day``, NaN where that one gains nothing for
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
    days = _held(config, ledger, first, last)
    encoder, model, backbone = load_model(config)
    served: dict[tuple[str, date, str], float] = {}
    aucs: dict[str, Aucs] = {policy.name: {} for policy in policies}
    scratch = config.home / "staging"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="policies-", dir=scratch) as name:
        outcomes = Outcomes(Path(name) / "outcomes")
        trials = [Trial.begin(config, ledger, policy, Path(name)) for policy in policies]
        try:
            for number, day in enumerate(days):
                progress("policies", number, len(days))
                for trial in trials:
                    aucs[trial.policy.name] |= _aucs(trial, encoder, model, backbone, day, served)
                if day < days[-1]:
                    for trial in trials:
                        trial.act(day, outcomes)
        finally:
            for trial in trials:
                trial.project.close()
    progress("policies", len(days), len(days))
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


def _held(config: Config, ledger: Ledger, first: date, last: date) -> list[date]:
    """The days that the lake holds, now at least; one that cannot be had is named and left out."""
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
    """Gains over ``never`` and parts of what ``every day`` gains, resampled by domain-day."""
    cells = sorted(aucs["never"])
    base = np.array([aucs["never"][cell] for cell in cells])
    gains = {name: np.array([found[cell] for cell in cells]) - base for name, found in aucs.items()}
    draws = np.random.default_rng([seed, 11]).integers(0, len(cells), (RESAMPLES, len(cells)))
    means = {name: gain[draws].mean(axis=1) for name, gain in gains.items()}
    everything = "every day"
    most = next(trial for trial in trials if trial.policy.name == everything)
    sure = _interval(gains[everything].mean(), means[everything]).low > 0
    found = []
    for trial in trials:
        name = trial.policy.name
        share = Interval(np.nan, np.nan, np.nan)
        if sure:
            ratio = gains[name].mean() / gains[everything].mean()
            # Of few days a draw may hold only such without a gain: there is no share of nothing.
            some = means[everything] > 0
            share = _interval(ratio, means[name][some] / means[everything][some])
        found.append(
            Followed(
                policy=name,
                told=trial.policy.told,
                finetunes=trial.finetunes,
                promoted=trial.promoted,
                seconds=trial.seconds,
                gain=_interval(gains[name].mean(), means[name]),
                gain_share=share,
                finetune_share=trial.finetunes / max(most.finetunes, 1),
            )
        )
    return found


def _aucs(
    trial: Trial,
    encoder: Encoder,
    model: Recommender,
    backbone: str,
    day: date,
    served: dict[tuple[str, date, str], float],
) -> Aucs:
    """AUC of the trial's champions on the day; ``served`` keeps what other trials have measured."""
    # The gate's metric on all rows of the day.
    config = trial.config
    keys = list(large_domains(config, day))
    champions, bank = champions_for(config, trial.ledger, backbone, keys)
    marks = {
        key: (key, day, champion.folder.name if champion.folder and champion.serves else "base")
        for key, champion in champions.items()
    }
    missing = [key for key in keys if marks[key] not in served]
    if missing:
        rows = load_rows(encoder, [encode_day(config, encoder, day)])
        rows = rows.take(np.isin(rows.domain_key, missing))
        p_click, p_ctcvr = score(model, rows, bank)
        click = rows.click.numpy()
        labels, scores = click, p_click
        if config.gate.metric == "ctcvr_auc":
            labels, scores = click * rows.convert.numpy(), p_ctcvr
        for key in missing:
            own = rows.domain_key == key
            served[marks[key]] = auc(labels[own], scores[own])
    found = {(key, day): served[marks[key]] for key in keys}
    return {cell: value for cell, value in found.items() if np.isfinite(value)}


def _interval(value: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
