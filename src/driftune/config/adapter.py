"""The section ``adapter`` of params.yaml."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from driftune.config.base import Positive, Section
from driftune.config.trainer import Trainer

Betas = Annotated[
    list[Annotated[float, Field(ge=0, allow_inf_nan=False)]],
    BeforeValidator(lambda given: given if isinstance(given, list) else [given]),
]


Places = Annotated[list[str], Field(min_length=1)]


def _known_device(given: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?|mps", given) is None:
        raise ValueError("must be auto, cpu, cuda, cuda:N (cuda:0 is the first) or mps")
    return given


class Adapter(Section):
    """The IAK adapter and its fine-tuning.

    It is trained on the last ``train_days`` days, or on those since drift began where that does
    better on the selection rows; once drift is older, on up to ``drift_days`` days since.
    """

    at: Places | Annotated[list[Places], Field(min_length=1)] | Literal["auto"] = [
        "click_tower.1",
        "convert_tower.1",
    ]
    """Places: names of modules of the model behind which a kernel is put; `auto`: those that the
    model names, and of a recommender of your own the default. A list of lists: of these places
    those are chosen for each challenger that do best on the selection rows."""
    combine: Literal["residual", "replace"] = "residual"
    """`residual`: the kernel's output is added; `replace`: it is all that goes on."""
    bottleneck: Positive = 12
    """Size of the bottleneck z."""
    hidden: Positive = 16
    """Size of the decoder's hidden layer."""
    beta: Betas = Field([0.0, 1e-3], min_length=1)
    """Weights of the KL term to choose from."""
    start: Literal["champion", "pooled", "best"] = "champion"
    """What training starts from: `champion` (a new adapter where the domain has none), `pooled`
    (one trained on the rows of all domains first), or `best`: of both, by the selection rows."""
    train_days: Positive = 3
    """Last days that it is trained on …"""
    drift_days: Positive = 7
    """… or days since the drift began, up to so many."""
    select_share: float = Field(0.15, gt=0, lt=0.5)
    """Share of the rows that chooses places, start, β and the days."""
    folds: int = Field(1, ge=1, le=10)
    """Blocks of time, of `select_share` of the rows each, that choose: each is left out in its turn
    (cross-fitting), then all train what was chosen. 1: the newest rows choose and do not train."""
    gate_share: float = Field(0.35, gt=0, lt=0.8)
    """Share of the rows, the newest, that the gate judges by."""
    epochs: Positive = 12
    """Passes over the rows at most."""
    patience: Positive = 3
    """Passes without progress after which training stops."""
    batch_size: Positive = 256
    """Rows of a batch."""
    learning_rate: float = Field(2e-3, gt=0)
    """Learning rate."""
    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay."""
    device: Annotated[str, AfterValidator(_known_device)] = "auto"
    """Where models are trained and score, pre-training included: `auto` (the first CUDA device,
    else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`. It is no part of a decision's
    settings."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16`: forward passes run in bfloat16 (autocast); losses and figures in full precision. A
    batch of many domains passes each one's kernel by itself then, which may take longer than
    `fp32`."""
    trainer: Trainer | None = None
    """A training job of your own in the place of all this; null: the built-in one."""

    @property
    def places(self) -> list[list[str]] | None:
        """The choices of places; None where the model names them."""
        if self.at == "auto":
            return None
        return [each for each in self.at if isinstance(each, list)] or [
            [each for each in self.at if isinstance(each, str)]
        ]

    @property
    def all_places(self) -> list[str] | None:
        """All places that a kernel may sit at, each once; None where the model names them."""
        sets = self.places
        return None if sets is None else list(dict.fromkeys(p for each in sets for p in each))

    @model_validator(mode="after")
    def _older_rows_train(self) -> "Adapter":
        if self.folds * self.select_share > 0.9:
            raise ValueError(
                f"folds = {self.folds} of select_share = {self.select_share} leave no rows that "
                "always train; their product is 0.9 at most"
            )
        return self
