"""One training step's kernels: rows sorted by domain, each range through its own kernel."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.outputs import Output, flat, like, one_tensor, parts_of, spread

Key = TypeVar("Key")


class Span(NamedTuple):
    """A domain's rows in a batch: from ``start`` up to ``stop``."""

    slot: int
    start: int
    stop: int


class Step:
    """Applies the adapters of a batch's domains and collects their terms of the loss.

    ``penalty`` holds, by slot and kind of method, the sum over places of the mean KL (nats per row,
    or per step of a sequence); ``warm_up``, by slot, that of the kernels' own losses in the domains
    that ``warming`` names; ``posteriors`` the last span's mean and sigma of z, by place.
    """

    def __init__(
        self,
        adapters: dict[int, Adapter],
        spans: Sequence[Span],
        generators: Mapping[int, Generator],
        fresh: Tensor | None = None,
        warming: frozenset[int] = frozenset(),
    ) -> None:
        self._adapters, self._spans, self._generators = adapters, spans, generators
        self._fresh, self._warming = fresh, warming
        self.penalty: dict[tuple[int, str], Tensor] = {}
        self.warm_up: dict[int, Tensor] = {}
        self.posteriors: dict[str, tuple[Tensor, Tensor]] = {}

    def apply(self, place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
        """The output of the module at ``place``, each span changed by its own kernel."""
        parts = [self._one(place, output, inputs, span) for span in self._spans]
        if len(parts) == 1:
            return like(output, parts[0])
        return like(output, [torch.cat(several) for several in zip(*parts, strict=True)])

    def _one(
        self, place: str, output: Output, inputs: tuple[Tensor, ...], span: Span
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
            return parts_of(kernel.adapt(outputs[0], own).h)
        part = one_tensor(output, kernel.width)[rows]
        fresh = None if self._fresh is None else spread(self._fresh[rows], part)
        h = flat(part)
        adapted = kernel.adapt(h, tuple(map(flat, own)), self._generators[slot], fresh)
        if adapted.kl is not None:
            key = slot, kernel.config.kind
            _add(self.penalty, key, adapted.kl.mean(dim=0).sum())
        if adapted.mean is not None and adapted.sigma is not None:
            self.posteriors[place] = adapted.mean, adapted.sigma
        if slot in self._warming:
            error = kernel.warm_up(h, adapted)
            if error is not None:
                _add(self.warm_up, slot, error)
        return (adapted.h.view_as(part),)


def _add(terms: dict[Key, Tensor], key: Key, term: Tensor) -> None:
    terms[key] = terms[key] + term if key in terms else term
