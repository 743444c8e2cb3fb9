"""What a job left: checked as a whole before any of it becomes a challenger."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from driftune.adaptation.outside.job import Attempt
from driftune.adaptation.workbench import Workbench
from driftune.errors import RegistryError, TrainerError
from driftune.models.adapters import (
    Adapter,
    AdapterBank,
    AdapterFileError,
    AttachError,
    load_adapter,
)
from driftune.models.adapters.files import CARD, TENSORS
from driftune.training.scoring import score

log = logging.getLogger("driftune")

REPORT = "report.json"
# Figures of a report that are kept, signs of their names, and bytes of the file.
FIGURES, NAME, REPORT_BYTES = 40, 60, 1 << 20
# What a kernel of strange settings or shapes may raise in the model's call.
_UNFIT = (AttachError, ValueError, RuntimeError, TypeError, LookupError, AttributeError)
Marks = Mapping[Path, tuple[int, int, int]]


def marks(folders: Iterable[Path], without: Path | None = None) -> Marks:
    """Size, time of change and number of every file in some folders, but for one of them."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if without is not None and path.is_relative_to(without):
                continue
            if path.is_symlink() or not path.is_dir():
                status = path.lstat()
                found[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def changed(before: Marks, after: Marks) -> list[Path]:
    """Files that are new, gone or another."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def require_untouched(attempt: Attempt, own: Marks, given: Marks) -> None:
    """See that a job has written nothing but what lies in ``write_to``.

    Args:
        own: marks of the attempt's folder before the job.
        given: those of the folders that the job was given to read.

    Raises:
        TrainerError: when it wrote beside ``write_to``, or that is no folder any more.
        RegistryError: when what it was given to read has changed, by whomever.
    """
    if attempt.write_to.is_symlink() or not attempt.write_to.is_dir():
        raise _refused(attempt, "write_to is no folder any more")
    for path in changed(own, marks([attempt.folder], attempt.write_to)):
        name = path.relative_to(attempt.folder)
        raise _refused(attempt, f"it wrote {str(name)!r}, which is outside of write_to")
    now = marks({path.parent for path in given})
    for path in changed(given, now):
        raise RegistryError(
            f"{attempt.decision_id}: {path} changed while the training job ran, which may only "
            "read it; driftune doctor --deep says whether it is whole"
        )


def left_adapter(bench: Workbench, attempt: Attempt) -> Adapter:
    """The adapter that a job has left, which fits the model and gives numbers for its rows.

    Raises:
        TrainerError: when there is none, or it cannot be judged.
    """
    folder = attempt.write_to
    names = [each for each in (CARD, TENSORS, REPORT) if (folder / each).is_symlink()]
    if names:
        raise _refused(attempt, f"{names[0]} is a link; write the file itself into write_to")
    if not any((folder / each).exists() for each in (CARD, TENSORS)):
        raise _refused(attempt, f"it ended well and left no {CARD} and {TENSORS} in write_to")
    try:
        adapter, _ = load_adapter(folder, backbone=bench.served.backbone)
    except AdapterFileError as error:
        raise _refused(attempt, str(error).removeprefix(f"{folder}: ")) from None
    bank = AdapterBank.from_adapters({bench.decision.domain_key: adapter})
    try:
        predictions = score(bench.served.model, bench.split.select, bank)
    except _UNFIT as error:
        reason = " ".join(str(error).split())[:300]
        raise _refused(attempt, f"it does not fit the model: {reason}") from None
    if not all(np.isfinite(each).all() for each in predictions):
        raise _refused(attempt, "it gives NaN or infinity for selection rows")
    return adapter


def reported(attempt: Attempt) -> dict[str, float]:
    """The figures that a job reports of itself: numbers by name, in the file's order.

    What is no number is left out; a file that cannot be read is a warning.
    """
    path = attempt.write_to / REPORT
    try:
        if path.stat().st_size > REPORT_BYTES:
            raise ValueError(f"is larger than {REPORT_BYTES} bytes")
        given = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise ValueError("holds no names with numbers")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: the trainer's %s is left out: %s", attempt.decision_id, REPORT, error)
        return {}
    figures = {
        name[:NAME]: float(value)
        for name, value in given.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and _is_figure(value)
    }
    return dict([*figures.items()][:FIGURES])


def _is_figure(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _refused(attempt: Attempt, reason: str) -> TrainerError:
    return TrainerError(f"{attempt.domain}: what the training job left cannot be judged: {reason}")
