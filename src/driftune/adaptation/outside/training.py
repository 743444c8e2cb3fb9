"""Training by a job of the user's own: rows out, an adapter in, the same challenger as any."""

import time
from collections.abc import Callable
from pathlib import Path

from driftune.adaptation.card import challenger_card
from driftune.adaptation.outside.beat import Heart
from driftune.adaptation.outside.job import Attempt, Beat, Deployments, prepare
from driftune.adaptation.outside.left import end_left
from driftune.adaptation.outside.outcome import left_adapter, marks, reported, require_untouched
from driftune.adaptation.outside.process import run_command
from driftune.adaptation.workbench import Workbench
from driftune.config.trainer import Trainer
from driftune.errors import ConfigError
from driftune.lake.scratch import scratch
from driftune.models.adapters import save_adapter
from driftune.registry.records import TrainingFigures
from driftune.training.pretrain import backbone_folder, encoder_folder


def train_outside(
    bench: Workbench,
    trainer: Trainer,
    progress: Callable[[str, int, int], None] | None = None,
    deployed: Deployments | None = None,
) -> TrainingFigures:
    """Let a job of the user's own train the decision's challenger; returns its figures.

    The challenger's files are written, as a whole, once the job has ended well and all that it
    left is found to be right. An attempt begins with an empty folder, and with nothing of an
    attempt before at work.

    Args:
        progress: called again and again while the job runs; what it raises ends the job.
        deployed: starts runs of deployments; None where there are none.

    Raises:
        TrainerError: when the job fails, takes too long, or leaves nothing that can be judged.
        TrainerStoppedError: when it was killed, or an attempt before is still at work.
        ConfigError: when there is no such program or deployment.
        OvertakenError: when the backbone was pre-trained anew meanwhile.
        RegistryError: when the lake, or what the job was given to read, changed meanwhile.
    """
    begun = time.monotonic()
    run = _runner(bench, trainer, deployed)
    end_left(bench.project.workspace.trainer(bench.decision_id), deployed)
    with scratch(bench.config, f"trainer-{bench.decision_id}") as folder:
        attempt = prepare(bench, trainer, folder)
        own, given = marks([folder], attempt.write_to), marks(_given(bench))
        heart = Heart(attempt, progress or _nobody, bench.project.ledger.lease_seconds)
        run(attempt, heart)
        bench.require_unchanged()
        require_untouched(attempt, own, given)
        adapter, told = left_adapter(bench, attempt), reported(attempt)
        heart.now()
    figures = TrainingFigures(
        split=bench.split.spans(),
        parameters=sum(tensor.numel() for tensor in adapter.parameters()),
        trainer=trainer.kind,
        reported=told,
    )
    save_adapter(bench.folder, adapter, challenger_card(bench, figures))
    return figures.model_copy(update={"seconds": round(time.monotonic() - begun, 2)})


def _runner(
    bench: Workbench, trainer: Trainer, deployed: Deployments | None
) -> Callable[[Attempt, Beat], None]:
    """What runs an attempt to its end."""
    if trainer.deployment is None:
        return run_command
    if deployed is None:
        raise ConfigError(
            f"{bench.config.source_file}: adapter.trainer.deployment = {trainer.deployment!r}: "
            "only flows start deployments, and this is none; name a command here"
        )
    return deployed.run


def _given(bench: Workbench) -> list[Path]:
    """The folders that a job is given to read."""
    champion, _ = bench.champion()
    folders = [backbone_folder(bench.config), encoder_folder(bench.config)]
    return [*folders, *([champion.folder] if champion.folder else [])]


def _nobody(what: str, done: int, total: int) -> None:
    """Nobody asks how far the job is."""
