"""Pre-training on the pooled reference days: encode, pretrain, evaluate."""

import logging
from dataclasses import asdict
from pathlib import Path

import torch

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BackboneError
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import Encoder, load_encoder
from driftune.features.raw import raw_names
from driftune.intake.ingest import ensure_reference
from driftune.io import finite, write_json
from driftune.lake.table import Lake
from driftune.models.backbone import load_backbone, load_own_backbone, save_backbone
from driftune.models.esmm import ESMM
from driftune.models.recommender import Recommender
from driftune.registry.ledger import Ledger
from driftune.training.base import judge_base
from driftune.training.devices import serving
from driftune.training.fitting import Progress, fit
from driftune.training.groups import ItemGroups, learn_groups, load_groups, save_groups
from driftune.training.holdout import newest_of_each, seen_until
from driftune.training.labels import require_labels, tell_unmeasured
from driftune.training.own import not_trained_on, take_up
from driftune.training.ranks import ALONE, Ranks, ranks
from driftune.training.rows import Rows, load_rows
from driftune.training.scoring import score
from driftune.training.threads import one_thread
from driftune.training.unknown import id_dropout

log = logging.getLogger("driftune")

STEPS = ("encode", "pretrain", "evaluate")
Figures = dict[str, str | int | float | list[float] | dict[str, int] | dict[str, float] | None]


def pretrain(
    config: Config, ledger: Ledger, only: str | None = None, progress: Progress | None = None
) -> Figures:
    """Run the pre-training steps (or one of them) and return the last one's figures.

    Under ``torchrun`` all ranks train, and the first does all else; the others' figures are empty.
    """
    figures: Figures = {}
    with ranks(config) as group:
        shown = progress if group.first else None
        for step in STEPS if only is None else (only,):
            if step == "encode":
                figures = group.on_first(lambda: encode(config, ledger, shown), {})
                continue
            # A pipeline that has the encoder from its cache has not filled the lake.
            group.on_first(lambda: _prepare(config, ledger, shown), None)
            if step == "pretrain":
                figures = train(config, shown, group)
            else:
                figures = group.on_first(lambda: evaluate(config), {})
    return figures


def encoder_folder(config: Config) -> Path:
    """Where the encoder lies."""
    return Workspace(config).model / "encoder"


def backbone_folder(config: Config) -> Path:
    """Where the backbone lies."""
    return Workspace(config).model / "backbone"


def has_backbone(config: Config) -> bool:
    """Whether a backbone was trained in this workspace."""
    return (backbone_folder(config) / "backbone.json").exists()


def ensure_backbone(config: Config, ledger: Ledger, progress: Progress | None = None) -> None:
    """Pre-train when there is no backbone; else only see that the lake has the reference days."""
    if not has_backbone(config):
        pretrain(config, ledger, progress=progress)
        return
    held = set(Lake.of(config).days)
    if not held.issuperset(config.reference.days):
        ensure_reference(config, ledger, progress)


def load_model(config: Config) -> tuple[Encoder, Recommender, str]:
    """Load encoder, frozen backbone (on ``adapter.device``) and its fingerprint."""
    encoder, folder, own = _encoder(config), backbone_folder(config), config.recommender
    if own is None:
        model, mark = load_backbone(folder, encoder.fingerprint)
    else:
        model, mark = load_own_backbone(config, own, folder, encoder)
    return encoder, serving(config, model), mark


def load_item_groups(config: Config, encoder: Encoder, mark: str) -> ItemGroups | None:
    """Load the groups of the backbone's items; None where the log gives categories."""
    if config.columns.category is not None:
        return None
    return load_groups(backbone_folder(config), encoder, mark)


def encode(config: Config, ledger: Ledger, progress: Progress | None = None) -> Figures:
    """Bring the reference days into the lake and fit the encoder on them."""
    days = ensure_reference(config, ledger, progress)
    encoder = fit_encoder(config, days, encoder_folder(config))
    return {"days": len(days), "fields": dict(zip(encoder.fields, encoder.sizes, strict=True))}


