"""Attach adapters to a frozen model, at modules named by their paths."""

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.bank import AdapterBank
from driftune.models.adapters.devices import device_of, moved
from driftune.models.adapters.draws import SeededWeights, named_seed
from driftune.models.adapters.files import Card, Json, fingerprint, load_adapter, save_adapter
from driftune.models.adapters.making import Seen, make_at
from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.outputs import Apply, Argument, Output, flat, like, parts_of


class AttachError(ValueError):
    """Adapters cannot be attached there, or a module's output does not fit them."""


class AdaptedModel(nn.Module):
    """A frozen model whose rows pass their own domain's adapter.

    Domain ids belong to one call in one thread; a call of ``model`` itself takes the base path.
    Adapters of the domains that ``attach`` was given are made by the first call, which shows how
    wide the modules' outputs are.
    """

    def __init__(self, model: nn.Module, bank: AdapterBank, at: Sequence[str]) -> None:
        super().__init__()
        modules = dict(model.named_modules())
        missing = [place for place in at if place not in modules]
        if missing or not at:
            names = ", ".join(sorted(name for name in modules if name)) or "none"
            wrong = "', '".join(missing)
            raise AttachError(f"no module '{wrong}' to attach to; there are: {names}")
        self.model, self.bank, self.at = model, bank, tuple(at)
        bank.bring(device_of(model))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self._call = threading.local()
        self._pending: dict[str, tuple[KernelConfig, int]] = {}
        self._handles = [
            modules[place].register_forward_hook(self._hook(place), with_kwargs=True)
            for place in self.at
        ]
        self.train(False)

    @property
    def domains(self) -> list[str]:
        """Domains that have an adapter, or get one by the first call."""
        return self.bank.domains

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this wrapper; the frozen model and the bank stay in evaluation."""
        super().train(mode)
        self.model.eval()
        self.bank.eval()
        return self

    def slots(self, domains: Sequence[str], *, unknown: str = "base") -> Tensor:
        """Ids of the domains for ``forward``, (len(domains),) int64; −1 is the base path.

        Raises:
            AttachError: for a domain without an adapter where ``unknown`` is not ``base``.
        """
        found = self.bank.slots(domains)
        if unknown != "base" and bool((found < 0).any()):
            names = sorted({name for name, slot in zip(domains, found, strict=True) if slot < 0})
            held = ", ".join(self.domains) or "none"
            raise AttachError(f"no adapter for {', '.join(names)}; there are: {held}")
        return found

    def forward(
        self,
        domains: Tensor | Sequence[str],
        /,
        *args: Any,
        fresh: Tensor | None = None,
        **kwargs: Any,
    ) -> Output:
        """The model's output, each row adapted for its domain: a name or an id of ``slots``.

        ``fresh`` (rows, k): ids that the base has never seen, for kernels that have a table of
        them; −1 where there is none. All are brought to the model's device.

        Raises:
            AttachError: when the adapters are detached, a module's output does not fit, or the
                model's forward does not reach a module.
        """
        device = device_of(self.model)
        args, kwargs = _on(device, args, kwargs)
        unseen = None if fresh is None else moved(fresh, device)
        if self._pending:
            self.build(*args, **kwargs)
        ids = domains if isinstance(domains, Tensor) else self.slots(domains)
        try:
            groups = self.bank.group(ids).on(device)
        except ValueError as error:
            raise AttachError(str(error)) from None

        def serve(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
            return self.bank.apply_at(place, output, inputs, groups, unseen)

        return self.run(serve, *args, **kwargs)

    def run(self, apply: Apply, /, *args: Any, **kwargs: Any) -> Output:
        """The model's output with ``apply(place, output, inputs)`` in the place of each output.

        Raises:
            AttachError: as ``forward`` does.
        """
        if not self._handles:
            raise AttachError("the adapters are detached; call the model itself")
        call = self._call
        before = getattr(call, "apply", None), getattr(call, "reached", None)
        call.apply, call.reached = apply, set()
        try:
            output: Output = self.model(*args, **kwargs)
            missed = [place for place in self.at if place not in call.reached]
            if missed:
                raise AttachError(f"the model's forward does not reach '{missed[0]}'")
            return output
        finally:
            call.apply, call.reached = before

    @torch.no_grad()
    def build(self, *args: Any, **kwargs: Any) -> None:
        """Make the adapters that are still to be made, by a run over these inputs.

        All adapters are on the model's device then.
        """
        pending, device = self._pending, device_of(self.model)
        self.bank.bring(device)
        if not pending:
            return
        seen = self._look(*_on(device, args, kwargs))
        modules = dict(self.model.named_modules())
        for domain, (config, seed) in pending.items():
            kernels = {}
            with SeededWeights(named_seed(seed, domain)):
                for place in self.at:
                    try:
                        kernels[place] = make_at(config, modules[place], seen[place])
                    except ValueError as error:
                        raise AttachError(f"'{place}': {error}") from None
            self.bank.put(domain, Adapter(kernels).eval())
        self._pending = {}

    def add(self, domain: str, config: KernelConfig, seed: int = 0) -> None:
        """Give the domain a new adapter, made by the next call."""
        self.bank.reserve(domain)
        self._pending[domain] = (config, seed)

    def adapter(self, domain: str) -> Adapter:
        """The domain's adapter.

        Raises:
            AttachError: when it has none; the message lists the domains that do.
        """
        try:
            return self.bank.adapter(domain)
        except KeyError as error:
            if domain in self._pending:
                raise AttachError(
                    f"the adapter of {domain} is made by the first call; call build(…) with a few "
                    "rows of the model's inputs to have it now"
                ) from None
            raise AttachError(str(error.args[0])) from None

    @torch.no_grad()
    def observe(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """What the frozen model gives at each place, (rows, width), without any adapter."""
        seen: dict[str, Tensor] = {}

        def keep(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
            # A module that follows may write into what this one gave.
            seen[place] = parts_of(output)[0].clone()
            return output

        args, kwargs = _on(device_of(self.model), args, kwargs)
        self.run(keep, *args, **kwargs)
        return {place: flat(output) for place, output in seen.items()}

    def fit_scale_to(self, domains: Iterable[str], seen: Mapping[str, Tensor]) -> None:
        """Standardise the domains' kernels that need it, by what the places gave, (rows, width)."""
        fitted: dict[tuple[str, str], Kernel] = {}
        for place, kernel in [pair for domain in domains for pair in self.unfitted(domain)]:
            key = place, kernel.config.kind
            if key in fitted:
                kernel.take_scale(fitted[key])
            else:
                kernel.fit_scale(seen[place])
                fitted[key] = kernel

    def unfitted(self, domain: str) -> list[tuple[str, Kernel]]:
        """The domain's kernels that are still to be standardised, with their places."""
        adapter = self.adapter(domain)
        return [(place, kernel) for place, kernel in adapter.items() if kernel.needs_scale]

    def start_from(self, source: str, domain: str) -> None:
        """Give the domain a copy of another's adapter: a pooled one, for a new domain."""
        self.bank.load(domain, self.adapter(source))
        self._pending.pop(domain, None)

    def save(
        self,
        domain: str,
        folder: str | Path,
        card: Mapping[str, Json],
        *,
        backbone: str | None = None,
    ) -> Path:
        """Write the domain's adapter files, with the fingerprint of this model.

        ``backbone``: the mark that the model goes by where that is not its ``fingerprint``.
        """
        mark = backbone or fingerprint(self.model)
        return save_adapter(Path(folder), self.adapter(domain), {**card, "backbone": mark})

    def load(self, domain: str, folder: str | Path, *, backbone: str | None = None) -> Card:
        """Load a domain's adapter from its files; returns its card.

        ``backbone``: this model's ``fingerprint`` where it is known already; it is taken anew
        otherwise, which reads all of the model.

        Raises:
            AdapterFileError: when the files are damaged, or were made for another model.
            AttachError: when they are for other places than these.
        """
        adapter, card = load_adapter(Path(folder), backbone=backbone or fingerprint(self.model))
        other = [place for place in adapter.places if place not in self.at]
        if other:
            raise AttachError(
                f"{folder}: has kernels at {', '.join(other)}; attached are {', '.join(self.at)}"
            )
        self.bank.load(domain, adapter)
        self._pending.pop(domain, None)
        return card

    def unload(self, domain: str) -> None:
        """Drop the domain's adapter; its rows take the base path from now on.

        Raises:
            AttachError: when it has none.
        """
        if self._pending.pop(domain, None) is None:
            self.adapter(domain)
        self.bank.unload(domain)

    def detach(self) -> None:
        """Remove the hooks; the model stays frozen and in evaluation mode."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __deepcopy__(self, memo: dict[int, Self]) -> Self:
        raise TypeError("copy the model and attach to the copy; an adapter can be loaded into both")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.detach()

    def _hook(self, place: str) -> Callable[..., Output]:
        def adapt(
            module: nn.Module,
            args: tuple[Argument, ...],
            kwargs: dict[str, Argument],
            output: Output,
        ) -> Output:
            apply: Apply | None = getattr(self._call, "apply", None)
            if apply is None:
                return output
            self._call.reached.add(place)
            if not all(isinstance(each, Tensor) for each in parts_of(output)):
                raise AttachError(f"'{place}' gives a {type(output).__name__}, not a tensor")
            ordered = _in_order(module, args, kwargs)
            inputs = tuple(each for each in ordered if isinstance(each, Tensor))
            try:
                return apply(place, output, inputs)
            except AttachError:
                raise
            except ValueError as error:
                raise AttachError(f"'{place}': {error}") from None

        return adapt

    def _look(self, args: Sequence[Argument], kwargs: Mapping[str, Argument]) -> dict[str, Seen]:
        """What each place gives and gets, in a call without adapters."""
        seen: dict[str, Seen] = {}

        def look(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
            parts = [each.clone() for each in parts_of(output)]
            seen[place] = Seen(like(output, parts), tuple(each.clone() for each in inputs))
            return output

        self.run(look, *args, **kwargs)
        return seen


def _on(
    device: torch.device, args: Sequence[Argument], kwargs: Mapping[str, Argument]
) -> tuple[tuple[Argument, ...], dict[str, Argument]]:
    """The arguments with their tensors on a device."""
    return (
        tuple(moved(each, device) if isinstance(each, Tensor) else each for each in args),
        {
            name: moved(each, device) if isinstance(each, Tensor) else each
            for name, each in kwargs.items()
        },
    )


def _in_order(
    module: nn.Module, args: tuple[Argument, ...], kwargs: dict[str, Argument]
) -> tuple[Argument, ...]:
    """The arguments in the order of the module's forward, however they were passed."""
    if not kwargs:
        return args
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    return (*bound.args, *bound.kwargs.values())


