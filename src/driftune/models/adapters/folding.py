"""Places whose output goes into one frozen linear layer: the layer's output of it, ahead.

With h frozen, W (h + U z) + b = (W h + b) + (W U) z: what is in brackets first is computed once for
each row, and a training step multiplies small matrices where it passed over the whole width.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeAlias

from torch import Tensor, fx, nn

from driftune.models.adapters.outputs import Output

VECTOR = 8


class Through(NamedTuple):
    """A linear layer that follows a place: ``plain`` (rows, …, out) is what it makes of h alone."""

    plain: Tensor
    weight: Tensor
    bias: Tensor | None


Pass: TypeAlias = Callable[[str, Output, Through], Output]
"""``pass(place, output, through)``: what takes the place of the layer's output."""


def fold(graph: fx.Graph, root: nn.Module, puts: Collection[fx.Node]) -> dict[fx.Node, fx.Node]:
    """Add a call of ``Pass`` beside each linear layer that alone takes what a place gives.

    ``puts``: the calls of ``Apply`` (context, place, output, inputs). Returns the added nodes by
    those of the layers, which they stand for where the graph is to be folded.
    """
    found = {}
    for put in puts:
        users = [*put.users]
        if len(users) != 1 or put.args[3] or not _narrows(users[0], put, root):
            continue
        layer = users[0]
        context, place, output = put.args[:3]
        with graph.inserting_before(layer):
            plain = graph.call_module(str(layer.target), (output,))
            weight = graph.get_attr(f"{layer.target}.weight")
            biased = root.get_submodule(str(layer.target)).bias is not None
            bias = graph.get_attr(f"{layer.target}.bias") if biased else None
            through = (context, place, output, plain, weight, bias)
            found[layer] = graph.call_function(_pass, through)
    return found


def _narrows(node: fx.Node, put: fx.Node, root: nn.Module) -> bool:
    """Whether a node is a plain linear layer of ``put``, no wider behind it than before.

    Of other than whole vectors of outputs the last bits depend on how many domains share a product.
    """
    if node.op != "call_module" or node.args != (put,) or node.kwargs:
        return False
    layer = root.get_submodule(str(node.target))
    if type(layer) is not nn.Linear or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    return layer.out_features % VECTOR == 0 and layer.out_features <= layer.in_features


def _pass(
    call: Pass, place: str, output: Output, plain: Tensor, weight: Tensor, bias: Tensor | None
) -> Output:
    return call(place, output, Through(plain, weight, bias))
