"""Empty adapters for files to be read into: a thousand like ones are made once and copied.

A module's own way of being made draws its weights, of which a file needs none.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict, TypeVar

import torch
from torch import Size, Tensor, nn

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.methods.config import Setting
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.methods.method import Site
from driftune.models.adapters.methods.registry import make_kernel, method_of_kind

Form = tuple[Size, torch.dtype]
Module = TypeVar("Module", bound=nn.Module)


class KernelEntry(TypedDict):
    """What a card says of one kernel."""

    at: str
    kind: str
    config: dict[str, Setting]
    width: int
    inputs: int | None


class Template:
    """Adapters of one form: places, kinds, settings and widths of their kernels.

    ``forms``: shape and dtype of each tensor of the state, by its name.
    """

    def __init__(self, entries: Sequence[KernelEntry]) -> None:
        """Make a template of a card's kernels, on the meta device: shapes without memory.

        Raises:
            KeyError, TypeError, ValueError: when they describe no adapter.
        """
        with torch.device("meta"):
            self._empty = Adapter({entry["at"]: _kernel(entry) for entry in entries}).eval()
        self.forms: dict[str, Form] = {
            name: (tensor.shape, tensor.dtype) for name, tensor in self._empty.state_dict().items()
        }

    def filled(self, tensors: Mapping[str, Tensor]) -> Adapter:
        """An adapter of this form in evaluation mode, which holds the tensors themselves."""
        adapter = Adapter({place: _shell(kernel) for place, kernel in self._empty.items()})
        for path, module in adapter.named_modules():
            prefix = f"{path}." if path else ""
            for name in module._parameters:
                if module._parameters[name] is not None:
                    module._parameters[name] = nn.Parameter(tensors[prefix + name])
            for name in module._buffers:
                if prefix + name in tensors:
                    module._buffers[name] = tensors[prefix + name]
        adapter.training = adapter.kernels.training = False
        return adapter


class Templates:
    """The templates of the forms that were asked for, for reading many files one after another."""

    def __init__(self) -> None:
        self._known: dict[str, Template] = {}

    def of(self, entries: Sequence[KernelEntry]) -> Template:
        """The template of a card's kernels.

        Raises:
            KeyError, TypeError, ValueError: when they describe no adapter.
        """
        form = json.dumps(entries, sort_keys=True)
        if form not in self._known:
            self._known[form] = Template(entries)
        return self._known[form]


def _kernel(entry: KernelEntry) -> Kernel:
    method = method_of_kind(entry["kind"])
    if not method.saved:
        raise ValueError(f"kind {entry['kind']!r} is unknown")
    config = method.config.from_dict(entry["config"])
    if config.to_dict() != entry["config"]:
        raise ValueError("settings of a kernel are missing")
    return make_kernel(config, Site(entry["width"], entry["inputs"]))


def _shell(module: Module) -> Module:
    """A module like this one: its own tables of parameters, buffers, modules and hooks, whose
    tensors are still those of the first; fifty times faster than a deep copy."""
    made = type(module).__new__(type(module))
    # Not copy.copy: it takes ten times as long for a module's tables.
    vars(made).update(
        (name, value.copy() if isinstance(value, dict) else value)
        for name, value in vars(module).items()
    )
    for name, child in made._modules.items():
        made._modules[name] = None if child is None else _shell(child)
    return made
