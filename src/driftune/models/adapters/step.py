"""One training step's kernels: rows sorted by domain, each range through its own kernel."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.bank import check_width, flat, like, parts_of, spread
from driftune.models.adapters.iak import IAKKernel


class Span(NamedTuple):
    """A domain's rows in a batch: from ``start`` up to ``stop``."""

    slot: int
    start: int
    stop: int


class Step:
    """Applies the adapters of a batch's domains and collects their terms of the loss.

    ``kl`` and ``reconstruction`` hold, by slot, the sum over places of the mean KL (nats per row,
    or per step of a sequence) and of the mean squared error of ĥ against h in standardised units;
    ``posteriors`` the last span's mean and sigma of z, by place.
    """

    def __init__(
        self,
        adapters: dict[int, Adapter],
        spans: Sequence[Span],
        generators: dict[int, Generator],
        fresh: Tensor | None = None,
        reconstruct: frozenset[int] = frozenset(),
    ) -> None:
        self._adapters, self._spans, self._generators = adapters, spans, generators
        self._fresh, self._reconstruct = fresh, reconstruct
        self.kl: dict[int, Tensor] = {}
        self.reconstruction: dict[int, Tensor] = {}
        self.posteriors: dict[str, tuple[Tensor, Tensor]] = {}

    def apply(self, place: str, output: Any, inputs: tuple[Tensor, ...]) -> Any:
        """The output of the module at ``place``, each span changed by its own kernel."""
        parts = [self._one(place, output, inputs, span) for span in self._spans]
        if len(parts) == 1:
            return like(output, parts[0])
        return like(output, [torch.cat(several) for several in zip(*parts, strict=True)])

    def _one(
        self, place: str, output: Any, inputs: tuple[Tensor, ...], span: Span
    ) -> tuple[Tensor, ...]:
        slot, start, stop = span
        rows = slice(start, stop)
        outputs = parts_of(output)
        size = len(outputs[0])
        kernel = self._adapters[slot].at(place)
        if kernel is None:
            return tuple(each[rows] for each in outputs)
        own = tuple(each[rows] if len(each) == size else each for each in inputs)
        if kernel.replaces:
            return parts_of(kernel.adapt(output, own).h)
        check_width(kernel, output)
        part = output[rows]
        fresh = None if self._fresh is None else spread(self._fresh[rows], part)
        h = flat(part)
        adapted = kernel.adapt(h, tuple(map(flat, own)), self._generators[slot], fresh)
        if adapted.kl is not None:
            self._add(self.kl, slot, adapted.kl.mean(dim=0).sum())
        if adapted.mean is not None and adapted.sigma is not None:
            self.posteriors[place] = adapted.mean, adapted.sigma
        if slot in self._reconstruct and isinstance(kernel, IAKKernel):
            error = ((adapted.h - h) / kernel.scale).square().mean()
            self._add(self.reconstruction, slot, error)
        return (adapted.h.view_as(part),)

    @staticmethod
    def _add(terms: dict[int, Tensor], slot: int, term: Tensor) -> None:
        terms[slot] = terms[slot] + term if slot in terms else term
