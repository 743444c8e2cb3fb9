"""Fine-tuning: a challenger adapter for one domain, on the frozen backbone."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import torch

from driftune.adaptation.card import challenger_card
from driftune.adaptation.domain_rows import DomainRows
from driftune.adaptation.groups import trained_together
from driftune.adaptation.outside.job import Deployments
from driftune.adaptation.outside.training import train_outside
from driftune.adaptation.pooled import Pooled
from driftune.adaptation.split import span
from driftune.adaptation.starts import Progress, Start, pooled_of, starts_of
from driftune.adaptation.workbench import Workbench
from driftune.errors import ConfigError, DeviceFullError, ModelOutputError
from driftune.models.adapters import (
    AdaptedModel,
    AdapterBank,
    AttachError,
    Choice,
    Chosen,
    Examples,
    NotFiniteError,
    TrainConfig,
    attach,
    choose_together,
    save_adapter,
)
from driftune.models.adapters.devices import DeviceMemoryError
from driftune.models.recommender import Recommender
from driftune.registry.records import TrainingFigures
from driftune.training.rows import Rows
from driftune.training.threads import one_thread

log = logging.getLogger("driftune")


def finetune(
    bench: Workbench, progress: Progress | None = None, deployed: Deployments | None = None
) -> TrainingFigures:
    """Train the decision's challenger and write its files; returns the training figures.

    By the training job of the user's own, where ``adapter.trainer`` names one: see
    ``train_outside``, which gets ``deployed``.
    The adapter starts from the champion's where the domain has one, or from a pooled one, as
    ``adapter.start`` says. Of several windows of rows the one with the lowest loss on the
    selection rows is kept. A training that was killed goes on after its last whole epoch. Same
    data version, configuration and seed give the same bytes on a CPU, whatever is trained beside
    it; the model's device computes.

    Raises:
        OvertakenError: when the backbone is not the one that the decision was made under.
        ModelOutputError: when what the frozen model gives for the rows is no number.
        DeviceFullError: when the device's memory does not suffice for few rows at once.
    """
    progress_of = {} if progress is None else {bench.decision_id: progress}
    found = finetune_together([bench], progress_of, deployed=deployed)[bench.decision_id]
    if isinstance(found, Exception):
        raise found
    return found


def finetune_together(
    benches: Sequence[Workbench],
    progress: Mapping[str, Progress],
    workers: int = 1,
    deployed: Deployments | None = None,
) -> dict[str, TrainingFigures | Exception]:
    """``finetune`` for decisions of one project at once, by their ids.

    The days are read once for all, and steps are shared (``driftune.models.adapters.together``); a
    job of the user's own gets one decision after the other.
    What goes wrong for one is its own outcome and leaves the others as they would be alone.
    ``progress``: told of the decision's epochs; ``workers``: threads, which change no result.

    Raises:
        ConfigError: when the model has no such places as ``adapter.at``.
    """
    if benches and not trained_together(benches[0].config):
        return {
            bench.decision_id: _outside(bench, progress.get(bench.decision_id), deployed)
            for bench in benches
        }
    started = time.perf_counter()
    found: dict[str, TrainingFigures | Exception] = {}
    _read_ahead(benches)
    with one_thread():
        ready = _ready(benches, found)
        if not ready:
            return found
        with _attached(ready[0]) as adapted:
            plans = _plans(adapted, ready, progress, found, workers)
            outcomes = _chosen(adapted, plans, workers)
    rows = sum(len(plan.choice.examples) for plan in plans)
    for plan, outcome in zip(plans, outcomes, strict=True):
        seconds = (time.perf_counter() - started) * len(plan.choice.examples) / rows
        try:
            if isinstance(outcome, Exception):
                raise outcome
            found[plan.bench.decision_id] = _kept(plan, outcome, seconds)
        except Exception as error:
            found[plan.bench.decision_id] = _said(plan.bench, error)
    return found


@dataclass(frozen=True)
class _Plan:
    """A decision's training, and what it may start from."""

    bench: Workbench
    starts: Sequence[Start]
    choice: Choice


def _outside(
    bench: Workbench, progress: Progress | None, deployed: Deployments | None
) -> TrainingFigures | Exception:
    """What came of the training job of the user's own."""
    trainer = bench.config.adapter.trainer
    assert trainer is not None
    try:
        return train_outside(bench, trainer, progress, deployed)
    except Exception as error:
        return error


def _ready(
    benches: Sequence[Workbench], found: dict[str, TrainingFigures | Exception]
) -> list[Workbench]:
    """The decisions whose rows could be read; what keeps the others from it goes to ``found``."""
    ready = []
    for bench in benches:
        try:
            _ = bench.served, bench.split, bench.champion()
        except Exception as error:
            found[bench.decision_id] = error
            continue
        ready.append(bench)
    return ready


