"""Fine-tuning: a challenger adapter for one domain, on the frozen backbone."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch

from driftune.adaptation.card import challenger_card
from driftune.adaptation.outside.job import Deployments
from driftune.adaptation.outside.training import train_outside
from driftune.adaptation.workbench import Workbench
from driftune.config import Config
from driftune.config.adapter import Adapter as AdapterSettings
from driftune.errors import ConfigError, DeviceFullError, ModelOutputError
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterBank,
    AttachError,
    Examples,
    IAKConfig,
    NotFiniteError,
    TrainConfig,
    TrainReport,
    attach,
    choose_beta,
    save_adapter,
)
from driftune.models.adapters.devices import DeviceMemoryError
from driftune.models.recommender import Recommender
from driftune.registry.ledger import BASE
from driftune.registry.records import TrainingFigures
from driftune.registry.records.training import SplitSpans
from driftune.training.rows import Rows
from driftune.training.threads import one_thread

# Of a kernel that replaces the representation: it has to give it back before it may change it.
WARM_EPOCHS = 3
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trained:
    """What came of the rows of one window: ``loss`` on the selection rows, ``seconds`` spent.

    ``started_from``: the champion's version, or 0 for a new adapter.
    """

    loss: float
    adapter: Adapter
    report: TrainReport
    started_from: int
    seconds: float


def finetune(
    bench: Workbench, progress: Progress | None = None, deployed: Deployments | None = None
) -> TrainingFigures:
    """Train the decision's challenger and write its files; returns the training figures.

    By the training job of the user's own, where ``adapter.trainer`` names one: see
    ``train_outside``, which gets ``deployed``.
    The adapter starts from the champion's where the domain has one. Of several windows of rows
    the one with the lowest loss on the selection rows is kept. A training that was killed goes on
    after its last whole epoch. Same data version, configuration and seed give the same bytes on a
    CPU; the model's device computes.

    Raises:
        OvertakenError: when the backbone is not the one that the decision was made under.
        ModelOutputError: when what the frozen model gives for the rows is no number.
        DeviceFullError: when the device's memory does not suffice for few rows at once.
    """
    if bench.config.adapter.trainer is not None:
        return train_outside(bench, bench.config.adapter.trainer, progress, deployed)
    try:
        with one_thread():
            trained = [
                _train(bench, number, rows, bench.seed, progress)
                for number, rows in enumerate(bench.split.windows)
            ]
    except NotFiniteError:
        raise ModelOutputError(
            f"{bench.decision.domain}: the frozen model overflows on its rows (NaN or infinity), "
            "so that no adapter can be trained; train the model anew: driftune pretrain"
        ) from None
    except DeviceMemoryError as error:
        raise DeviceFullError(f"{bench.decision.domain}: {error}") from None
    window = min(range(len(trained)), key=lambda number: trained[number].loss)
    figures = _figures(trained[window], bench.split.spans(window))
    save_adapter(bench.folder, trained[window].adapter, challenger_card(bench, figures))
    shutil.rmtree(bench.checkpoints, ignore_errors=True)
    seconds = round(sum(each.seconds for each in trained), 2)
    return figures.model_copy(update={"seconds": seconds})


def _train(
    bench: Workbench, number: int, rows: Rows, seed: int, progress: Progress | None
) -> Trained:
    """Train an adapter on the rows of a window, the ``number``-th one."""
    key, settings = bench.decision.domain_key, bench.config.adapter
    with _attached(bench.config, bench.served.model) as adapted:
        started_from = _start(bench, adapted, seed)
        training = choose_beta(
            adapted,
            _examples(adapted, bench.served.model, key, rows),
            _examples(adapted, bench.served.model, key, bench.split.select),
            TrainConfig(
                epochs=settings.epochs,
                patience=settings.patience,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                seed=seed,
                precision=settings.precision,
            ),
            settings.beta,
            checkpoint=bench.checkpoints / f"window{number}",
            loss=bench.served.model.row_losses(),
            progress=progress,
        )
        report = training.domains[key]
        loss = report.select_loss[report.best_epoch]
        return Trained(loss, adapted.adapter(key), report, started_from, training.seconds)


def _figures(trained: Trained, split: SplitSpans) -> TrainingFigures:
    """The training figures that the challenger's card and the decision keep."""
    report = trained.report
    return TrainingFigures(
        started_from=trained.started_from,
        split=split,
        beta=report.beta,
        best_epoch=report.best_epoch,
        epochs=report.epochs_run,
        kl_bits=round(sum(map(sum, report.kl_bits.values())), 4),
        parameters=sum(tensor.numel() for tensor in trained.adapter.parameters()),
    )


def _attached(config: Config, model: Recommender) -> AdaptedModel:
    at = config.adapter.at
    try:
        return attach(model, AdapterBank(), model.default_places() if at == "auto" else at)
    except AttachError as error:
        raise ConfigError(f"{config.source_file}: adapter.at: {error}") from None


def _examples(adapted: AdaptedModel, model: Recommender, key: str, rows: Rows) -> Examples:
    slot = int(adapted.slots([key]))
    return Examples(
        model.inputs(rows),
        (rows.click, rows.convert),
        torch.full((len(rows),), slot, dtype=torch.long),
    )


def _start(bench: Workbench, adapted: AdaptedModel, seed: int) -> int:
    """Give the domain its champion's adapter where that has the configured shape, else a new one.

    Returns the version that it starts from; 0 for a new adapter.
    """
    key, wanted = bench.decision.domain_key, _wanted(bench.config.adapter)
    champion, bank = bench.champion()
    if champion.serves != BASE:
        held = bank.adapter(key)
        if held.is_of(wanted, adapted.at):
            adapted.bank.load(key, held)
            return champion.serves
    adapted.add(key, wanted, seed)
    return BASE


def _wanted(settings: AdapterSettings) -> IAKConfig:
    """The shape of a kernel that the configuration asks for."""
    return IAKConfig(
        bottleneck=settings.bottleneck,
        hidden=settings.hidden,
        combine=settings.combine,
        warm_epochs=WARM_EPOCHS if settings.combine == "replace" else 0,
    )
