"""The model's halves: trusted where they give what the model gives, else the model runs whole."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from driftune.models.adapters import Examples, IAKConfig, TrainConfig, attach, fingerprint, train
from driftune.models.adapters.split import split
from tests.models.adapters.shapes import DLRM, Branching, built

IAK = IAKConfig(3, 6)
CONFIG = TrainConfig(epochs=3, batch_size=32, learning_rate=2e-2, seed=5)


def _loss(logits: Tensor, labels: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels[0], reduction="none")


def _problem(model: nn.Module, inputs: tuple[Tensor, ...], at: Any) -> str | None:
    with attach(model, IAK, at, ["a"]) as adapted:
        adapted.build(*inputs)
        halves = split(adapted, inputs)
        if halves.problem is not None:
            assert halves.below(*inputs) == inputs
        return halves.problem


class Straight(Branching):
    """The same computation without the branch that cannot be traced."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows,) from x (rows, 4)."""
        return self.two(self.one(x)).squeeze(1)


def test_a_model_that_cannot_be_traced_trains_to_the_same_result() -> None:
    torch.manual_seed(0)
    inputs = Branching.rows(200)
    rows = Examples(inputs, ((inputs[0][:, 0] > 0).float(),), torch.arange(200) % 2)
    branching, straight = built(Branching), Straight()
    straight.load_state_dict(branching.state_dict())
    found, states = [], []
    for model in (branching, straight):
        with attach(model, IAK, "one", ["a", "b"]) as adapted:
            found.append(train(adapted, rows, rows, CONFIG, loss=_loss))
            states.append(adapted.bank.state_dict())
    whole, halved = found
    assert whole.problem is not None
    assert "Proxy" in whole.problem
    assert halved.problem is None
    for name, report in whole.domains.items():
        assert report.select_loss == pytest.approx(halved.domains[name].select_loss, rel=1e-5)
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name])


def test_a_place_within_another_trains_too() -> None:
    model, inputs = built(DLRM), DLRM.rows(200)
    rows = Examples(inputs, ((inputs[0][:, 0] > 0).float(),), torch.zeros(200, dtype=torch.long))
    with attach(model, IAK, ["top.0", "top"], ["a"]) as adapted:
        adapted.build(*inputs)
        adapter = adapted.adapter("a")
        before = {place: fingerprint(kernel.matched) for place, kernel in adapter.items()}
        found = train(adapted, rows, None, replace(CONFIG, epochs=1), loss=_loss)
        for place, kernel in adapter.items():
            assert fingerprint(kernel.matched) != before[place]
    assert found.problem == "the graph does not show top.0"


class Counting(nn.Module):
    """What it gives depends on how often it was called: a trace holds one of the values."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.one, self.two, self.form, self.calls = nn.Linear(4, 6), nn.Linear(6, 1), form, 0

    def forward(self, x: Tensor) -> Any:
        """Logits in a tensor, a mapping or a mapping within a list."""
        self.calls += 1
        logits = self.two(self.one(x)).squeeze(1) * self.calls
        return {"plain": logits, "mapping": {"a": logits}, "nested": [{"a": (logits,)}]}[self.form]


@pytest.mark.parametrize("form", ["plain", "mapping", "nested"])
def test_halves_that_give_something_else_are_not_used(form: str) -> None:
    problem = _problem(Counting(form), (torch.randn(20, 4),), "one")
    assert problem == "the halves do not give what the model gives"


class Boxed(nn.Module):
    """Gives an object that nothing is known of."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Any:
        """A slice with a tensor in it."""
        return slice(self.one(x))


def test_an_output_that_cannot_be_compared_is_not_trusted() -> None:
    problem = _problem(Boxed(), (torch.randn(20, 4),), "one")
    assert problem == "the model's output shows no tensors to compare"


class Weighted(nn.Module):
    """A value made of weights alone crosses the place, with as many rows as it has weights."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(weights, 4))
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows,) from x (rows, 4)."""
        weights = self.weights * 2
        return (self.two(self.one(x)).unsqueeze(1) * weights).sum(dim=(1, 2))


@pytest.mark.parametrize("weights", [5, 64])
def test_weights_are_not_taken_for_rows(weights: int) -> None:
    problem = _problem(Weighted(weights), (torch.randn(64, 4),), "one")
    assert problem == "a value that is not one per row crosses the place"


class Shared(nn.Module):
    """Passes one module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows,) from x (rows, 4)."""
        return self.two(self.one(torch.relu(self.one(x)))).squeeze(1)


def test_a_module_passed_twice_is_adapted_twice() -> None:
    torch.manual_seed(0)
    model, x = Shared(), torch.randn(16, 4)
    with attach(model, IAK, "one", ["a"]) as adapted, torch.no_grad():
        adapted.build(x)
        for parameter in adapted.adapter("a").parameters():
            parameter.add_(0.2)
        kernel = adapted.adapter("a").at("one")
        first = kernel(model.one(x)).h
        expected = model.two(kernel(model.one(torch.relu(first))).h).squeeze(1)
        torch.testing.assert_close(adapted(["a"] * 16, x), expected)
        halves, groups = split(adapted, (x,)), adapted.bank.group(torch.zeros(16).long())
        found = halves.above(
            lambda place, output, args: adapted.bank.apply_at(place, output, args, groups),
            *halves.below(x),
        )
        assert halves.problem is None
        torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.ci
def test_splits_in_threads_neither_fail_nor_change_what_others_compute() -> None:
    """torch.fx traces by patching every module of the process."""

    def problems(seed: int) -> set[str | None]:
        model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        rows = torch.full((8, 6), float(seed))
        with attach(model, IAK, "1", ["a"]) as adapted:
            adapted.build(rows)
            found = {split(adapted, (rows,)).problem for _ in range(20)}
            assert torch.equal(adapted(["a"] * 8, rows), model(rows))
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(problems, range(8))) == [{None}] * 8
