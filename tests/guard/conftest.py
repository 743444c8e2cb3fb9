"""A domain whose champion is a random adapter that ranks worse than the base, and days after it."""

import pytest
import torch

from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.training.pretrain import load_model
from tests.conftest import World
from tests.crowning import crown

# Of an untrained adapter that ranks far worse than the base; some rank better than so small a one.
WORSE = 7


def adapter(world: World, seed: int, combine: str = "replace") -> Adapter:
    """An untrained adapter: ``replace`` forgets what the base knows, ``residual`` nothing."""
    _, model, _ = load_model(world.config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, combine))
        return Adapter({"representation": kernel}).eval()


@pytest.fixture
def bad_champion(trained_world: World) -> World:
    """A world in which version 1, trained on its last reference day, serves one domain badly."""
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)])
    return trained_world
