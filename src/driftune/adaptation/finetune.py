"""Fine-tuning: a challenger adapter for one domain, on the frozen backbone."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from driftune.adaptation.split import split_of_decision
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BACKBONE_CHANGED, ConfigError, OvertakenError
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterBank,
    AttachError,
    Examples,
    IAKConfig,
    IAKKernel,
    TrainConfig,
    TrainReport,
    attach,
    choose_beta,
    load_adapter,
    save_adapter,
)
from driftune.models.backbone import Backbone
from driftune.registry.champions import Champion, champions_for
from driftune.registry.ledger import BASE, Ledger
from driftune.training.pretrain import load_model
from driftune.training.rows import Rows
from driftune.training.threads import one_thread

# Of a kernel that replaces the representation: it has to give it back before it may change it.
WARM_EPOCHS = 3


def challenger_folder(config: Config, decision_id: str) -> Path:
    """Where the challenger of a decision lies until it is promoted."""
    return Workspace(config).challengers / decision_id


def finetune(
    config: Config,
    ledger: Ledger,
    decision_id: str,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Train the decision's challenger and write its files; returns the training figures.

    The adapter starts from the champion's where the domain has one. Of several windows of rows
    the one with the lowest loss on the selection rows is kept. A training that was killed goes on
    after its last whole epoch. Same data version, configuration and seed give the same bytes on a
    CPU.

    Raises:
        OvertakenError: when the backbone is not the one that the decision was made under.
    """
    row = ledger.decision(decision_id)
    encoder, model, backbone = load_model(config)
    if backbone != row.backbone:
        raise OvertakenError(BACKBONE_CHANGED)
    split = split_of_decision(config, encoder, row)
    champions, _ = champions_for(config, ledger, backbone, [row.domain_key])
    champion = champions[row.domain_key]
    settings = config.adapter
    seed = int(hashlib.sha256(f"{config.seed} {decision_id}".encode()).hexdigest()[:8], 16)
    folder = Workspace(config).staging / f"adapt-{decision_id}"
    trained: list[tuple[float, Adapter, TrainReport]] = []
    seconds = 0.0
    with one_thread():
        for number, rows in enumerate(split.windows):
            with _attached(config, model) as adapted:
                fresh = not _start(config, adapted, row.domain_key, champion, backbone, seed)
                training = choose_beta(
                    adapted,
                    _examples(adapted, row.domain_key, rows),
                    _examples(adapted, row.domain_key, split.select),
                    TrainConfig(
                        epochs=settings.epochs,
                        patience=settings.patience,
                        batch_size=settings.batch_size,
                        learning_rate=settings.learning_rate,
                        weight_decay=settings.weight_decay,
                        seed=seed,
                    ),
                    settings.beta,
                    checkpoint=folder / f"window{number}",
                    progress=progress,
                )
                report = training.domains[row.domain_key]
                loss = report.select_loss[report.best_epoch]
                trained.append((loss, adapted.adapter(row.domain_key), report))
                seconds += training.seconds
    window = min(range(len(trained)), key=lambda number: trained[number][0])
    _, adapter, report = trained[window]
    figures = {
        "started_from": BASE if fresh else champion.serves,
        "split": split.to_dict(window),
        "beta": report.beta,
        "best_epoch": report.best_epoch,
        "epochs": report.epochs_run,
        "kl_bits": round(sum(map(sum, report.kl_bits.values())), 4),
        "parameters": sum(tensor.numel() for tensor in adapter.parameters()),
    }
    card = {
        "lake": split.lake,
        "domain": row.domain,
        "domain_key": row.domain_key,
        "decision": decision_id,
        "backbone": backbone,
        "encoder": encoder.fingerprint,
        "data_version": row.data_version,
        "seed": seed,
        "training": figures,
    }
    save_adapter(challenger_folder(config, decision_id), adapter, card)
    shutil.rmtree(folder, ignore_errors=True)
    return {**figures, "seconds": round(seconds, 2)}


def _attached(config: Config, model: Backbone) -> AdaptedModel:
    try:
        return attach(model, AdapterBank(), config.adapter.at)
    except AttachError as error:
        raise ConfigError(f"{config.source_file}: adapter.at: {error}") from None


def _examples(adapted: AdaptedModel, key: str, rows: Rows) -> Examples:
    slot = int(adapted.slots([key]))
    return Examples(
        (rows.ids, rows.numbers),
        (rows.click, rows.convert),
        torch.full((len(rows),), slot, dtype=torch.long),
    )


def _start(
    config: Config, adapted: AdaptedModel, key: str, champion: Champion, backbone: str, seed: int
) -> bool:
    """Give the domain its champion's adapter where that has the configured shape, else a new one.

    Returns whether it starts from the champion's.
    """
    adapter = config.adapter
    wanted = IAKConfig(
        bottleneck=adapter.bottleneck,
        hidden=adapter.hidden,
        combine=adapter.combine,
        warm_epochs=WARM_EPOCHS if adapter.combine == "replace" else 0,
    )
    if champion.folder is not None and not champion.problem:
        held, _ = load_adapter(champion.folder, backbone=backbone)
        kernels = [kernel for _, kernel in held.items() if isinstance(kernel, IAKKernel)]
        same = all(replace(kernel.config, beta=wanted.beta) == wanted for kernel in kernels)
        if same and held.places == adapted.at and len(kernels) == len(held.places):
            adapted.bank.load(key, held)
            return True
    adapted.add(key, wanted, seed)
    return False
