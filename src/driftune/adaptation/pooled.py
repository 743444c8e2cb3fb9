"""Pooled starts: an adapter of all domains' rows of a day, which each domain's own may start from.

It follows from the lake up to the day, the backbone and the settings, not from which domains have
drifted: whatever process wants it finds the file that another made, or makes it again.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from driftune.adaptation.pooled_rows import pooled_rows
from driftune.adaptation.split import lake_version
from driftune.adaptation.workbench import Workbench
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterFileError,
    Choice,
    Examples,
    NotFiniteError,
    TrainConfig,
    choose_together,
    load_adapter,
    save_adapter,
)
from driftune.models.adapters.batching import learning_rate_factor
from driftune.models.adapters.choose import fit_prior

log = logging.getLogger("driftune")

NAME = "pooled"
# Its batches are those of so many domains, its learning rate follows their square root.
BATCHES = 4
# How often a process that waits for another's tells that it is alive.
WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Pooled:
    """A pooled start, and the hash of its files."""

    adapter: Adapter
    sha256: str


def pooled_start(
    bench: Workbench,
    adapted: AdaptedModel,
    at: tuple[str, ...],
    make: Callable[[Examples], Adapter],
    workers: int,
    alive: Callable[[], None],
) -> Pooled | None:
    """The day's pooled start at some places: read, or made and kept for the others of the day.

    ``make`` gives an untrained adapter for examples; ``alive`` is called again and again. None
    where no adapter can be trained on all domains' rows: the frozen model overflows on some.

    Raises:
        LakeError: when a day is missing or damaged.
        DeviceMemoryError: when the device's memory does not suffice.
    """
    folder = bench.project.workspace.pooled / _name(bench, at)
    with _alone(folder, alive):
        try:
            adapter, card = load_adapter(folder, backbone=bench.served.backbone)
        except AdapterFileError as error:
            if folder.exists():
                log.warning("%s; it is made anew", error)
            try:
                found = _train(bench, adapted, _checkpoint(bench, at), make, workers, alive)
            except NotFiniteError:
                log.warning(
                    "%s: no pooled start: the frozen model overflows on a domain's rows",
                    bench.decision.day,
                )
                return None
            save_adapter(folder, found, _card(bench, at))
            shutil.rmtree(_checkpoint(bench, at), ignore_errors=True)
            # What was made and what is read are the same: a start is what its files say.
            adapter, card = load_adapter(folder, backbone=bench.served.backbone)
    return Pooled(adapter, card.sha256)


def _train(
    bench: Workbench,
    adapted: AdaptedModel,
    checkpoint: Path,
    make: Callable[[Examples], Adapter],
    workers: int,
    alive: Callable[[], None],
) -> Adapter:
    model, settings = bench.served.model, bench.config.adapter
    day = date.fromisoformat(bench.decision.day)
    train, select = pooled_rows(bench.config, bench.served.encoder, bench.project.lake(), day)
    rows, newest = (
        Examples(model.inputs(each), (each.click, each.convert), torch.zeros(len(each)).long())
        for each in (train, select)
    )
    batch = BATCHES * settings.batch_size
    choice = Choice(
        NAME,
        make(rows),
        rows,
        [0],
        newest,
        settings.beta,
        TrainConfig(
            epochs=settings.epochs,
            patience=settings.patience,
            batch_size=batch,
            min_batch=batch,
            learning_rate=settings.learning_rate * learning_rate_factor(batch, settings.batch_size),
            weight_decay=settings.weight_decay,
            seed=bench.config.seed,
            precision=settings.precision,
        ),
        checkpoint / "epochs",
        lambda *_: alive(),
    )
    (found,) = choose_together(adapted, [choice], workers, model.row_losses())
    if isinstance(found, Exception):
        raise found
    # The domains' prior is then what the kernel makes of all their rows.
    adapted.bank.load(NAME, found.adapter)
    try:
        slot = int(adapted.slots([NAME]))
        fit_prior(adapted, NAME, replace(rows, domains=torch.full((len(rows),), slot)))
        return adapted.adapter(NAME)
    finally:
        adapted.unload(NAME)


def _name(bench: Workbench, at: tuple[str, ...]) -> str:
    """The name of a pooled start by all that it is made from."""
    return f"{bench.decision.day}.{_mark(bench, at)}"


def _mark(bench: Workbench, at: tuple[str, ...]) -> str:
    config, day = bench.config, date.fromisoformat(bench.decision.day)
    made_from = [
        lake_version(bench.project.lake(), day),
        bench.served.backbone,
        bench.served.encoder.fingerprint,
        config.adapter.model_dump(mode="json", exclude={"device", "trainer", "start", "at"}),
        list(at),
        [config.gate.label_delay_hours, config.timezone, config.seed],
    ]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]


def _card(bench: Workbench, at: tuple[str, ...]) -> dict[str, str]:
    return {
        "backbone": bench.served.backbone,
        "encoder": bench.served.encoder.fingerprint,
        "lake": lake_version(bench.project.lake(), date.fromisoformat(bench.decision.day)),
        "day": bench.decision.day,
        "pooled": _mark(bench, at),
    }


def _checkpoint(bench: Workbench, at: tuple[str, ...]) -> Path:
    return bench.project.workspace.staging / f"pooled-{_mark(bench, at)}"


@contextmanager
def _alone(folder: Path, alive: Callable[[], None]) -> Iterator[None]:
    """Have a pooled start to oneself: of several processes one makes it, the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    while True:
        alive()
        try:
            lock.acquire(timeout=WAIT_SECONDS)
            break
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()
