"""The fine-tuning methods by the kind that their settings and saved adapters name."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import cast

from torch import Tensor

from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.methods.method import (
    ConfigT,
    KernelT,
    Method,
    Schedule,
    Site,
    StackingMethod,
)
from driftune.models.adapters.methods.stack import KernelStack

AnyMethod = Method[KernelConfig, Kernel]
_METHODS: dict[str, AnyMethod] = {}


def register(method: Method[ConfigT, KernelT]) -> Method[ConfigT, KernelT]:
    """Make a method known by its settings' ``kind``.

    Raises:
        ValueError: when another method has that kind.
    """
    kind = method.config.kind
    held = _METHODS.get(kind)
    if held is not None and held.config is not method.config:
        raise ValueError(f"two methods have the kind {kind!r}; kinds are names in saved adapters")
    _METHODS[kind] = cast(AnyMethod, method)
    return method


def method_of_kind(kind: str) -> AnyMethod:
    """The method with that kind.

    Raises:
        ValueError: when there is none.
    """
    if kind not in _METHODS:
        raise ValueError(f"kind {kind!r} is unknown")
    return _METHODS[kind]


def method_of(config: KernelConfig) -> AnyMethod:
    """The method that these settings are of.

    Raises:
        ValueError: when no method was registered for them.
    """
    method = _METHODS.get(config.kind)
    if method is None or not isinstance(config, method.config):
        raise ValueError(f"no kernel for {type(config).__name__}")
    return method


def make_kernel(config: KernelConfig, site: Site) -> Kernel:
    """A new kernel of the settings' method; weights are drawn from torch's global generator.

    Raises:
        ValueError: when the module does not fit the method, or there is no such method.
    """
    return method_of(config).make(config, site)


def schedules(kernels: Iterable[Kernel]) -> dict[str, Schedule]:
    """How the kernels of one adapter are trained, by the kind of method."""
    by_kind: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        by_kind.setdefault(kernel.config.kind, []).append(kernel)
    return {kind: method_of(own[0].config).schedule(own) for kind, own in by_kind.items()}


def stacks_with(kernel: Kernel) -> Hashable:
    """What the kernels that ``stack`` takes together have in common; None: it takes none."""
    method = method_of(kernel.config)
    found = method.stacks_with(kernel) if isinstance(method, StackingMethod) else None
    return None if found is None else (kernel.config.kind, found)


def stack(kernels: Sequence[Kernel], values: Mapping[str, Tensor] | None = None) -> KernelStack:
    """Kernels of equal ``stacks_with``, which is not None, as one; see ``StackingMethod.stack``."""
    method = method_of(kernels[0].config)
    assert isinstance(method, StackingMethod)
    return method.stack(kernels, values)
