"""Fine-tuning: a challenger adapter for one domain, on the frozen backbone."""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import torch
from pydantic import JsonValue

from driftune.adaptation.domain_rows import DomainRows
from driftune.adaptation.split import span
from driftune.adaptation.workbench import Workbench
from driftune.config.adapter import Adapter as AdapterSettings
from driftune.errors import ConfigError, ModelOutputError
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterBank,
    AttachError,
    Choice,
    Chosen,
    Examples,
    IAKConfig,
    NotFiniteError,
    TrainConfig,
    attach,
    choose_together,
    save_adapter,
)
from driftune.models.recommender import Recommender
from driftune.registry.ledger import BASE
from driftune.registry.records import TrainingFigures
from driftune.training.rows import Rows
from driftune.training.threads import one_thread

log = logging.getLogger("driftune")

# Rows that show a new kernel how wide its place is.
PROBE_ROWS = 64
# Of a kernel that replaces the representation: it has to give it back before it may change it.
WARM_EPOCHS = 3
Progress = Callable[[str, int, int], None]


def finetune(bench: Workbench, progress: Progress | None = None) -> TrainingFigures:
    """Train the decision's challenger and write its files; returns the training figures.

    The adapter starts from the champion's where the domain has one. Of several windows of rows
    the one with the lowest loss on the selection rows is kept. A training that was killed goes on
    after its last whole epoch. Same data version, configuration and seed give the same bytes on a
    CPU, whatever is trained beside it.

    Raises:
        OvertakenError: when the backbone is not the one that the decision was made under.
        ModelOutputError: when what the frozen model gives for the rows is no number.
    """
    progress_of = {} if progress is None else {bench.decision_id: progress}
    found = finetune_together([bench], progress_of)[bench.decision_id]
    if isinstance(found, Exception):
        raise found
    return found


def finetune_together(
    benches: Sequence[Workbench], progress: Mapping[str, Progress], workers: int = 1
) -> dict[str, TrainingFigures | Exception]:
    """``finetune`` for decisions of one project at once, by their ids.

    The days are read once for all, and steps are shared (``driftune.models.adapters.together``).
    What goes wrong for one is its own outcome and leaves the others as they would be alone.
    ``progress``: told of the decision's epochs; ``workers``: threads, which change no result.

    Raises:
        ConfigError: when the model has no such places as ``adapter.at``.
    """
    started = time.perf_counter()
    found: dict[str, TrainingFigures | Exception] = {}
    _read_ahead(benches)
    with one_thread():
        ready = _ready(benches, progress, found)
        if not ready:
            return found
        with _attached(ready[0].bench) as adapted:
            choices = [_choice(adapted, one) for one in ready]
            outcomes = choose_together(adapted, choices, workers)
    seconds = (time.perf_counter() - started) / sum(len(choice.examples) for choice in choices)
    for one, choice, outcome in zip(ready, choices, outcomes, strict=True):
        try:
            if isinstance(outcome, Exception):
                raise outcome
            found[one.bench.decision_id] = _kept(one, outcome, seconds * len(choice.examples))
        except NotFiniteError:
            found[one.bench.decision_id] = _overflow(one.bench)
        except Exception as error:
            found[one.bench.decision_id] = error
    return found


@dataclass(frozen=True)
class _Ready:
    """A decision that can be trained for: its frozen model, its rows are there."""

    bench: Workbench
    seed: int
    progress: Progress | None


def _ready(
    benches: Sequence[Workbench],
    progress: Mapping[str, Progress],
    found: dict[str, TrainingFigures | Exception],
) -> list[_Ready]:
    """The decisions whose rows could be read; what keeps the others from it goes to ``found``."""
    ready = []
    for bench in benches:
        decision_id = bench.decision_id
        try:
            _ = bench.served, bench.split, bench.champion()
        except Exception as error:
            found[decision_id] = error
            continue
        digest = hashlib.sha256(f"{bench.config.seed} {decision_id}".encode()).hexdigest()
        ready.append(_Ready(bench, int(digest[:8], 16), progress.get(decision_id)))
    return ready


def _read_ahead(benches: Sequence[Workbench]) -> None:
    """Have the benches' rows read in one pass over the days.

    Where that cannot be done each reads its own, and says what is wrong.
    """
    if len(benches) < 2:
        return
    config, project = benches[0].config, benches[0].project
    try:
        rows = DomainRows(config, project.served.encoder, project.lake())
        wanted = {
            bench.decision.domain_key: span(
                config, date.fromisoformat(bench.decision.day), bench.decision.scores.since
            )
            for bench in benches
        }
        rows.read_ahead(wanted)
    except Exception as error:
        log.info("the rows of %d decisions are read one by one: %s", len(benches), error)
        return
    for bench in benches:
        bench.rows = rows


