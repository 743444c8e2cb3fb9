"""Adapters on trial: what they give before training, and what a short training changes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from driftune.deployment.check_model.places import kernel_settings
from driftune.deployment.check_model.subject import Finding, Subject, forward, logits
from driftune.deployment.check_model.timing import share_below
from driftune.deployment.check_model.watching import changed, states, watch
from driftune.models.adapters import AdaptedModel, Adapter, Examples, TrainConfig, attach, train
from driftune.models.recommender import Recommender

ROWS, TRAINED = 256, "one"
_SAME = 1e-6


def check_trial(subject: Subject) -> Iterator[Finding]:
    """Attach adapters at the places, train them for an epoch on few rows, and look at both."""
    model, inputs = subject.model, subject.inputs(ROWS)
    before, settings = states(model), kernel_settings(subject.config.adapter)
    base = logits(forward(model, inputs))
    seed = subject.config.seed
    with attach(model, settings, subject.places, ["other", TRAINED], seed=seed) as adapted:
        yield from _at_start(adapted, base, inputs)
        started = _kernels(adapted.adapter(TRAINED))
        count = len(inputs[0])
        examples = Examples(
            inputs,
            (subject.rows.click[:count], subject.rows.convert[:count]),
            adapted.slots([TRAINED] * count),
        )
        # Without decay a weight changes by its gradient alone.
        config = TrainConfig(epochs=2, batch_size=64, weight_decay=0.0, seed=seed)
        training = train(adapted, examples, None, config, loss=model.row_losses())
        ended = _kernels(adapted.adapter(TRAINED))
    yield from _learned(subject, started, ended)
    if moved := changed(before, states(model)):
        yield Finding(
            f"training: changed the frozen {', '.join(moved[:3])}",
            "wrong",
            "let forward change no parameter and no buffer",
        )
    else:
        yield Finding("training: parameters and buffers of the model are bit-equal after it")
    yield _split(model, subject.places, inputs, training.problem)


def _at_start(
    adapted: AdaptedModel, base: tuple[Tensor, ...], inputs: tuple[Tensor, ...]
) -> Iterator[Finding]:
    """New residual kernels change nothing."""
    with torch.no_grad():
        new = logits(adapted([TRAINED] * len(inputs[0]), *inputs))
    config = adapted.adapter(TRAINED).at(adapted.at[0])
    if config is not None and getattr(config.config, "combine", None) == "replace":
        return
    if all(map(torch.equal, new, base)):
        yield Finding("attached: new adapters change no score, bit by bit")
    elif all(
        torch.allclose(one, other, _SAME, _SAME) for one, other in zip(new, base, strict=True)
    ):
        yield Finding(f"attached: new adapters change no score by more than {_SAME:g}")
    else:
        apart = max(float((a - b).abs().max()) for a, b in zip(new, base, strict=True))
        yield Finding(
            f"attached: new adapters change logits by up to {apart:.1e}",
            "wrong",
            "a module that follows may write into the place's output; use no in-place operation",
        )


def _learned(
    subject: Subject, started: dict[str, list[Tensor]], ended: dict[str, list[Tensor]]
) -> Iterator[Finding]:
    still = [place for place, was in started.items() if all(map(torch.equal, was, ended[place]))]
    for place in still:
        yield Finding(
            f"training: no gradient reaches the kernel at '{place}'",
            "wrong",
            "the loss must depend on it: no detach(), argmax or no_grad() behind it, or name "
            "another place",
        )
    if not still:
        yield Finding(f"training: gradients reach the kernels at {', '.join(started)}")
    converts = subject.model.conversions and subject.config.columns.convert is not None
    if converts and not bool(subject.rows.convert.any()):
        yield Finding(
            f"training: none of {len(subject.rows):,} rows is a conversion, so that the "
            "conversions' side was tried with negatives alone",
            "warn",
            "check more rows: --rows",
        )


def _kernels(adapter: Adapter) -> dict[str, list[Tensor]]:
    """Copies of the parameters of each place's kernel."""
    return {
        place: [each.detach().clone() for each in kernel.parameters()]
        for place, kernel in adapter.items()
    }


def _split(
    model: Recommender, places: list[str], inputs: tuple[Tensor, ...], problem: str | None
) -> Finding:
    """How much of a call is computed once, ahead of all epochs."""
    if problem is None:
        below, problem = share_below(model, inputs, places)
        if below is not None:
            return Finding(
                f"split: {below:.0%} of a call lies below the adapters and is computed once"
            )
    calls = watch(model, inputs)
    ahead = min(call.ended for call in calls if call.name in places) / calls[-1].ended
    slower = 1 / max(0.05, 1 - ahead)
    return Finding(
        f"split: torch.fx does not find what lies below the adapters ({problem}): each epoch "
        f"computes all of it again, up to {slower:.1f} times the work of a call",
        "warn",
        "keep if and for over tensors' values out of forward",
    )
