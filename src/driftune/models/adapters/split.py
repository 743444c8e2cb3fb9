"""A model split at its adapters' places: what is frozen below them, what follows above.

What lies below never changes while adapters are trained, so it runs without gradients and its
results can be kept. The split is found by torch.fx; a model that it cannot trace is run whole.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.fx.node import Argument

from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.folding import Through, fold
from driftune.models.adapters.outputs import Apply, Output, parts_of

Value = TypeVar("Value")


class Split(NamedTuple):
    """``below(*inputs)`` gives row-aligned tensors; ``above(apply, *those)`` the model's output.

    ``folded(pass, *those)``: the same where ``folding`` applies to every place, else None.
    """

    below: Callable[..., tuple[Tensor, ...]]
    above: Callable[..., Output]
    problem: str | None = None
    folded: Callable[..., Output] | None = None


# torch.fx puts itself in the place of every module's call, in all threads, while it traces.
_TRACING = threading.Lock()


class _Tracer(fx.Tracer):
    """Traces through the model down to its places, which stay calls.

    What other threads call meanwhile passes through it as if it was not there.
    """

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__()
        self.places = places
        self.thread = threading.get_ident()

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Value],
        args: tuple[Argument, ...],
        kwargs: dict[str, Argument],
    ) -> Value | fx.Proxy:
        """Trace a module's call, or make it in another thread; see ``fx.Tracer``."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        traced: Value | fx.Proxy = super().call_module(m, forward, args, kwargs)
        return traced

    def getattr(
        self, attr: str, attr_val: Value, parameter_proxy_cache: dict[str, fx.Proxy]
    ) -> Value | fx.Proxy:
        """What a module's attribute is under tracing; see ``fx.Tracer``."""
        if threading.get_ident() != self.thread:
            return attr_val
        found: Value | fx.Proxy = super().getattr(attr, attr_val, parameter_proxy_cache)
        return found

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Whether a module stays a call; see ``fx.Tracer``."""
        if qualified_name in self.places:
            return True
        if any(place.startswith(qualified_name + ".") for place in self.places):
            return False
        return super().is_leaf_module(module, qualified_name)


def split(adapted: AdaptedModel, inputs: tuple[Tensor, ...], folds: bool = False) -> Split:
    """Split the model at its places; ``inputs`` are rows to try the split with.

    ``folds``: whether ``below`` also gives what ``folded`` takes, where that can be. Where the
    split cannot be made, ``below`` hands the inputs through, ``above`` runs the model and
    ``problem`` says why.
    """
    try:
        if "" in adapted.at:
            raise ValueError("the adapters hold the whole model")
        below, above, folded = _trace(adapted, folds)
        with torch.no_grad():
            values = below(*inputs)
            fewer = below(*(each[:-1] for each in inputs))
            _same(adapted, inputs, values, fewer, above)
            if folded is not None:
                _same(adapted, inputs, values, fewer, folded, _plain)
    except Exception as error:  # a foreign model may fail in any way under tracing
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return Split(_hand_through, adapted.run, reason)
    return Split(below, above, None, folded)


def _hand_through(*inputs: Tensor) -> tuple[Tensor, ...]:
    return inputs


def _trace(
    adapted: AdaptedModel, folds: bool
) -> tuple[fx.GraphModule, fx.GraphModule, fx.GraphModule | None]:
    """Graphs over the model's modules: before the first kernels, from them on, and folded."""
    with _TRACING:
        graph = _Tracer(adapted.at).trace(adapted.model)
    first = next(iter(graph.nodes))
    with graph.inserting_before(first):
        context = graph.placeholder("apply_kernels")
    looking = {
        place
        for domain in adapted.domains
        for place, kernel in adapted.adapter(domain).items()
        if kernel.uses_inputs
    }
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target in adapted.at]
    hidden = sorted(set(adapted.at) - {node.target for node in calls})
    if hidden:
        raise ValueError(f"the graph does not show {', '.join(hidden)}")
    if any(node.kwargs for node in calls if node.target in looking):
        raise ValueError("a module whose arguments its kernels take is called by keywords")
    puts = []
    for node in list(graph.nodes):
        if node in calls:
            with graph.inserting_after(node):
                arguments = node.args if node.target in looking else ()
                put = graph.call_function(_put, (context, node.target, node, arguments))
            node.replace_all_uses_with(put, delete_user_cb=lambda user, put=put: user is not put)
            puts.append(put)
    layers = fold(graph, adapted.model, puts) if folds else {}
    after = {context}
    for node in graph.nodes:
        if any(source in after for source in node.all_input_nodes):
            after.add(node)
    crossing = [
        node
        for node in graph.nodes
        if node not in after and node.op != "get_attr" and any(user in after for user in node.users)
    ]
    below, above = fx.Graph(), fx.Graph()
    _copy(graph, below, {}, [node for node in graph.nodes if node not in after], tuple(crossing))
    known = {context: above.placeholder("apply_kernels")}
    known |= {node: above.placeholder(f"kept_{n}") for n, node in enumerate(crossing)}
    wanted = [
        node
        for node in graph.nodes
        if node not in known and (node in after or node.op == "get_attr")
    ]
    _copy(graph, above, known, wanted, None)
    halves = [_module(adapted.model, below, "Below"), _module(adapted.model, above, "Above")]
    if not layers or len(layers) < len(puts):
        return halves[0], halves[1], None
    folded = fx.Graph()
    known = {context: folded.placeholder("pass_kernels")}
    known |= {node: folded.placeholder(f"kept_{n}") for n, node in enumerate(crossing)}
    _copy(graph, folded, known, wanted, None, layers)
    return halves[0], halves[1], _module(adapted.model, folded, "Folded")