def _plans(
    adapted: AdaptedModel,
    benches: Sequence[Workbench],
    progress: Mapping[str, Progress],
    found: dict[str, TrainingFigures | Exception],
    workers: int,
) -> list[_Plan]:
    """The decisions' trainings; what keeps one from having any goes to ``found``."""
    try:
        pooled = pooled_of(benches, adapted, progress, workers)
    except Exception as error:
        found |= {bench.decision_id: _said(bench, error) for bench in benches}
        return []
    plans = []
    for bench in benches:
        own = pooled.get(bench.decision.day, [])
        try:
            plans.append(_plan(adapted, bench, own, progress.get(bench.decision_id)))
        except Exception as error:
            found[bench.decision_id] = _said(bench, error)
    return plans


def _chosen(
    adapted: AdaptedModel, plans: Sequence[_Plan], workers: int
) -> Sequence[Chosen | Exception]:
    """What came of each training."""
    if not plans:
        return []
    loss = plans[0].bench.served.model.row_losses()
    try:
        return choose_together(adapted, [plan.choice for plan in plans], workers, loss)
    except DeviceMemoryError as error:
        return [error] * len(plans)


def _read_ahead(benches: Sequence[Workbench]) -> None:
    """Have the benches' rows read in one pass over the days.

    Where that cannot be done each reads its own, and says what is wrong.
    """
    if len(benches) < 2:
        return
    config, project = benches[0].config, benches[0].project
    try:
        rows = DomainRows(config, project.served.encoder, project.lake())
        wanted = {
            bench.decision.domain_key: span(
                config, date.fromisoformat(bench.decision.day), bench.decision.scores.since
            )
            for bench in benches
        }
        rows.read_ahead(wanted)
    except Exception as error:
        log.info("the rows of %d decisions are read one by one: %s", len(benches), error)
        return
    for bench in benches:
        bench.rows = rows


def _plan(
    adapted: AdaptedModel, bench: Workbench, pooled: Sequence[Pooled], progress: Progress | None
) -> _Plan:
    """What the decision's challenger is chosen from."""
    settings, windows, model = bench.config.adapter, bench.split.windows, bench.served.model
    examples = _examples(model, windows[0])
    starts = starts_of(bench, adapted, examples, pooled)
    choice = Choice(
        bench.decision.domain_key,
        starts[0].adapter,
        examples,
        [len(windows[0]) - len(window) for window in windows],
        _examples(model, bench.split.select),
        settings.beta,
        TrainConfig(
            epochs=settings.epochs,
            patience=settings.patience,
            batch_size=settings.batch_size,
            # A domain's batches must not follow from the rows of those beside it.
            min_batch=settings.batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            seed=bench.seed,
            precision=settings.precision,
        ),
        bench.checkpoints / "epochs",
        progress,
        [start.adapter for start in starts[1:]],
        settings.folds,
    )
    return _Plan(bench, starts, choice)


def _kept(plan: _Plan, chosen: Chosen, seconds: float) -> TrainingFigures:
    """Write the challenger's files; returns the training figures, with its part of the time."""
    bench, report, start = plan.bench, chosen.report, plan.starts[chosen.start]
    figures = TrainingFigures(
        started_from=start.version,
        split=bench.split.spans(chosen.window),
        beta=report.beta,
        best_epoch=report.best_epoch,
        epochs=report.epochs_run,
        kl_bits=round(sum(map(sum, report.kl_bits.values())), 4),
        parameters=sum(tensor.numel() for tensor in chosen.adapter.parameters()),
    )
    offered = [each for each in plan.starts if each.pooled and each.at == start.at]
    if offered:
        kind = "champion" if start.pooled is None else "pooled"
        figures = figures.model_copy(update={"pooled": offered[0].pooled, "start": kind})
    if len({each.at for each in plan.starts}) > 1:
        figures = figures.model_copy(update={"at": start.at})
    save_adapter(bench.folder, chosen.adapter, challenger_card(bench, figures))
    shutil.rmtree(bench.checkpoints, ignore_errors=True)
    return figures.model_copy(update={"seconds": round(seconds, 2)})


def _said(bench: Workbench, error: Exception) -> Exception:
    """The error in the words of the decision's domain, where the model or its device had it."""
    if isinstance(error, NotFiniteError):
        return ModelOutputError(
            f"{bench.decision.domain}: the frozen model overflows on its rows (NaN or infinity), "
            "so that no adapter can be trained; train the model anew: driftune pretrain"
        )
    if isinstance(error, DeviceMemoryError):
        return DeviceFullError(f"{bench.decision.domain}: {error}")
    return error


def _attached(bench: Workbench) -> AdaptedModel:
    config, model = bench.config, bench.served.model
    at = config.adapter.all_places
    try:
        return attach(model, AdapterBank(), model.default_places() if at is None else at)
    except AttachError as error:
        raise ConfigError(f"{config.source_file}: adapter.at: {error}") from None


def _examples(model: Recommender, rows: Rows) -> Examples:
    domains = torch.zeros(len(rows), dtype=torch.long)
    return Examples(model.inputs(rows), (rows.click, rows.convert), domains)
