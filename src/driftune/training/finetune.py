"""Fine-tuning: a challenger adapter for one domain, on the frozen backbone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from driftune.config import Config
from driftune.errors import LakeError
from driftune.logs.encoder import Encoder
from driftune.logs.features import Lake, encode_day
from driftune.models.adapters import (
    IAKConfig,
    IAKKernel,
    load_adapter,
    save_adapter,
    train_kernel,
)
from driftune.registry.champions import champions_for
from driftune.registry.ledger import BASE, Ledger
from driftune.training.pretrain import load_model
from driftune.training.rows import Rows, load_rows
from driftune.training.scoring import represent
from driftune.workspace import Workspace


@dataclass(frozen=True)
class Split:
    """A domain's rows up to the day, split by time: train, then select, then the gate's rows."""

    train: Rows
    select: Rows
    gate: Rows

    def to_dict(self) -> dict[str, Any]:
        """Sizes and time spans (UTC), as the decision records them."""
        return {
            name: {"rows": len(rows), "from": _moment(rows, 0), "to": _moment(rows, -1)}
            for name, rows in vars(self).items()
        }


def split_rows(config: Config, encoder: Encoder, key: str, day: date) -> Split:
    """Split the domain's rows of the adaptation window by time.

    The gate gets the newest share of the day's own rows, selection the newest share of the
    rest. The counters of every row come from days before its own, so no gate row reaches them.

    Raises:
        LakeError: when the window has too few rows to split.
    """
    view = Lake.of(config)
    first = day - timedelta(days=config.adapter.train_days - 1)
    days = [other for other in sorted(view.contents) if first <= other <= day]
    rows = load_rows(encoder, [encode_day(config, encoder, each, view) for each in days], key)
    today = load_rows(encoder, [encode_day(config, encoder, day, view)], key)
    gate = round(len(today) * config.adapter.gate_share)
    rest = len(rows) - gate
    select = round(rest * config.adapter.select_share)
    if min(gate, select, rest - select) < 1:
        raise LakeError(f"{key}: {len(rows)} rows up to {day} are too few to train on and judge")
    positions = np.arange(len(rows))
    return Split(
        rows.take(positions[: rest - select]),
        rows.take(positions[rest - select : rest]),
        rows.take(positions[rest:]),
    )


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

    The kernel starts from the champion's where the domain has one. Same data version,
    configuration and seed give the same bytes on a CPU.
    """
    row = ledger.decision(decision_id)
    day = date.fromisoformat(row.day)
    encoder, model, backbone = load_model(config)
    split = split_rows(config, encoder, row.domain_key, day)
    champions, _ = champions_for(config, ledger, backbone, [row.domain_key])
    champion = champions[row.domain_key]
    settings = config.adapter
    seed = int(hashlib.sha256(f"{config.seed} {decision_id}".encode()).hexdigest()[:8], 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            hidden = represent(model, split.train)
            kernel = _start(config, champion.folder if not champion.problem else None, backbone)
            fresh = kernel is None
            if kernel is None:
                kernel = IAKKernel(model.representation.width, _iak(config))
                kernel.fit_scale(hidden)
            report = train_kernel(
                kernel,
                model.heads,
                hidden,
                split.train.click,
                split.train.convert,
                represent(model, split.select),
                split.select.click,
                split.select.convert,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                beta=settings.beta,
                patience=settings.patience,
                seed=seed,
                progress=progress,
            )
    finally:
        torch.set_num_threads(threads)
    figures = {
        "started_from": BASE if fresh else champion.serves,
        "split": split.to_dict(),
        "best_epoch": report.best_epoch,
        "epochs": report.epochs_run,
        "kl_bits": round(sum(report.kl_bits), 4),
        "parameters": sum(tensor.numel() for tensor in kernel.parameters()),
    }
    card = {
        "domain": row.domain,
        "domain_key": row.domain_key,
        "decision": decision_id,
        "backbone": backbone,
        "encoder": encoder.fingerprint,
        "data_version": row.data_version,
        "seed": seed,
        "training": figures,
    }
    save_adapter(challenger_folder(config, decision_id), kernel, card)
    return {**figures, "seconds": round(report.seconds, 2)}


def _iak(config: Config) -> IAKConfig:
    adapter = config.adapter
    return IAKConfig(
        bottleneck=adapter.bottleneck,
        hidden=adapter.hidden,
        combine=adapter.combine,
        beta=adapter.beta,
    )


def _start(config: Config, folder: Path | None, backbone: str) -> IAKKernel | None:
    """The champion's kernel to start from, when it has the configured shape."""
    if folder is None:
        return None
    kernel, _ = load_adapter(folder, backbone=backbone)
    same = kernel.config.to_dict() == _iak(config).to_dict()
    return kernel if same else None


def _moment(rows: Rows, position: int) -> str:
    return str(np.datetime64(int(rows.time[position]), "us"))
