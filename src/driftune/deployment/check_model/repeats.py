"""Whether the same rows get the same logits: twice, alone, and in any batch."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from driftune.deployment.check_model.subject import Finding, Subject, forward, logits, reason
from driftune.deployment.check_model.watching import changed, named, states, watch
from driftune.models.recommender import Recommender

# Of the largest logit (at least 1): beyond the first a warning, beyond the second wrong.
CLOSE, FAR = 1e-5, 1e-3
_NORMS = (nn.modules.batchnorm._NormBase,)
_DROPOUTS = (nn.modules.dropout._DropoutNd,)
ALONE = 8


def check_mode(subject: Subject) -> Iterator[Finding]:
    """Whether evaluation mode holds in all modules, and which of them depend on it."""
    model = subject.model
    model.train()
    model.eval()
    _ = forward(model, subject.inputs())
    training = [name for name, part in model.named_modules() if part.training]
    if training:
        yield Finding(
            f"evaluation: {named(model, training[-1])} is in training mode after eval()",
            "wrong",
            "let train(mode) set the mode of all parts, and forward leave it alone",
        )
        return
    norms = _named_some(model, _NORMS)
    dropouts = _named_some(model, _DROPOUTS)
    yield Finding(f"evaluation: batch norm {norms}, dropout {dropouts}, all in evaluation mode")


def check_repeats(subject: Subject) -> Iterator[Finding]:
    """What a call changes or draws, and whether a second one gives the same."""
    model, inputs = subject.model, subject.inputs()
    given = tuple(each.clone() for each in inputs)
    before = states(model)
    with torch.no_grad():
        output = model(*given)
    found: list[Finding] = []
    for number, (was, now) in enumerate(zip(inputs, given, strict=True)):
        if not torch.equal(was, now):
            found.append(
                Finding(
                    f"repeats: forward writes into its argument {number}",
                    "wrong",
                    "change a copy: x = x.clone(), or no in-place operation (x.add_, x[...] = …)",
                )
            )
    if moved := changed(before, states(model)):
        found.append(
            Finding(
                f"repeats: a call changes {', '.join(moved[:3])}",
                "wrong",
                "keep nothing between calls in evaluation mode; the base stays frozen",
            )
        )
    # The innermost module is the first that ends.
    drew = next((call.name for call in watch(model, inputs) if call.drew), None)
    if drew is not None:
        found.append(
            Finding(
                f"repeats: {named(model, drew)} draws random numbers in evaluation mode",
                "wrong",
                "use nn.Dropout, or pass training=self.training to functional.dropout",
            )
        )
    elif (apart := _apart(logits(output), logits(forward(model, inputs)))) > 0:
        found.append(
            Finding(
                f"repeats: the same rows get other logits in a second call (by {apart:.1e})",
                "wrong",
                "let forward depend on its arguments and weights alone: no counters, clocks, files",
            )
        )
    yield from found or [Finding("repeats: the same rows get the same logits, bit by bit")]


def check_alone(subject: Subject) -> Iterator[Finding]:
    """Whether a row's logits depend on the rows beside it."""
    model, inputs = subject.model, subject.inputs()
    whole, count = logits(forward(model, inputs)), len(inputs[0])
    scale = max(1.0, *(float(each.abs().max()) for each in whole))
    batches = [torch.arange(n, n + 1) for n in range(min(ALONE, count))]
    batches += [torch.arange(count).flip(0), torch.arange(count // 2, count)]
    apart, worst = 0.0, batches[0]
    for rows in batches:
        try:
            own = logits(forward(model, _taken(inputs, rows)))
        except Exception as error:  # the user's code may fail in any way
            what = f"rows: a batch of {len(rows)} rows fails ({reason(error)})"
            yield Finding(what, "wrong", "let forward take any number of rows")
            return
        found = _apart(own, _taken(whole, rows)) / scale
        if not found <= apart:
            apart, worst = found, rows
    if apart <= CLOSE:
        yield Finding("rows: the logits of a row do not depend on the other rows of its batch")
        return
    # A single row may take another way through the model.
    places = (_where(model, inputs, rows) for rows in (worst, *batches[ALONE:]))
    where = next((place for place in places if place is not None), None)
    what = f"rows: logits depend on the other rows of the batch, by {apart:.1e} of the largest"
    what += f", first seen behind {named(model, where)}" if where is not None else ""
    if apart <= FAR:
        yield Finding(what, "warn", "few bits of a sum, it seems; compute in float32 if you can")
        return
    yield Finding(
        what,
        "wrong",
        "no mean, norm, softmax or in-batch negatives over the first dimension; batch norm with "
        "running statistics",
    )


def _taken(tensors: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(each[rows] for each in tensors)


def _apart(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> float:
    """The largest difference; NaN where one side is."""
    return max(
        float((one.double() - other.double()).abs().max())
        for one, other in zip(some, others, strict=True)
    )


def _where(model: Recommender, inputs: tuple[Tensor, ...], rows: Tensor) -> str | None:
    """The first module whose output for rows depends on the others."""
    count = len(inputs[0])
    for one, other in zip(watch(model, inputs), watch(model, _taken(inputs, rows)), strict=False):
        if one.name != other.name:
            return None
        if not (isinstance(one.output, Tensor) and isinstance(other.output, Tensor)):
            continue
        if one.output.shape[:1] != (count,) or not one.output.is_floating_point():
            continue
        own = one.output[rows]
        if own.shape != other.output.shape:
            return one.name
        if own.numel() and not torch.allclose(own, other.output, 100 * CLOSE, CLOSE):
            return one.name
    return None


def _named_some(model: Recommender, kinds: tuple[type[nn.Module], ...]) -> str:
    names = [name for name, part in model.named_modules() if isinstance(part, kinds)]
    return (
        ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "none"
    )
