"""What modules take and give: one tensor, or a tuple, list or mapping of tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor

from driftune.models.adapters.devices import raised

Output: TypeAlias = "Tensor | tuple[Output, ...] | list[Output] | Mapping[str, Output]"
"""A module's output. One of any other kind is refused where kernels are to change it."""

Argument: TypeAlias = "Output | bool | float | str | None"
"""An argument of a module; kernels see the tensors among them."""

Apply: TypeAlias = Callable[[str, Output, tuple[Tensor, ...]], Output]
"""``apply(place, output, inputs)``: what takes the place of a module's output."""


def parts_of(output: Output) -> tuple[Tensor, ...]:
    """The values of a module's output: itself, or those of a tuple, list or mapping.

    They are tensors; ``AdaptedModel`` refuses modules whose outputs hold anything else.
    """
    if isinstance(output, Mapping):
        values = tuple(output.values())
    elif isinstance(output, tuple | list):
        values = tuple(output)
    else:
        values = (output,)
    # What is nested deeper was refused when the module was attached.
    return values  # type: ignore[return-value]  # the type of outputs is recursive


def like(output: Output, parts: Sequence[Output]) -> Output:
    """The values ``parts`` in the form of a module's ``output``."""
    if isinstance(output, Mapping):
        return dict(zip(output, parts, strict=True))
    if not isinstance(output, tuple | list):
        return parts[0]
    make: Callable[..., Output] = type(output)
    return make(*parts) if hasattr(output, "_fields") else make(parts)


def in_full(output: Output) -> Output:
    """The output with its shorter floats in float32, as losses take them."""
    if isinstance(output, Tensor):
        return raised(output)
    if not isinstance(output, tuple | list | Mapping):
        return output
    return like(output, [in_full(each) for each in parts_of(output)])


def one_tensor(output: Output, width: int) -> Tensor:
    """A module's output, which must be one tensor (rows, …, width).

    Raises:
        ValueError: when it is not.
    """
    if not isinstance(output, Tensor):
        raise ValueError(f"it gives a {type(output).__name__}; the kernel takes one tensor")
    if output.ndim < 2 or output.shape[-1] != width:
        raise ValueError(f"h is {tuple(output.shape)}; the kernel takes (rows, {width})")
    return output


def flat(tensor: Tensor) -> Tensor:
    """A tensor (rows, …, width) as (rows · …, width)."""
    return tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim > 2 else tensor


def spread(fresh: Tensor, part: Tensor) -> Tensor:
    """Ids of rows (rows, k) repeated for the steps of sequences (rows, …, width)."""
    steps = part[..., 0].numel() // max(1, len(part))
    return fresh.repeat_interleave(steps, dim=0) if part.ndim > 2 else fresh
