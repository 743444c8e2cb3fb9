"""Where adapters can be put, and whether the chosen places hold them."""

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from driftune.config.adapter import Adapter as AdapterSettings
from driftune.deployment.check_model.subject import Finding, Subject
from driftune.deployment.check_model.timing import share_below
from driftune.deployment.check_model.watching import Call, watch
from driftune.models.adapters import IAKConfig, IAKKernel
from driftune.models.forms import place_problem

# Of more places the share below is not measured: each is traced by itself.
MEASURED = 24


@dataclass(frozen=True)
class Place:
    """A module that gives floating tensors with the rows first.

    ``parameters``: of a kernel there; ``below``: share of a call's time that is spent on what a
    kernel there does not change, None where that was not measured.
    """

    name: str
    kind: str
    width: int
    parameters: int
    below: float | None
    chosen: bool


def check_places(subject: Subject) -> Iterator[Finding]:
    """Whether the places of ``adapter.at`` exist, are reached and hold a kernel."""
    key, places = f"adapter.at = {subject.config.adapter.at}", subject.places
    if not places:
        yield Finding(
            f"{key}: the model names no places",
            "wrong",
            f"name some in adapter.at: {', '.join(_usable_names(subject)[:8])}",
        )
        return
    calls, found = watch(subject.model, subject.inputs()), []
    known = {name for name, _ in subject.model.named_modules()}
    for place in places:
        if place not in known:
            near = difflib.get_close_matches(place, known, 3) or _usable_names(subject)[:8]
            remedy = f"name one of the model's: {', '.join(near)}"
            found.append(Finding(f"place '{place}': no module of the model", "wrong", remedy))
        else:
            found += _unfit(place, calls, len(subject.inputs()[0]))
    if not any(each.mark == "wrong" for each in found):
        yield Finding(f"places: {', '.join(places)}, reached in each call, float tensors by row")
    yield from found


def _unfit(place: str, calls: list[Call], rows: int) -> list[Finding]:
    outputs = [call.output for call in calls if call.name == place]
    if not outputs:
        return [
            Finding(
                f"place '{place}': forward does not call it",
                "wrong",
                "call the module itself (not its weights or its forward), or name another place",
            )
        ]
    problem = next((said for each in outputs if (said := place_problem(each, rows))), None)
    if problem is not None:
        return [Finding(f"place '{place}': {problem}", "wrong", "name another place")]
    if len(outputs) > 1:
        return [
            Finding(
                f"place '{place}': called {len(outputs)} times in a forward, one kernel adapts "
                "all of these outputs",
                "warn",
                "give each use a module of its own where they mean different things",
            )
        ]
    return []


def usable_places(subject: Subject) -> list[Place]:
    """All places that can hold a kernel, in the order in which a call reaches them."""
    model, inputs, settings = subject.model, subject.inputs(), subject.config.adapter
    modules, chosen = dict(model.named_modules()), subject.places
    found = []
    for name, width in _usable(watch(model, inputs), len(inputs[0])).items():
        kind = type(modules[name]).__name__
        parameters = kernel_parameters(settings, width)
        found.append(Place(name, kind, width, parameters, None, name in chosen))
    inputs = subject.inputs(512)
    measured = sorted(found, key=lambda place: not place.chosen)[:MEASURED]
    return [
        replace(place, below=share_below(model, inputs, [place.name])[0])
        if place in measured
        else place
        for place in found
    ]


def kernel_settings(settings: AdapterSettings) -> IAKConfig:
    """A kernel as the daily run makes it, trained by the labels alone."""
    return IAKConfig(settings.bottleneck, settings.hidden, settings.combine, beta=0.0)


def kernel_parameters(settings: AdapterSettings, width: int) -> int:
    """The number of parameters of a kernel behind so many columns."""
    with torch.random.fork_rng(devices=[]):
        kernel = IAKKernel(width, kernel_settings(settings))
    return sum(each.numel() for each in kernel.parameters())


def _usable_names(subject: Subject) -> list[str]:
    return list(_usable(watch(subject.model, subject.inputs()), len(subject.inputs()[0])))


def _usable(calls: list[Call], rows: int) -> dict[str, int]:
    """Names of the places that can hold a kernel, and their widths."""
    unfit = {call.name for call in calls if place_problem(call.output, rows)} | {""}
    times = Counter(call.name for call in calls)
    return {
        call.name: call.output.shape[-1]
        for call in calls
        if isinstance(call.output, Tensor) and call.name not in unfit and times[call.name]
    }