def train(config: Config, progress: Progress | None = None, group: Ranks = ALONE) -> Figures:
    """Train the backbone on all but each domain's newest reference rows; the first rank saves.

    A recommender of the user's own is taken up as it is. Returns its fingerprint, the number of
    rows and each epoch's loss; nothing on other ranks.

    Raises:
        BackboneError: when there is nothing to learn from: no row, no click, or nothing else; or
            as ``own.take_up``.
    """
    settings, encoder, given = config.backbone, _encoder(config), config.recommender
    rows, held_out = reference_rows(config, progress)
    if given is not None:

        def taken_up() -> Figures:
            mark, origin = take_up(config, given, encoder, rows, held_out)
            made: Figures = {"rows": len(rows), **asdict(origin)}
            _receipt(backbone_folder(config) / "made.json", config, made)
            return {"fingerprint": mark, **made}

        return group.on_first(taken_up, {})
    require_labels(config, rows)
    dropout = id_dropout(config, encoder, rows, held_out)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = ESMM(encoder.sizes, len(encoder.numbers), settings.embedding, settings.hidden)
        losses = fit(config, model, rows, dropout, progress, group)
    until, dropped = seen_until(rows.domain_key, rows.time), dropout.told

    def save() -> Figures:
        with group.undisturbed():
            dropout.fill(model.cpu(), rows.ids)
            folder = backbone_folder(config)
            mark = save_backbone(folder, model, encoder.fingerprint, until)
            if config.columns.category is None:
                save_groups(folder, learn_groups(config, encoder, model, mark))
            made: Figures = {"rows": len(rows), "id_dropout": dropped}
            whole = {**made, "encoder": encoder.fingerprint, "until": max(until.values())}
            _receipt(folder / "made.json", config, whole)
        for field, share in dropped.items():
            log.info("%.1f%% of the training rows read their %s as unknown", 100 * share, field)
        return {"fingerprint": mark, **made, "losses": losses}

    return group.on_first(save, {})


def evaluate(config: Config) -> Figures:
    """Score each domain's held-out newest reference rows, in all and by domain; write metrics, and
    what is wrong with the base."""
    from driftune.evaluation.metrics import summary

    trained, held_out = reference_rows(config)
    encoder, model, _ = load_model(config)
    p_click, p_ctcvr = score(model, held_out)
    shown = score(model, held_out.as_shown())[0] if held_out.stated else p_click
    click = held_out.click.numpy()
    converts = config.columns.convert is not None and model.conversions
    convert = held_out.convert.numpy() if converts else None
    overall = summary(click, convert, p_click, p_ctcvr, shown)
    tell_unmeasured(config, overall)
    folder = Workspace(config).model
    write_json(folder / "metrics.json", finite(overall))
    judge_base(config, encoder, trained, held_out, shown, p_click)
    _receipt(folder / "evaluated.json", config, {"rows": len(held_out)})
    found: Figures = finite(overall)
    return found


def _receipt(path: Path, config: Config, made: Figures) -> None:
    """Say what something was made from, in bytes that are the same on every processor.

    DVC's lock file holds this in place of the weights and metrics, whose last bits are not.
    """
    own = config.recommender
    by = {"backbone": config.backbone} if own is None else {"recommender": own}
    settings = {name: section.model_dump(mode="json") for name, section in by.items()}
    write_json(path, {**made, **settings, "seed": config.seed})


def _prepare(config: Config, ledger: Ledger, progress: Progress | None) -> None:
    """What training and evaluation read: the reference days in the lake, and encoded."""
    ensure_reference(config, ledger, progress)
    _encoded(config, _encoder(config), progress)


def _encoded(config: Config, encoder: Encoder, progress: Progress | None) -> list[Path]:
    days = config.reference.days
    files = []
    for number, day in enumerate(days):
        files.append(encode_day(config, encoder, day))
        if progress:
            progress("encoding", number + 1, len(days))
    return files


def _encoder(config: Config) -> Encoder:
    return load_encoder(encoder_folder(config), raw_names(config))


def reference_rows(config: Config, progress: Progress | None = None) -> tuple[Rows, Rows]:
    """The reference rows that train (or trained) the model, and those that evaluate it.

    Raises:
        BackboneError: when there is no encoder, or no row.
    """
    encoder, own = _encoder(config), config.recommender
    rows = load_rows(encoder, _encoded(config, encoder, progress))
    if not len(rows):
        raise BackboneError("the reference days hold no rows to train on; check reference")
    if own is None:
        held_out = newest_of_each(rows.domain_key, rows.time, config.reference.holdout)
    else:
        held_out = not_trained_on(config, own, rows)
    return rows.take(~held_out), rows.take(held_out)
