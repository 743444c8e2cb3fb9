"""A job: the folder of one attempt, the rows in it, and the JSON file that says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from driftune.adaptation.domain_rows import touching
from driftune.adaptation.split import lake_version
from driftune.adaptation.workbench import Workbench, lake_changed
from driftune.config.trainer import Trainer
from driftune.errors import LakeError
from driftune.features.encoder import Encoder
from driftune.features.export import export_rows
from driftune.features.raw import PREFIX
from driftune.io import JsonObject, write_json
from driftune.registry.records.training import Span
from driftune.training.pretrain import backbone_folder, encoder_folder

# Raised when a key of the file changes its meaning; a new key needs no new number.
FORMAT = 1
Beat = Callable[[], None]


@dataclass(frozen=True)
class Attempt:
    """One attempt of a decision's job, in a ``folder`` of its own.

    ``params``: the params.yaml that names the job; ``note``: the file that keeps what runs.
    """

    decision_id: str
    domain: str
    trainer: Trainer
    folder: Path
    params: Path
    note: Path
    deadline: datetime

    @property
    def name(self) -> str:
        """A name that no other attempt has."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """The JSON file that the job gets."""
        return self.folder / "job.json"

    @property
    def write_to(self) -> Path:
        """Where the job leaves its adapter."""
        return self.folder / "write_to"


class Deployments(Protocol):
    """Who starts the runs of deployments: the library itself knows none."""

    def run(self, attempt: Attempt, beat: Beat) -> None:
        """Let a deployment do the job, and wait for its end; ``beat`` is called meanwhile.

        Raises:
            TrainerError: when it fails or is not done by the deadline; it does not run then.
        """

    def end(self, name: str) -> None:
        """End what runs of the attempt of this name, and wait until nothing does.

        Raises:
            TrainerStoppedError: when something still does.
        """


def prepare(bench: Workbench, trainer: Trainer, folder: Path) -> Attempt:
    """Write the rows and the JSON file of an attempt into its empty folder.

    Raises:
        RegistryError: when the lake has changed since the rows were split.
        LakeError: when days are missing or damaged.
    """
    train, select = folder / "train.parquet", folder / "select.parquet"
    days = _export(bench, train, select)
    champion, _ = bench.champion()
    row, served, split = bench.decision, bench.served, bench.split
    deadline = datetime.now(UTC) + timedelta(minutes=trainer.timeout_minutes)
    attempt = Attempt(
        decision_id=row.id,
        domain=row.domain,
        trainer=trainer,
        folder=folder,
        params=bench.config.source_file,
        note=bench.project.workspace.trainer(row.id),
        deadline=deadline,
    )
    attempt.write_to.mkdir()
    spans = split.spans()
    job: JsonObject = {
        "format": FORMAT,
        "decision": row.id,
        "params": str(attempt.params.absolute()),
        "domain": row.domain,
        "domain_key": row.domain_key,
        "day": row.day,
        "days": [day.isoformat() for day in days],
        "train": {"path": str(train), **_span(spans.train)},
        "select": {"path": str(select), **_span(spans.select)},
        # Where drift began within the rows to train on, if it did: fewer rows, all of after it.
        "train_since": [_span(split.spans(n).train)["from"] for n in range(1, len(split.windows))],
        "fields": [*served.encoder.fields],
        "numbers": [*served.encoder.numbers],
        "columns": [*served.encoder.raw],
        "scored_with": {**_scored_with(served.encoder)},
        "champion": str(champion.folder) if champion.folder and not champion.problem else None,
        "champion_version": champion.serves,
        "backbone": str(backbone_folder(bench.config)),
        "backbone_fingerprint": served.backbone,
        "encoder": str(encoder_folder(bench.config)),
        "encoder_fingerprint": served.encoder.fingerprint,
        "write_to": str(attempt.write_to),
        "seed": bench.seed,
        "deadline": deadline.isoformat(),
    }
    write_json(attempt.file, job)
    return attempt


def _export(bench: Workbench, train: Path, select: Path) -> list[date]:
    """Write the rows that train and select; returns the days that they are of."""
    config, split, day = bench.config, bench.split, date.fromisoformat(bench.decision.day)
    view = bench.project.lake()
    if lake_version(view, day) != split.lake:
        raise lake_changed(bench.decision_id)
    begins, middle, ends = (int(rows.time[0]) for rows in (split.train, split.select, split.gate))
    days = touching(config, view.contents, begins, ends)
    parts = {train: (begins, middle), select: (middle, ends)}
    written = export_rows(
        config, bench.served.encoder, view, bench.decision.domain_key, days, parts
    )
    if written != {train: len(split.train), select: len(split.select)}:
        raise LakeError(
            f"{bench.decision_id}: the rows to hand to the training job are not those of the split"
        )
    return days


def _scored_with(encoder: Encoder) -> dict[str, float]:
    """Columns that have another value, the same for all rows, wherever rows are scored."""
    raw = {f"{PREFIX}{name}": value for name, value in encoder.debias if name in encoder.raw}
    return {**{f"x_{number}": value for number, value in encoder.stated}, **raw}


def _span(span: Span | None) -> dict[str, int | str | None]:
    """Rows of a span, and their first and last instant (UTC)."""
    known = span or Span()
    return {"rows": known.rows, "from": known.first, "to": known.last}
