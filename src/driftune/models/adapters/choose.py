"""Choices around a training: β by the selection rows, a pooled adapter before the domains' own."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import torch

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.devices import device_of, moved
from driftune.models.adapters.examples import Examples
from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.report import Training, TrainReport
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.training import TrainOptions, train_part

PRIOR_ROWS = 1 << 16


class PooledOptions(TrainOptions, total=False):
    """What may be said of ``train_pooled_first`` beside its data and settings."""

    pooled: str
    pooled_config: TrainConfig | None
    pooled_epochs: Mapping[str, int] | None
    checkpoint: Path | None


def choose_beta(
    adapted: AdaptedModel,
    examples: Examples,
    select: Examples,
    config: TrainConfig,
    betas: Sequence[float],
    checkpoint: Path | None = None,
    **options: Unpack[TrainOptions],
) -> Training:
    """Train with each β from the same start; each domain keeps the one of its lowest loss.

    The loss that decides is that of the labels on the selection rows, without the KL term.
    ``options`` are those of ``train``; each β has a checkpoint of its own beside ``checkpoint``.

    Raises:
        ValueError: when there is no β; else as ``train``.
    """
    if not betas:
        raise ValueError("no beta to choose from")
    adapted.build(*(each[:64] for each in examples.inputs))
    slots = set(examples.domains.tolist())
    names = [name for name in adapted.domains if int(adapted.slots([name])) in slots]
    starts = {name: copy.deepcopy(adapted.adapter(name)) for name in names}
    best: dict[str, tuple[float, Adapter, TrainReport]] = {}
    seconds, last = 0.0, None
    files = [_beside(checkpoint, f"beta{number}") for number in range(len(betas))]
    for beta, file in zip(betas, files, strict=True):
        for name in names:
            trial = copy.deepcopy(starts[name])
            for _, kernel in trial.items():
                kernel.config = kernel.config.with_beta(float(beta))
            adapted.bank.put(name, trial)
        last = train_part(adapted, examples, select, config, file, **options)
        seconds += last.seconds
        for name, report in last.domains.items():
            loss = report.select_loss[report.best_epoch]
            if name not in best or loss < best[name][0]:
                best[name] = (loss, adapted.adapter(name), report)
    for name, (_, adapter, _) in best.items():
        adapted.bank.put(name, adapter)
    _remove(files)
    assert last is not None
    return replace(
        last, domains={name: report for name, (_, _, report) in best.items()}, seconds=seconds
    )


def train_pooled_first(
    adapted: AdaptedModel,
    examples: Examples,
    select: Examples | None,
    config: TrainConfig,
    kernels: KernelConfig,
    domains: Iterable[str],
    **options: Unpack[PooledOptions],
) -> tuple[Training, Training]:
    """Train one adapter on the rows of all domains, then each domain's own from it.

    The pooled adapter's aggregate posterior becomes the domains' prior, its weights their start.
    It stays in the bank under the name ``pooled``, for domains that are too small or too new for
    their own. Rows of no domain (−1) train it too.
    ``pooled_config`` and ``pooled_epochs``: as ``config`` and ``epochs`` of its own training.
    The other options are those of ``train``; each phase has a checkpoint of its own beside
    ``checkpoint``. Returns both reports.

    Raises:
        ValueError: when a domain has the name of the pooled adapter; else as ``train``.
    """
    names, pooled = list(domains), options.get("pooled", "pooled")
    if pooled in names:
        raise ValueError(f"a domain is called {pooled!r}; give the pooled adapter another name")
    for name in names:
        adapted.bank.reserve(name)
    adapted.add(pooled, kernels, config.seed)
    slot = int(adapted.slots([pooled]))
    everything = replace(examples, domains=torch.full_like(examples.domains, slot))
    newest = select and replace(select, domains=torch.full_like(select.domains, slot))
    files = [_beside(options.get("checkpoint"), phase) for phase in ("pooled", "domains")]
    first = train_part(
        adapted,
        everything,
        newest,
        options.get("pooled_config") or config,
        files[0],
        **_of_phase(options, options.get("pooled_epochs")),
    )
    fit_prior(adapted, pooled, everything)
    for domain in names:
        adapted.start_from(pooled, domain)
    second = train_part(
        adapted, examples, select, config, files[1], **_of_phase(options, options.get("epochs"))
    )
    _remove(files)
    return first, second


def _of_phase(options: PooledOptions, epochs: Mapping[str, int] | None) -> TrainOptions:
    """The options of one of the two trainings."""
    found = TrainOptions(epochs=epochs)
    if "loss" in options:
        found["loss"] = options["loss"]
    if "progress" in options:
        found["progress"] = options["progress"]
    return found


def _beside(checkpoint: Path | None, part: str) -> Path | None:
    """The checkpoint of a part of a longer run."""
    return checkpoint and checkpoint.with_name(f"{checkpoint.name}.{part}")


def _remove(files: Iterable[Path | None]) -> None:
    for file in files:
        if file is not None:
            file.unlink(missing_ok=True)


@torch.no_grad()
def fit_prior(adapted: AdaptedModel, domain: str, examples: Examples) -> None:
    """Set the priors of a domain's kernels, where they have one, by its rows."""
    kernels = [(at, each) for at, each in adapted.adapter(domain).items() if each.has_prior]
    if not kernels:
        return
    rows = examples.rows_of(int(adapted.slots([domain])))
    step = max(1, len(rows) // PRIOR_ROWS)
    rows = rows[::step]
    seen = adapted.observe(*(each[rows] for each in examples.inputs))
    device = device_of(adapted.model)
    fresh = None if examples.fresh is None else moved(examples.fresh[rows], device)
    for place, kernel in kernels:
        h = seen[place]
        steps = len(h) // len(rows)
        kernel.fit_prior(h, None if fresh is None else fresh.repeat_interleave(steps, dim=0))
