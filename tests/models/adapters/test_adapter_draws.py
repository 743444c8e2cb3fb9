"""Initial weights do not depend on what other threads draw."""

import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from driftune.models.adapters import IAKConfig, attach
from driftune.models.adapters.draws import SeededWeights


def made(seed: int) -> list[torch.Tensor]:
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    adapted = attach(model, IAKConfig(4, 16, "replace"), ["0", "1"], ["north"], seed)
    adapted.build(torch.zeros(2, 6))
    return list(adapted.adapter("north").state_dict().values())


def test_the_numbers_are_those_of_the_global_generator() -> None:
    with SeededWeights(11):
        own = [nn.Linear(5, 7), nn.Embedding(3, 4)]
    with torch.random.fork_rng():
        torch.manual_seed(11)
        usual = [nn.Linear(5, 7), nn.Embedding(3, 4)]
    for one, other in zip(own, usual, strict=True):
        assert torch.equal(one.weight, other.weight)


def test_the_global_generator_stays_where_it_was() -> None:
    before = torch.random.get_rng_state()
    with SeededWeights(11):
        nn.Linear(5, 7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_adapters_made_in_threads_are_those_made_alone() -> None:
    alone = {seed: made(seed) for seed in range(24)}
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            torch.rand(64)

    noise = threading.Thread(target=disturb)
    noise.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            beside = dict(zip(alone, pool.map(made, alone), strict=True))
    finally:
        done.set()
        noise.join()
    for seed, weights in alone.items():
        assert all(map(torch.equal, weights, beside[seed])), seed
