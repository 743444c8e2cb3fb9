"""What is checked, and what a check says."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from driftune.config import Config
from driftune.models.adapters.outputs import Output
from driftune.models.recommender import Recommender
from driftune.training.rows import Rows

Mark: TypeAlias = Literal["ok", "warn", "wrong"]
# Rows of the checks that call the model often: an odd number, as few widths of layers are.
TRIED = 61


@dataclass(frozen=True)
class Finding:
    """A line about one thing that was looked at: ``what`` it is, and the ``remedy`` if any."""

    what: str
    mark: Mark = "ok"
    remedy: str = ""

    @property
    def line(self) -> str:
        """Both in one line."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


@dataclass(frozen=True)
class Subject:
    """The frozen model, and reference rows of many domains in order of time.

    ``sizes``: ids of each encoded field; ``held_out``: whether the rows did not train the model.
    """

    config: Config
    model: Recommender
    sizes: tuple[int, ...]
    rows: Rows
    held_out: bool

    @property
    def places(self) -> list[str]:
        """The places that ``adapter.at`` chooses."""
        at = self.config.adapter.all_places
        return self.model.default_places() if at is None else at

    def inputs(self, count: int = TRIED) -> tuple[Tensor, ...]:
        """The model's arguments for the first rows, as it is given them to score."""
        return self.model.inputs(first(self.rows, count).as_scored())


def first(rows: Rows, count: int) -> Rows:
    """The first rows."""
    return rows.take(np.arange(min(count, len(rows))))


@torch.no_grad()
def forward(model: Recommender, inputs: tuple[Tensor, ...]) -> Output:
    """The model's output for copies of the inputs, so that it cannot write into them."""
    output: Output = model(*(each.clone() for each in inputs))
    return output


def logits(output: Output) -> tuple[Tensor, ...]:
    """The logits in an output whose form was checked: of pCTR, and of pCVR where it has them."""
    found = (output,) if isinstance(output, Tensor) else output
    return tuple(each for each in found if isinstance(each, Tensor))


def reason(error: Exception) -> str:
    """What an error says, in a part of a line."""
    said = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {said}"[:240]
