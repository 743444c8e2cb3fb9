"""Taking up a recommender of the user's own: what ``driftune pretrain`` does in place of training.

Its weights and code stay where they are. What is written is a card of what they were, so that a
change of either is seen before anything is scored.
"""

import logging
import os
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import yaml

from driftune.config import Config
from driftune.config.recommender import RecommenderSettings
from driftune.config.workspace import Workspace
from driftune.features.encoder import Encoder
from driftune.lake.clock import day_start
from driftune.models.backbone import save_own
from driftune.models.imports import imported
from driftune.models.own import Origin, code_files, load_own, require_metric, weights_file
from driftune.training.groups import learn_groups, save_groups
from driftune.training.holdout import newest_of_each, seen_until
from driftune.training.rows import Rows
from driftune.training.trying import told, try_recommender

log = logging.getLogger("driftune")


def take_up(
    config: Config, settings: RecommenderSettings, encoder: Encoder, trained: Rows, held_out: Rows
) -> tuple[str, Origin]:
    """Write the card of the recommender, once it is seen to score rows as it must.

    Returns its fingerprint and the hashes of what it was made of.

    Raises:
        ConfigError, BackboneError: as ``models.own.load_own``, and when it does not score, or holds
            no adapters at ``adapter.at``.
    """
    model, origin = load_own(config, settings, encoder)
    require_metric(config, settings, model)
    try_recommender(config, settings, model, held_out if len(held_out) else trained)
    folder, mark = Workspace(config).model / "backbone", origin.mark(settings)
    until = _trained_until(config, settings, trained, held_out)
    groups = None
    if config.columns.category is None:
        with told(settings, "its field_vectors fails"):
            groups = learn_groups(config, encoder, model, mark)
    save_own(folder, origin, mark, encoder.fingerprint, until)
    if groups is not None:
        save_groups(folder, groups)
    _tell_uncovered(config, settings)
    _tell_dvc(config, settings)
    return mark, origin


def not_trained_on(config: Config, settings: RecommenderSettings, rows: Rows) -> np.ndarray:
    """Which of the reference rows did not train it, (rows,) bool."""
    if settings.trained_until is None:
        return newest_of_each(rows.domain_key, rows.time, config.reference.holdout)
    late: np.ndarray = rows.time >= _begin(config, settings.trained_until)
    return late


def _begin(config: Config, day: date) -> int:
    """The day's first instant, in microseconds since 1970."""
    return int(np.datetime64(day_start(config, day), "us").astype(np.int64))


def _trained_until(
    config: Config, settings: RecommenderSettings, trained: Rows, held_out: Rows
) -> dict[str, int]:
    """By domain, from when on rows did not train it: where ``recommender.trained_until`` says so,
    none before that, whatever days are under ``reference``."""
    seen = seen_until(trained.domain_key, trained.time)
    if settings.trained_until is None:
        return seen
    begin = _begin(config, settings.trained_until)
    keys = np.concatenate([trained.domain_key, held_out.domain_key])
    return {str(key): max(seen.get(str(key), begin), begin) for key in np.unique(keys)}


def _tell_uncovered(config: Config, settings: RecommenderSettings) -> None:
    """Warn of files that make the model what it is and that its fingerprint does not cover."""
    root = config.root.resolve()
    covered = {path.resolve() for path in code_files(config, settings).values()}
    found = []
    # A file that is no Python imports nothing.
    with suppress(SyntaxError):
        found = [path for path in imported(root, sorted(covered)) if path.resolve() not in covered]
    named = [
        root / value for value in settings.options.values() if value and isinstance(value, str)
    ]
    found += [path for path in named if _is_file(path) and path.resolve() not in covered]
    if found:
        names = sorted({os.path.relpath(path, root) for path in found})
        log.warning(
            "%s: a change of %s would go unseen, as the fingerprint does not cover it; add to "
            "recommender.code: [%s]",
            *(config.source_file, " or ".join(names), ", ".join(names)),
        )


def _is_file(path: Path) -> bool:
    """Whether a text is a file's name; many are none, or too long for one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _tell_dvc(config: Config, settings: RecommenderSettings) -> None:
    """Warn where ``dvc repro`` would not see a change of weights or code."""
    pipeline = config.root / "dvc.yaml"
    if not pipeline.exists():
        return
    stages = yaml.safe_load(pipeline.read_text(encoding="utf-8")).get("stages", {})
    known = [config.root / name for name in stages.get("pretrain", {}).get("deps", ())]
    needed = [weights_file(config, settings), *code_files(config, settings).values()]
    missing = sorted(
        {
            str(path.relative_to(config.root))
            for path in needed
            if path.is_relative_to(config.root)
            and not any(path.is_relative_to(each.resolve()) for each in known)
        }
    )
    if missing:
        log.warning(
            "%s: add to the deps of the stage pretrain, so that DVC sees when they change: %s",
            *(pipeline, ", ".join(missing)),
        )
