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
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    TrainReport,
    attach,
    train,
    train_pooled_first,
)

FIRST = ("click_tower.1", "convert_tower.1")
FIRST_LINEAR = ("click_tower.0", "convert_tower.0")
LINEARS = (*FIRST_LINEAR, "click_tower.2", "convert_tower.2")
HEADS = ("click_tower.4", "convert_tower.4")
INPUT = ("representation",)
POOLED = "pooled"
FIRST_POOLED = "pooled_first"
POOLED_RATE, POOLED_EPOCHS = 3e-3, 6


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


def methods(quick: bool) -> list[Method]:
    """Every row but the frozen base and the model trained anew."""
    iak = IAKConfig(bottleneck=12, hidden=16)
    chosen = (1e-4, 1e-3)
    rates = (1e-3, 3e-3)
    rows = [
        Method("heads", "last layers", _grid([CopyConfig()], HEADS, rates)),
        Method("lora", "matched", _grid([LoRAConfig(16, 32.0)], FIRST_LINEAR, rates)),
        Method(
            "lora",
            "best",
            (
                *_grid([LoRAConfig(16, 32.0)], FIRST_LINEAR, (1e-3,)),
                *_grid([LoRAConfig(16, 32.0)], LINEARS, (1e-3,), "pooled"),
                *_grid([LoRAConfig(8, 16.0), LoRAConfig(32, 64.0)], LINEARS, (1e-3,), FIRST_POOLED),
            ),
        ),
        Method("houlsby", "matched", _grid([HoulsbyConfig(24)], FIRST, rates)),
        Method(
            "houlsby",
            "best",
            (
                *_grid([HoulsbyConfig(64)], FIRST, (1e-3,)),
                *_grid([HoulsbyConfig(24)], FIRST, (1e-3,), "pooled"),
                *_grid([HoulsbyConfig(24), HoulsbyConfig(64)], FIRST, (1e-3,), FIRST_POOLED),
            ),
        ),
        Method("full_domain", "all", _grid([CopyConfig()], ("",), (3e-4, 1e-3))),
        Method("full_pooled", "all", _grid([CopyConfig()], ("",), (3e-4, 1e-3), "pooled")),
    ]
    for combine in ("residual", "replace"):
        warm = 3 if combine == "replace" else 0
        for variant, betas in (("beta 0", (0.0,)), ("beta chosen", chosen)):
            kernels = [replace(iak, combine=combine, beta=beta, warm_epochs=warm) for beta in betas]
            rows.append(Method("iak", variant, _grid(kernels, FIRST, rates), True))
    several = [replace(iak, beta=beta) for beta in (0.0, *chosen)]
    small = replace(iak, bottleneck=6, hidden=8)
    fresh = [replace(each, fresh_rows=1024, fresh_width=4) for each in several[1:]]
    rows += [
        Method("iak", "one for all domains", _grid(several, FIRST, (1e-3,), "pooled"), True),
        Method("iak", "at the input", _grid(several[:2], INPUT, (1e-3,)), True),
        Method(
            "iak_pooled", "with fresh user ids", _grid(fresh, FIRST, (1e-3,), FIRST_POOLED), True
        ),
        Method(
            "iak_pooled",
            "place and beta chosen",
            tuple(
                setting
                for kernel, at in ((iak, INPUT), (iak, FIRST), (small, (*INPUT, *FIRST)))
                for setting in _grid(
                    [replace(kernel, beta=beta) for beta in (0.0, chosen[-1])],
                    at,
                    (1e-3,),
                    FIRST_POOLED,
                )
            ),
        ),
    ]
    if quick:
        wanted = {
            ("lora", "matched"),
            ("iak_pooled", "place and beta chosen"),
            ("full_pooled", "all"),
        }
        rows = [
            replace(row, settings=row.settings[:1])
            for row in rows
            if (row.name, row.variant) in wanted
        ]
    return rows


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
        for name in names:
            adapted.bank.reserve(name)
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
    mode: str = "domain",
) -> tuple[Setting, ...]:
    base = TrainConfig(epochs=12, patience=3, batch_size=512)
    return tuple(
        Setting(each, at, replace(base, learning_rate=rate), mode)
        for each in kernels
        for rate in rates
    )
