"""A model with the adapters of its domains as one module, in the form that PyTorch can export."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from driftune.errors import BundleError
from driftune.models.adapters import Adapter, AdapterBank, attach
from driftune.models.adapters.outputs import Output, parts_of
from driftune.models.recommender import Recommender
from driftune.serving.generation import Generation
from driftune.serving.model import copied
from driftune.serving.programs.kernels import Place

SLOTS = "slots"


class Program(nn.Module):
    """Scores of rows by their slots (rows,) int64 and the model's inputs.

    Each row passes the adapter of its slot; slot 0 is the base path.
    """

    def __init__(
        self, model: Recommender, adapters: Sequence[Adapter], *, conversions: bool
    ) -> None:
        """``adapters``: those of slots 1, 2, …; ``conversions``: whether pCVR is told.

        The model is the program's from now on: hooks are attached to it.
        """
        super().__init__()
        self.model = model
        self._conversions = model.conversions and conversions
        named = dict.fromkeys(place for each in adapters for place in each.places)
        self._numbers = {name: number for number, name in enumerate(named)}
        self.places = nn.ModuleList(Place(name, adapters) for name in named)
        # The hooks' owner is no part of the program: its bank is empty.
        self._run = attach(model, AdapterBank(), [*named]).run if named else None
        self.requires_grad_(False).eval()

    @property
    def outputs(self) -> list[str]:
        """The names of the scores."""
        return ["p_click", "p_convert", "p_ctcvr"] if self._conversions else ["p_click"]

    def names(self, inputs: Sequence[Tensor]) -> list[str]:
        """What the inputs are called: slots, then the arguments of the model's forward."""
        named = [
            name
            for name, each in inspect.signature(self.model.forward).parameters.items()
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
        plain = [f"input_{number}" for number in range(len(inputs))]
        return [SLOTS, *(named if len(named) == len(inputs) else plain)]

    def forward(self, slots: Tensor, *inputs: Tensor) -> dict[str, Tensor]:
        """The scores by their names, (rows,) float64 each."""

        def serve(place: str, output: Output, given: tuple[Tensor, ...]) -> Output:
            changed: Output = self.places[self._numbers[place]](output, given, slots)
            return changed

        output = self.model(*inputs) if self._run is None else self._run(serve, *inputs)
        found = [torch.sigmoid(logit.double()) for logit in parts_of(output)]
        if self._conversions:
            return dict(zip(self.outputs, [*found, found[0] * found[1]], strict=True))
        return {"p_click": found[0]}


def program_of(now: Generation) -> Program:
    """The program of a generation, which shares its weights.

    Raises:
        BundleError: when its scores are computed in bf16, or its model cannot be copied.
    """
    precision = now.manifest.precision
    if precision != "fp32":
        raise BundleError(
            f"adapter.precision: {precision} is not exported as a program, which computes in fp32; "
            "leave out --format, or set it to fp32 and decide anew"
        )
    model = copied(now.pristine)
    if model is None:
        kind = type(now.pristine).__name__
        raise BundleError(
            f"{kind}: copy.deepcopy cannot copy it, which a program needs; leave out --format"
        )
    parts = [each.part for each in now.manifest.domains.values() if each.part is not None]
    adapters = [now.adapters[now.manifest.part(part).name] for part in parts]
    return Program(model, adapters, conversions=now.manifest.conversions)


def slots_of(now: Generation) -> dict[str, int]:
    """The slot of each domain that has an adapter, by key; all others have slot 0, the base."""
    held = (key for key, domain in now.manifest.domains.items() if domain.part is not None)
    return {key: slot for slot, key in enumerate(held, 1)}