def attach(
    model: nn.Module,
    adapters: AdapterBank | KernelConfig,
    at: str | Sequence[str],
    domains: Sequence[str] = (),
    seed: int = 0,
) -> AdaptedModel:
    """Freeze ``model`` for good and adapt the outputs of its modules ``at``.

    ``adapters``: a bank to serve, or the settings of the kernels that each of the ``domains`` gets
    at each place. A module's output is (rows, …, width); ``""`` names the model itself.

    Raises:
        AttachError: when the model has no such module (the message lists those that it has), the
            bank has kernels at others, or ``domains`` is one string or comes with a bank.
    """
    if isinstance(domains, str):
        raise AttachError(f"domains is the string {domains!r}; give a list: [{domains!r}]")
    if domains and isinstance(adapters, AdapterBank):
        raise AttachError("domains are given beside a bank, which has its own; leave them out")
    places = [at] if isinstance(at, str) else list(at)
    bank = adapters if isinstance(adapters, AdapterBank) else AdapterBank()
    other = sorted(set(bank.widths) - set(places))
    if other and set(places) <= {name for name, _ in model.named_modules()}:
        raise AttachError(
            f"the bank has kernels at {', '.join(other)}; attached are {', '.join(places)}"
        )
    adapted = AdaptedModel(model, bank, places)
    if not isinstance(adapters, AdapterBank):
        for domain in domains:
            adapted.add(domain, adapters, seed)
    return adapted
