"""The rows of the adapter benchmark: what is trained, where, and the settings to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from driftune.models.adapters import (
    AdaptedModel,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    IAKConfig,
    IAKKernel,
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    TrainReport,
    attach,
    train,
    train_pooled_first,
)

FIRST = ("click_tower.1", "convert_tower.1")
LAST = ("click_tower.3", "convert_tower.3")
FIRST_LINEAR = ("click_tower.0", "convert_tower.0")
LINEARS = (*FIRST_LINEAR, "click_tower.2", "convert_tower.2")
HEADS = ("click_tower.4", "convert_tower.4")
INPUT = ("representation",)
POOLED = "pooled"
FIRST_POOLED = "pooled_first"
MODES = ("domain", POOLED, FIRST_POOLED)
RATES = (1e-3, 3e-3)
# The pooled phase of every method that has one.
POOLED_RATE, POOLED_EPOCHS = 3e-3, 6
IAK = IAKConfig(bottleneck=12, hidden=16)
CHOSEN = ("iak_pooled", "place and beta chosen")


@dataclass(frozen=True)
class Setting:
    """One way to train a method: the kernels, their places, and the optimiser's settings.

    ``mode``: ``domain`` (each its own), ``pooled`` (one for all) or ``pooled_first`` (one for all,
    then each its own from it).
    """

    kernels: KernelConfig
    at: tuple[str, ...]
    config: TrainConfig
    mode: str = "domain"


@dataclass(frozen=True)
class Method:
    """One row of the table, and the settings that it may have; an ``ablation`` of IAK or not."""

    name: str
    variant: str
    settings: tuple[Setting, ...]
    ablation: bool = False


@dataclass(frozen=True)
class Fitted:
    """A trained method: the model, epochs that early stopping chose, seconds, parameters, bits."""

    adapted: AdaptedModel
    epochs: dict[str, int]
    pooled_epochs: dict[str, int]
    seconds: float
    parameters: int
    bits: dict[str, dict[str, list[float]]]


def methods(backbone: nn.Module, quick: bool) -> list[Method]:
    """Every row but the frozen base and the model trained anew.

    IAK and its rivals at matched parameters have six settings each.
    """
    rank, width = matched(backbone)
    lora, houlsby = LoRAConfig(rank, 2.0 * rank), HoulsbyConfig(width)
    loras = [LoRAConfig(8, 16.0), LoRAConfig(32, 64.0)]
    wide = [HoulsbyConfig(24), HoulsbyConfig(64)]
    small = replace(IAK, bottleneck=6, hidden=8)
    places = ((IAK, INPUT), (IAK, FIRST), (small, (*INPUT, *FIRST)))
    rows = [
        Method("heads", "last layers", _grid([CopyConfig()], HEADS, RATES)),
        Method("lora", "matched", _grid([lora], FIRST_LINEAR, RATES, MODES)),
        Method("lora", "best", _grid(loras, LINEARS, RATES[:1], MODES)),
        Method("houlsby", "matched", _grid([houlsby], FIRST, RATES, MODES)),
        Method("houlsby", "best", _grid(wide, (*FIRST, *LAST), RATES[:1], MODES)),
        Method("full_domain", "all", _grid([CopyConfig()], ("",), (3e-4, 1e-3))),
        Method("full_pooled", "all", _grid([CopyConfig()], ("",), (3e-4, 1e-3), (POOLED,))),
        Method(
            *CHOSEN,
            tuple(
                setting
                for kernel, at in places
                for beta in (0.0, 1e-3)
                for setting in _grid([replace(kernel, beta=beta)], at, RATES[:1], (FIRST_POOLED,))
            ),
        ),
        *_ablations(),
    ]
    if not quick:
        return rows
    wanted = {("lora", "matched"), CHOSEN, ("full_pooled", "all")}
    return [
        replace(row, variant="one setting", settings=row.settings[-1:])
        for row in rows
        if (row.name, row.variant) in wanted
    ]


def matched(backbone: nn.Module) -> tuple[int, int]:
    """LoRA's rank and Houlsby's width with as many parameters as IAK behind the first layers."""
    layers = [backbone.get_submodule(place) for place in FIRST_LINEAR]
    sizes = [each.weight.shape for each in layers if isinstance(each, nn.Linear)]
    wanted = sum(
        sum(tensor.numel() for tensor in IAKKernel(columns, IAK).parameters())
        for columns, _ in sizes
    )
    rank = round(wanted / sum(columns + inputs for columns, inputs in sizes))
    # A Houlsby adapter of width w: two matrices, w biases, and one for each column.
    width = round(
        (wanted - sum(columns for columns, _ in sizes))
        / sum(2 * columns + 1 for columns, _ in sizes)
    )
    return rank, width


def _ablations() -> list[Method]:
    """IAK without the pooled kernel, and one thing changed at a time in the pooled form."""
    rows = []
    for combine in ("residual", "replace"):
        warm = 3 if combine == "replace" else 0
        for variant, betas in (("beta 0", (0.0,)), ("beta chosen", (1e-4, 1e-3))):
            kernels = [replace(IAK, combine=combine, beta=beta, warm_epochs=warm) for beta in betas]
            rows.append(Method("iak", variant, _grid(kernels, FIRST, RATES), True))
    usual = replace(IAK, beta=1e-3)
    rows.append(
        Method("iak", "one for all domains", _grid([usual], FIRST, RATES[:1], (POOLED,)), True)
    )
    (plain,) = _grid([usual], FIRST, RATES[:1], (FIRST_POOLED,))
    changed = {
        "first layer": plain,
        "first layer, beta 0": replace(plain, kernels=replace(IAK, beta=0.0)),
        "at the input": replace(plain, at=INPUT),
        "last hidden layer": replace(plain, at=LAST),
        "twice the size": replace(plain, kernels=replace(usual, bottleneck=24, hidden=32)),
        "beta annealed": replace(plain, kernels=replace(usual, anneal_epochs=3)),
        "compressed first": replace(plain, kernels=replace(usual, compress_epochs=2)),
        "equal batches": replace(plain, config=replace(plain.config, batch_exponent=0.0)),
        "fresh user ids": replace(plain, kernels=replace(usual, fresh_rows=1024, fresh_width=4)),
    }
    return rows + [Method("iak_pooled", name, (each,), True) for name, each in changed.items()]


def fit(
    setting: Setting,
    model: nn.Module,
    examples: Examples,
    select: Examples | None,
    domains: Sequence[str],
    seed: int,
    epochs: Mapping[str, int] | None = None,
    pooled_epochs: Mapping[str, int] | None = None,
) -> Fitted:
    """Train a setting on ``examples``, whose domain ids count the ``domains`` in their order.

    With ``select`` early stopping chooses the epochs; without, they are given.
    """
    config = replace(setting.config, seed=seed)
    names = [POOLED] if setting.mode == POOLED else list(domains)
    first = [] if setting.mode == FIRST_POOLED else names
    adapted = attach(model, setting.kernels, setting.at, first, seed)
    if setting.mode == POOLED:
        examples = replace(examples, domains=torch.zeros_like(examples.domains))
        select = select and replace(select, domains=torch.zeros_like(select.domains))
    chosen: dict[str, int] = {}
    pooled_reports: dict[str, TrainReport] = {}
    seconds = 0.0
    if setting.mode == FIRST_POOLED:
        pooled, training = train_pooled_first(
            adapted,
            examples,
            select,
            config,
            setting.kernels,
            names,
            pooled_config=replace(config, learning_rate=POOLED_RATE, epochs=POOLED_EPOCHS),
            pooled_epochs=pooled_epochs,
            epochs=epochs,
        )
        chosen = {name: report.best_epoch for name, report in pooled.domains.items()}
        seconds = pooled.seconds
        pooled_reports = pooled.domains
    else:
        training = train(adapted, examples, select, config, epochs=epochs)
    parameters = sum(each.numel() for each in adapted.adapter(names[0]).parameters())
    return Fitted(
        adapted,
        {name: report.best_epoch for name, report in training.domains.items()},
        chosen,
        seconds + training.seconds,
        parameters,
        {name: report.kl_bits for name, report in (pooled_reports | training.domains).items()},
    )


def describe(setting: Setting) -> dict[str, Any]:
    """The setting as JSON-safe values."""
    return {
        **setting.kernels.to_dict(),
        "at": list(setting.at),
        "learning_rate": setting.config.learning_rate,
        "mode": setting.mode,
    }


def _grid(
    kernels: Sequence[KernelConfig],
    at: tuple[str, ...],
    rates: Sequence[float],
    modes: Sequence[str] = ("domain",),
) -> tuple[Setting, ...]:
    base = TrainConfig(epochs=12, patience=3, batch_size=512)
    return tuple(
        Setting(each, at, replace(base, learning_rate=rate), mode)
        for each in kernels
        for mode in modes
        for rate in rates
    )