def _choice(adapted: AdaptedModel, one: _Ready) -> Choice:
    """What the decision's challenger is chosen from."""
    bench, settings = one.bench, one.bench.config.adapter
    windows, model = bench.split.windows, bench.served.model
    examples = _examples(model, windows[0])
    return Choice(
        bench.decision.domain_key,
        _start(one, adapted, examples),
        examples,
        [len(windows[0]) - len(window) for window in windows],
        _examples(model, bench.split.select),
        settings.beta,
        TrainConfig(
            epochs=settings.epochs,
            patience=settings.patience,
            batch_size=settings.batch_size,
            # A domain's batches must not follow from the rows of those beside it.
            min_batch=settings.batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            seed=one.seed,
        ),
        bench.checkpoints / "epochs",
        one.progress,
    )


def _kept(one: _Ready, chosen: Chosen, seconds: float) -> TrainingFigures:
    """Write the challenger's files; returns the training figures, with its part of the time."""
    bench = one.bench
    report = chosen.report
    figures = TrainingFigures(
        started_from=_started_from(bench),
        split=bench.split.spans(chosen.window),
        beta=report.beta,
        best_epoch=report.best_epoch,
        epochs=report.epochs_run,
        kl_bits=round(sum(map(sum, report.kl_bits.values())), 4),
        parameters=sum(tensor.numel() for tensor in chosen.adapter.parameters()),
    )
    save_adapter(bench.folder, chosen.adapter, _card(bench, one.seed, figures))
    shutil.rmtree(bench.checkpoints, ignore_errors=True)
    return figures.model_copy(update={"seconds": round(seconds, 2)})


def _overflow(bench: Workbench) -> ModelOutputError:
    return ModelOutputError(
        f"{bench.decision.domain}: the frozen model overflows on its rows (NaN or infinity), "
        "so that no adapter can be trained; train the model anew: driftune pretrain"
    )


def _card(bench: Workbench, seed: int, figures: TrainingFigures) -> dict[str, JsonValue]:
    """What the challenger's files say of where it comes from."""
    row = bench.decision
    return {
        "lake": bench.split.lake,
        "domain": row.domain,
        "domain_key": row.domain_key,
        "decision": row.id,
        "backbone": bench.served.backbone,
        "encoder": bench.served.encoder.fingerprint,
        "data_version": row.data_version,
        "seed": seed,
        "training": figures.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }


def _attached(bench: Workbench) -> AdaptedModel:
    config = bench.config
    try:
        return attach(bench.served.model, AdapterBank(), config.adapter.at)
    except AttachError as error:
        raise ConfigError(f"{config.source_file}: adapter.at: {error}") from None


def _examples(model: Recommender, rows: Rows) -> Examples:
    domains = torch.zeros(len(rows), dtype=torch.long)
    return Examples(model.inputs(rows), (rows.click, rows.convert), domains)


def _start(one: _Ready, adapted: AdaptedModel, examples: Examples) -> Adapter:
    """Where the decision's training starts: at its champion (see ``_started_from``), or anew.

    The place for other starts: each decision has its own, and its record names it.
    """
    bench, key = one.bench, one.bench.decision.domain_key
    _, bank = bench.champion()
    if _started_from(bench) != BASE:
        return bank.adapter(key)
    adapted.add(key, _wanted(bench.config.adapter), one.seed)
    adapted.build(*(each[:PROBE_ROWS] for each in examples.inputs))
    new = adapted.adapter(key)
    adapted.unload(key)
    return new


def _started_from(bench: Workbench) -> int:
    """The version whose adapter the training starts from; 0: a new one.

    It is the champion's, where that has the configured shape.
    """
    champion, bank = bench.champion()
    if champion.serves == BASE:
        return BASE
    held, places = bank.adapter(bench.decision.domain_key), tuple(bench.config.adapter.at)
    return champion.serves if held.is_of(_wanted(bench.config.adapter), places) else BASE


def _wanted(settings: AdapterSettings) -> IAKConfig:
    """The shape of a kernel that the configuration asks for."""
    return IAKConfig(
        bottleneck=settings.bottleneck,
        hidden=settings.hidden,
        combine=settings.combine,
        warm_epochs=WARM_EPOCHS if settings.combine == "replace" else 0,
    )