def _module(root: nn.Module, graph: fx.Graph, name: str) -> fx.GraphModule:
    module = fx.GraphModule(root, graph, name)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _copy(
    source: fx.Graph,
    target: fx.Graph,
    known: dict[fx.Node, fx.Node],
    nodes: list[fx.Node],
    output: tuple[fx.Node, ...] | None,
    instead: Mapping[fx.Node, fx.Node] | None = None,
) -> None:
    """Copy nodes into ``target``; its output are the nodes ``output``, or the source's own.

    ``instead``: nodes, copied before, that take the place of others.
    """
    for node in nodes:
        if instead and node in instead:
            known[node] = known[instead[node]]
            continue
        if node.op == "output":
            if output is None:
                target.output(fx.map_arg(node.args[0], known.__getitem__))
            continue
        known[node] = target.node_copy(node, known.__getitem__)
    if output is not None:
        target.output(tuple(known[node] for node in output))


def _put(apply: Apply, place: str, output: Output, inputs: tuple[Output, ...]) -> Output:
    return apply(place, output, tuple(each for each in inputs if isinstance(each, Tensor)))


def _same(
    adapted: AdaptedModel,
    inputs: tuple[Tensor, ...],
    values: tuple[Tensor, ...],
    fewer: tuple[Tensor, ...],
    above: Callable[..., Output],
    leave: Callable[..., Output] | None = None,
) -> None:
    """See that the halves give what the model gives, from tensors that rows can be taken of.

    ``fewer`` are the values of all rows but the last: a weight may have as many rows by chance.
    """
    rows = len(inputs[0])
    for count, crossing in ((rows, values), (rows - 1, fewer)):
        if not all(isinstance(each, Tensor) and each.shape[:1] == (count,) for each in crossing):
            raise ValueError("a value that is not one per row crosses the place")
    plain = _tensors(above(leave or _leave, *values))
    whole = _tensors(adapted.run(_leave, *inputs))
    if not whole:
        raise ValueError("the model's output shows no tensors to compare")
    if len(plain) != len(whole) or not all(map(torch.equal, plain, whole)):
        raise ValueError("the halves do not give what the model gives")


def _leave(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
    return output


def _plain(place: str, output: Output, through: Through) -> Output:
    return through.plain


def _tensors(output: Output) -> list[Tensor]:
    """The tensors of an output, nested or not."""
    if isinstance(output, Tensor):
        return [output]
    if not isinstance(output, tuple | list | Mapping):
        return []
    return [tensor for part in parts_of(output) for tensor in _tensors(part)]
