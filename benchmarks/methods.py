"""The rows of the adapter benchmark: what is trained, where, and the settings to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from benchmarks.matching import matched, parameters_of_one
from benchmarks.placed import placed
from benchmarks.settings import (
    BETAS,
    FIRST,
    FIRST_LINEAR,
    FIRST_POOLED,
    HEADS,
    IAK,
    INPUT,
    LAST,
    LINEARS,
    MODES,
    PLACES,
    POOLED,
    RATES,
    SHARED,
    Method,
    Setting,
    grid,
)
from driftune.models.adapters import (
    AdaptedModel,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    LoRAConfig,
    TrainReport,
    attach,
    train,
    train_pooled_first,
)
from driftune.models.esmm import ESMM

# The pooled phase of every method that has one.
POOLED_RATE, POOLED_EPOCHS = 3e-3, 6
CHOSEN = ("iak_pooled", "place and beta chosen")
QUICK_EPOCHS = 3
QUICK = (
    ("lora", "matched"),
    ("hamur", "matched, place chosen"),
    ("lora_proximal", "matched, place and pull chosen"),
    ("full_pooled", "all"),
    CHOSEN,
)


@dataclass(frozen=True)
class Fitted:
    """A trained method: the model, epochs that early stopping chose, seconds, parameters, bits."""

    adapted: AdaptedModel
    epochs: dict[str, int]
    pooled_epochs: dict[str, int]
    seconds: float
    parameters: int
    bits: dict[str, dict[str, list[float]]]


def methods(backbone: ESMM, domains: int, quick: bool) -> list[Method]:
    """Every row but the frozen base and the model trained anew, for so many domains.

    IAK and its rivals at matched parameters have six settings each.
    """
    rank, width = matched(backbone)
    lora, houlsby = LoRAConfig(rank, 2.0 * rank), HoulsbyConfig(width)
    loras = [LoRAConfig(8, 16.0), LoRAConfig(32, 64.0)]
    wide = [HoulsbyConfig(24), HoulsbyConfig(64)]
    rows = [
        Method("heads", "last layers", grid([CopyConfig()], HEADS, RATES)),
        Method("lora", "matched", grid([lora], FIRST_LINEAR, RATES, MODES)),
        Method("lora", "best", grid(loras, LINEARS, RATES[:1], MODES)),
        Method("houlsby", "matched", grid([houlsby], FIRST, RATES, MODES)),
        Method("houlsby", "best", grid(wide, (*FIRST, *LAST), RATES[:1], MODES)),
        *placed(backbone, domains),
        Method("full_domain", "all", grid([CopyConfig()], ("",), (3e-4, 1e-3))),
        Method("full_pooled", "all", grid([CopyConfig()], ("",), (3e-4, 1e-3), (POOLED,))),
        Method(
            *CHOSEN,
            tuple(
                setting
                for kernel, at in PLACES
                for beta in BETAS
                for setting in grid([replace(kernel, beta=beta)], at, RATES[:1], (FIRST_POOLED,))
            ),
        ),
        *_ablations(),
    ]
    if not quick:
        return rows
    return [
        replace(row, variant="one setting", settings=_one(row.settings))
        for row in rows
        if (row.name, row.variant) in QUICK
    ]


def _one(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """The last setting behind the first layers, which trains fastest, else of all; few epochs."""
    behind = [each for each in settings if each.at in (FIRST, FIRST_LINEAR)]
    last = (behind or settings)[-1]
    return (replace(last, config=replace(last.config, epochs=QUICK_EPOCHS)),)


def _ablations() -> list[Method]:
    """IAK without the pooled kernel, and one thing changed at a time in the pooled form."""
    rows = []
    for combine in ("residual", "replace"):
        warm = 3 if combine == "replace" else 0
        for variant, betas in (("beta 0", (0.0,)), ("beta chosen", (1e-4, 1e-3))):
            kernels = [replace(IAK, combine=combine, beta=beta, warm_epochs=warm) for beta in betas]
            rows.append(Method("iak", variant, grid(kernels, FIRST, RATES), True))
    usual = replace(IAK, beta=1e-3)
    rows.append(
        Method("iak", "one for all domains", grid([usual], FIRST, RATES[:1], (POOLED,)), True)
    )
    (plain,) = grid([usual], FIRST, RATES[:1], (FIRST_POOLED,))
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
    names = [POOLED] if setting.mode in (POOLED, SHARED) else list(domains)
    first = [] if setting.mode == FIRST_POOLED else names
    adapted = attach(model, setting.kernels, setting.at, first, seed)
    examples, select = served_by(setting.mode, examples), select and served_by(setting.mode, select)
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
    parameters = parameters_of_one(adapted.adapter(names[0]))
    return Fitted(
        adapted,
        {name: report.best_epoch for name, report in training.domains.items()},
        chosen,
        seconds + training.seconds,
        parameters,
        {name: report.kl_bits for name, report in (pooled_reports | training.domains).items()},
    )


def served_by(mode: str, rows: Examples) -> Examples:
    """The rows as a mode's adapters are told of them.

    One adapter for all takes every row; one that is told of the domains takes theirs alone.
    """
    if mode == POOLED:
        return replace(rows, domains=torch.zeros_like(rows.domains))
    if mode == SHARED:
        return replace(rows, domains=rows.domains.clamp(max=0), fresh=rows.domains.unsqueeze(1))
    return rows
