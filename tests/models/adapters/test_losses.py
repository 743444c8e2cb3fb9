"""The ESMM loss: two cross-entropies, finite everywhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from driftune.models.adapters import click_rows, esmm_loss, esmm_rows

logits = st.floats(-12, 12)


@given(logits, logits, st.sampled_from([(0, 0), (1, 0), (1, 1)]))
def test_esmm_loss_is_two_cross_entropies(a: float, b: float, labels: tuple[int, int]) -> None:
    a_, b_ = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    click, convert = (torch.tensor([label], dtype=torch.float64) for label in labels)
    p_click = torch.sigmoid(a_)
    expected = functional.binary_cross_entropy(p_click, click)
    expected += functional.binary_cross_entropy(p_click * torch.sigmoid(b_), click * convert)
    torch.testing.assert_close(esmm_loss(a_, b_, click, convert), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [40.0, 200.0, 1e4])
def test_esmm_loss_and_gradient_stay_finite_at_large_logits(size: float) -> None:
    signs = torch.tensor([[a, b] for a in (-1, 1) for b in (-1, 1)], dtype=torch.float32)
    for click, convert in ((0, 0), (1, 0), (1, 1)):
        logit = (signs * size).requires_grad_()
        labels = torch.full((4,), float(click)), torch.full((4,), float(convert))
        loss = esmm_loss(logit[:, 0], logit[:, 1], *labels)
        loss.backward()
        assert bool(loss.isfinite())
        assert bool(logit.grad.isfinite().all())


def test_conversion_without_a_click_counts_as_none() -> None:
    a, b = torch.randn(5), torch.randn(5)
    none = torch.zeros(5)
    assert torch.equal(esmm_loss(a, b, none, torch.ones(5)), esmm_loss(a, b, none, none))


def test_labels_may_be_integers() -> None:
    a, b = torch.randn(4), torch.randn(4)
    click, convert = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])
    expected = esmm_loss(a, b, click.float(), convert.float())
    assert torch.equal(esmm_loss(a, b, click.to(torch.int8), convert.bool()), expected)


def test_rows_average_to_the_loss() -> None:
    a, b = torch.randn(9), torch.randn(9)
    click = (torch.rand(9) < 0.5).float()
    convert = click * (torch.rand(9) < 0.5)
    rows = esmm_rows((a, b), (click, convert))
    assert rows.shape == (9,)
    torch.testing.assert_close(rows.mean(), esmm_loss(a, b, click, convert))


def test_clicks_alone_are_plain_cross_entropy() -> None:
    a, click = torch.randn(9), (torch.rand(9) < 0.5).float()
    expected = functional.binary_cross_entropy_with_logits(a, click, reduction="none")
    torch.testing.assert_close(click_rows(a.unsqueeze(1), (click,)), expected)
