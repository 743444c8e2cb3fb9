"""The pre-training pipeline: DVC runs what data, code or parameters have changed for."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BackboneError, ConfigError
from driftune.io import read_json
from driftune.models.backbone import backbone_mark
from driftune.training.pretrain import backbone_folder

log = logging.getLogger("driftune")


class Reproduced(TypedDict):
    """What a run of the pipeline left: see ``reproduce``."""

    backbone: str | None
    changed: bool
    metrics: dict[str, float | None]


def reproduce(config: Config) -> Reproduced:
    """Run ``dvc repro`` in the project's folder; a no-op when nothing has changed.

    Returns:
        ``backbone``: the fingerprint that serves now, ``changed``: whether it is a new one (then
        the next day queues a fine-tune for each domain that had an adapter), ``metrics``: those
        of the held-out reference rows.

    Raises:
        ConfigError: when the configuration is not that of a DVC pipeline.
        BackboneError: when the pipeline fails, with DVC's last line.
    """
    if config.source_file.name != "params.yaml" or not (config.root / "dvc.yaml").exists():
        raise ConfigError(
            f"{config.source_file}: no pipeline reads it (dvc.yaml beside a params.yaml); "
            "use driftune pretrain --config"
        )
    before = backbone_mark(backbone_folder(config))
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=config.root,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    for line in lines:
        log.info("dvc: %s", line)
    if done.returncode:
        errors = [line for line in lines if line.startswith("ERROR")]
        said = [*lines, *errors][-1] if lines else "no output"
        raise BackboneError(f"dvc repro failed in {config.root} ({said}); run it there by hand")
    mark = backbone_mark(backbone_folder(config))
    return {
        "backbone": mark,
        "changed": mark != before,
        "metrics": read_json(Workspace(config).model / "metrics.json"),
    }
