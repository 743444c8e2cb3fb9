"""Trying a recommender of the user's own on few rows: its logits, its scores, its places."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from driftune.config import Config
from driftune.config.recommender import RecommenderSettings
from driftune.errors import BackboneError, ConfigError
from driftune.models.adapters import AttachError, IAKConfig, attach
from driftune.models.adapters.outputs import Output
from driftune.models.forms import form_problem, place_problem
from driftune.models.recommender import Recommender
from driftune.training.rows import Rows
from driftune.training.scoring import score

# Rows that show whether it scores at all, before it is taken up.
TRIED = 256
_MORE = "driftune check-model tells more"
# Places that a message names.
_NAMED = 8


def try_recommender(
    config: Config, settings: RecommenderSettings, model: Recommender, rows: Rows
) -> None:
    """See that it scores some rows, and that adapters can be put at the places of ``adapter.at``.

    Raises:
        BackboneError: when it does not score them.
        ConfigError: when a place does not hold an adapter, or there is none.
    """
    tried = rows.take(np.arange(min(TRIED, len(rows))))
    what = f"does not score {len(tried)} reference rows"
    with told(settings, what), torch.no_grad():
        inputs = model.inputs(tried.as_scored())
        output = model(*inputs)
    if problem := form_problem(model, output, len(tried)):
        raise BackboneError(f"{settings.factory}: {problem[0]}; {problem[1]}")
    with told(settings, what):
        p_click, p_ctcvr = score(model, tried)
    if p_click.shape != (len(tried),) or not np.isfinite(p_click + p_ctcvr).all():
        raise BackboneError(
            f"{settings.factory}: gives {p_click.shape} scores for {len(tried)} rows, or some that "
            f"are no numbers; {_MORE}"
        )
    _try_places(config, settings, model, inputs)


@contextmanager
def told(settings: RecommenderSettings, what: str) -> Iterator[None]:
    """The user's code may fail in any way: each is one line that names the factory.

    Raises:
        BackboneError: in the place of what it raises.
    """
    try:
        yield
    except AttachError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BackboneError(
            f"{settings.factory}: {what} ({type(error).__name__}: {reason}); {_MORE}"
        ) from None


def _try_places(
    config: Config, settings: RecommenderSettings, model: Recommender, inputs: tuple[Tensor, ...]
) -> None:
    shape, at, rows = config.adapter, config.adapter.all_places, len(inputs[0])
    with told(settings, "its default_places fails"):
        places = list(model.default_places()) if at is None else at
    if not places:
        names = ", ".join([name for name, _ in model.named_modules() if name][:_NAMED]) or "none"
        raise ConfigError(
            f"{config.source_file}: adapter.at = 'auto': {settings.factory} names no place; name "
            f"modules in adapter.at (the model has {names}), or replace default_places in its class"
        )
    kernel = IAKConfig(shape.bottleneck, shape.hidden, shape.combine, beta=0.0)
    try:
        with (
            told(settings, f"fails with adapters at {places}"),
            torch.no_grad(),
            attach(model, kernel, places, ["tried"]) as adapted,
        ):
            adapted.run(_fits(rows), *inputs)
            adapted(["tried"] * rows, *inputs)
    except AttachError as error:
        raise ConfigError(f"{config.source_file}: adapter.at: {error}; {_MORE}") from None


def _fits(rows: int) -> Callable[[str, Output, tuple[Tensor, ...]], Output]:
    """See that each place gives what a kernel takes."""

    def look(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
        if problem := place_problem(output, rows):
            raise AttachError(f"'{place}' {problem}")
        return output

    return look
