"""Mistakes that are easily made: one line that says what to do instead."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from driftune.models.adapters import (
    AdapterBank,
    AttachError,
    Examples,
    IAKConfig,
    TrainConfig,
    attach,
    train,
    train_pooled_first,
)

IAK = IAKConfig(2, 4)
SLOTS = torch.zeros(8, dtype=torch.long)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))


def test_one_name_for_a_list_of_them() -> None:
    with pytest.raises(AttachError, match=r"give a list: \['north'\]"):
        attach(_model(), IAK, "1", domains="north")


def test_domains_beside_a_bank() -> None:
    with pytest.raises(AttachError, match="beside a bank, which has its own"):
        attach(_model(), AdapterBank(), "1", domains=["north"])


def test_an_adapter_that_is_not_made_yet(tmp_path: Path) -> None:
    with attach(_model(), IAK, "1", ["a"]) as adapted:
        with pytest.raises(AttachError, match=r"made by the first call; call build\("):
            adapted.save("a", tmp_path / "a", {})
        adapted.build(torch.randn(2, 4))
        assert adapted.save("a", tmp_path / "a", {}).exists()


def test_tensors_without_a_tuple() -> None:
    with pytest.raises(ValueError, match=r"inputs is a Tensor; give a tuple: \(inputs,\)"):
        Examples(torch.randn(8, 4), (torch.ones(8),), SLOTS)
    with pytest.raises(ValueError, match=r"labels is a Tensor; give a tuple: \(labels,\)"):
        Examples((torch.randn(8, 4),), torch.ones(8), SLOTS)


def test_inputs_that_are_no_tensors() -> None:
    with pytest.raises(ValueError, match=r"inputs\[0\] is a dict; .*wrap a model"):
        Examples(({"x": torch.randn(8, 4)},), (torch.ones(8),), SLOTS)


def test_one_logit_and_the_loss_of_two() -> None:
    rows = Examples((torch.randn(8, 4),), (torch.ones(8), torch.ones(8)), SLOTS)
    with (
        attach(_model(), IAK, "1", ["a"]) as adapted,
        pytest.raises(ValueError, match="for one logit pass loss=click_rows"),
    ):
        train(adapted, rows, None, TrainConfig(epochs=1))


def test_a_copy_of_an_adapted_model() -> None:
    with (
        attach(_model(), IAK, "1", ["a"]) as adapted,
        pytest.raises(TypeError, match="copy the model and attach to the copy"),
    ):
        copy.deepcopy(adapted)


def test_a_domain_with_the_name_of_the_pooled_adapter() -> None:
    rows = Examples((torch.randn(8, 4),), (torch.ones(8),), SLOTS)
    with (
        attach(_model(), IAK, "1") as adapted,
        pytest.raises(ValueError, match="a domain is called 'pooled'"),
    ):
        train_pooled_first(adapted, rows, None, TrainConfig(), IAK, ["a", "pooled"])


def test_a_model_in_another_precision() -> None:
    with (
        attach(_model().double(), IAK, "1", ["a"]) as adapted,
        pytest.raises(AttachError, match=r"'1': it gives torch.float64; .* use model.float\(\)"),
    ):
        adapted.build(torch.randn(2, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", -1.0), ("weight_decay", float("nan")), ("epochs", -1)]
)
def test_settings_of_a_training_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is {value}; it must be"):
        TrainConfig(**{name: value})


class Named(nn.Module):
    """A model whose argument has the name of one of ``forward``'s."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, domains: torch.Tensor) -> torch.Tensor:
        """Logits (rows, 1)."""
        return self.layer(domains)


def test_a_model_may_name_its_arguments_as_it_likes() -> None:
    x = torch.randn(8, 4)
    with attach(Named(), IAK, "layer", ["a"]) as adapted:
        assert adapted(["a"] * 8, domains=x).shape == (8, 1)
