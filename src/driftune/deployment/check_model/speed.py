"""Rows per second and memory of scoring, with and without adapters, where it runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from driftune.deployment.check_model.memory import peak_memory, shown
from driftune.deployment.check_model.places import kernel_settings
from driftune.deployment.check_model.subject import Finding, Subject
from driftune.deployment.check_model.watching import size
from driftune.models.adapters import attach
from driftune.models.adapters.outputs import Output
from driftune.training.devices import device_for
from driftune.training.scoring import CHUNK

DOMAINS = (1, 16, 64)
_LEAST_SECONDS = 0.3


@dataclass(frozen=True)
class Speed:
    """Rows per second, of ``inputs`` and the model, on the CPU and the GPU of ``adapter.device``
    (None: it is none); bytes of the model, and held meanwhile beyond it at most (None: not known).

    ``by_domains``: rows per second of the model on the CPU, with the adapters of so many domains.
    """

    rows: int
    inputs: float
    cpu: float
    cpu_memory: int | None
    gpu: float | None
    gpu_memory: int | None
    model: int
    by_domains: dict[int, float]


@torch.inference_mode()
def measure(subject: Subject) -> Speed:
    """Measure on the sampled rows.

    Raises:
        ConfigError: when there is no such device as ``adapter.device``.
    """
    device = device_for(subject.config)
    model, rows = subject.model, subject.rows.as_scored()
    making = _rate(len(rows), lambda: model.inputs(rows))
    inputs = subject.inputs(CHUNK)
    count = len(inputs[0])
    with peak_memory() as peak:
        cpu = _rate(count, lambda: model(*inputs))
    by_domains = {}
    for number in DOMAINS:
        names = [f"domain {n}" for n in range(number)]
        by_domains[number] = _with_domains(subject, inputs, names)
    held = size(model)
    gpu, gpu_memory = _on_gpu(subject, inputs, device) if device.type == "cuda" else (None, None)
    return Speed(count, making, cpu, peak.size, gpu, gpu_memory, held, by_domains)


def told(speed: Speed) -> list[Finding]:
    """The figures in lines."""
    held = "" if speed.cpu_memory is None else f", {shown(speed.cpu_memory)} at most beside it"
    lines = [
        f"speed: {speed.cpu:,.0f} rows/s on the CPU in batches of {speed.rows:,}{held}; inputs "
        f"makes {speed.inputs:,.0f} rows/s",
        "speed: with the adapters of "
        + ", ".join(f"{n} domains {rate:,.0f} rows/s" for n, rate in speed.by_domains.items()),
    ]
    if speed.gpu is not None and speed.gpu_memory is not None:
        lines.append(
            f"speed: {speed.gpu:,.0f} rows/s on the GPU, {shown(speed.gpu_memory)} at most"
        )
    return [Finding(line) for line in lines]


def _with_domains(subject: Subject, inputs: tuple[Tensor, ...], names: list[str]) -> float:
    """Rows per second where the rows are of so many domains, each with an adapter."""
    settings, count = kernel_settings(subject.config.adapter), len(inputs[0])
    with attach(subject.model, settings, subject.places, names) as adapted:
        adapted.build(*inputs)
        slots = adapted.slots([names[n % len(names)] for n in range(count)])
        return _rate(count, lambda: adapted(slots, *inputs))


def _on_gpu(
    subject: Subject, inputs: tuple[Tensor, ...], device: torch.device
) -> tuple[float, int]:
    def scored() -> None:
        model(*(each.to(device) for each in inputs))
        torch.cuda.synchronize(device)

    model = subject.model
    try:
        # Its weights stay such as can be trained.
        with torch.inference_mode(False):
            model.to(device)
        torch.cuda.reset_peak_memory_stats(device)
        return _rate(len(inputs[0]), scored), torch.cuda.max_memory_allocated(device)
    finally:
        with torch.inference_mode(False):
            model.to("cpu")


def _rate(rows: int, call: "Callable[[], Output | None]") -> float:
    """Rows per second, over calls that take a while together; the first one warms up."""
    call()
    began, calls = time.perf_counter(), 0
    while (taken := time.perf_counter() - began) < _LEAST_SECONDS or not calls:
        call()
        calls += 1
    return rows * calls / taken
