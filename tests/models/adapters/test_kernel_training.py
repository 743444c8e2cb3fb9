"""Training a kernel: it follows a planted shift, keeps its best state, repeats to the byte."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from driftune.models.adapters import (
    IAKConfig,
    IAKKernel,
    TrainReport,
    esmm_loss,
    fingerprint,
    save_adapter,
    train_kernel,
)

logits = st.floats(-12, 12)


def _fresh(planted: Any, combine: str = "residual", seed: int = 0) -> IAKKernel:
    torch.manual_seed(seed)
    kernel = IAKKernel(planted.train[0].shape[1], IAKConfig(8, 32, combine))
    kernel.fit_scale(planted.train[0])
    return kernel


def _train(kernel: IAKKernel, planted: Any, **changes: Any) -> TrainReport:
    options: dict[str, Any] = {
        "epochs": 6,
        "batch_size": 128,
        "learning_rate": 5e-3,
        "beta": 1e-3,
        "patience": 3,
        "seed": 7,
    }
    heads = changes.pop("heads", planted.heads)
    return train_kernel(kernel, heads, *planted.train, *planted.select, **(options | changes))


@torch.no_grad()
def _auc(heads: nn.Module, h: Tensor, click: Tensor) -> float:
    return float(roc_auc_score(click, heads(h)[0]))


@given(logits, logits, st.sampled_from([(0, 0), (1, 0), (1, 1)]))
def test_esmm_loss_is_two_cross_entropies(a: float, b: float, labels: tuple[int, int]) -> None:
    a_, b_ = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    click, convert = (torch.tensor([label], dtype=torch.float64) for label in labels)
    p_click = torch.sigmoid(a_)
    expected = nn.functional.binary_cross_entropy(p_click, click)
    expected += nn.functional.binary_cross_entropy(p_click * torch.sigmoid(b_), click * convert)
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


@pytest.mark.parametrize("combine", ["residual", "replace"])
def test_training_follows_a_planted_shift(planted: Any, combine: str) -> None:
    kernel = _fresh(planted, combine)
    report = _train(kernel, planted)
    h, click, _ = planted.test
    with torch.no_grad():
        adapted = kernel(h).h
    assert _auc(planted.heads, adapted, click) > _auc(planted.heads, h, click) + 0.1
    assert report.best_epoch > 0
    assert min(report.select_loss) < report.select_loss[0] - 0.1


def test_no_tensor_of_the_frozen_model_changes(planted: Any) -> None:
    before = fingerprint(planted.heads)
    _train(_fresh(planted), planted, epochs=2)
    assert fingerprint(planted.heads) == before


def test_frozen_model_collects_no_gradients(planted: Any) -> None:
    planted.heads.zero_grad(set_to_none=True)
    _train(_fresh(planted), planted, epochs=1)
    assert all(parameter.grad is None for parameter in planted.heads.parameters())


def test_same_seed_gives_the_same_bytes(planted: Any, tmp_path: Path) -> None:
    files, reports = [], []
    for number in range(2):
        kernel = _fresh(planted)
        torch.manual_seed(number)
        reports.append(_train(kernel, planted, epochs=3))
        folder = save_adapter(tmp_path / str(number), kernel, {})
        files.append([(folder / name).read_bytes() for name in ("kernel.safetensors", "card.json")])
    assert files[0] == files[1]
    assert reports[0].select_loss == reports[1].select_loss


def test_another_seed_gives_other_bytes(planted: Any) -> None:
    marks = []
    for seed in (1, 2):
        kernel = _fresh(planted)
        _train(kernel, planted, epochs=1, seed=seed)
        marks.append(fingerprint(kernel))
    assert marks[0] != marks[1]


def test_kernel_that_training_only_worsens_stays_as_it_was(planted: Any) -> None:
    kernel = _fresh(planted)
    before = fingerprint(kernel)
    h, click, convert = planted.train
    report = train_kernel(
        kernel,
        planted.heads,
        h,
        1 - click,
        convert,
        *planted.select,
        epochs=9,
        batch_size=128,
        learning_rate=5e-3,
        beta=1e-3,
        patience=2,
        seed=7,
    )
    assert report.best_epoch == 0
    assert report.epochs_run == 2
    assert fingerprint(kernel) == before


def test_diverged_training_falls_back_to_the_best_state(planted: Any) -> None:
    kernel = _fresh(planted)
    report = _train(kernel, planted, learning_rate=1e30, patience=2)
    assert report.best_epoch == 0
    assert torch.equal(kernel(planted.test[0]).h, planted.test[0])


def test_kept_state_is_that_of_the_best_epoch(planted: Any) -> None:
    kernel = _fresh(planted)
    report = _train(kernel, planted)
    h, click, convert = planted.select
    with torch.no_grad():
        loss = float(esmm_loss(*planted.heads(kernel(h).h), click, convert))
    assert report.select_loss[report.best_epoch] == min(report.select_loss)
    assert loss == pytest.approx(min(report.select_loss), abs=1e-6)
    assert len(report.select_loss) == report.epochs_run + 1
    assert not kernel.training


def test_report_tells_the_information_of_each_dimension(planted: Any) -> None:
    reports = {beta: _train(_fresh(planted), planted, beta=beta) for beta in (0.0, 1.0)}
    assert [len(report.kl_bits) for report in reports.values()] == [8, 8]
    assert sum(reports[1.0].kl_bits) < 0.5 * sum(reports[0.0].kl_bits)
    kernel = _fresh(planted)
    report = _train(kernel, planted, epochs=0)
    with torch.no_grad():
        nats = kernel(planted.select[0]).kl.mean(dim=0)
    torch.testing.assert_close(torch.tensor(report.kl_bits), nats / torch.log(torch.tensor(2.0)))


def test_progress_hears_of_every_epoch(planted: Any) -> None:
    heard: list[tuple[str, int, int]] = []
    _train(_fresh(planted), planted, epochs=2, progress=lambda *said: heard.append(said))
    assert [said[1:] for said in heard] == [(1, 2), (2, 2)]


def test_representations_made_in_inference_mode_are_welcome(planted: Any) -> None:
    with torch.inference_mode():
        h_train, h_select = planted.train[0] * 1, planted.select[0] * 1
    kernel = _fresh(planted)
    kernel.fit_scale(h_train)
    report = train_kernel(
        kernel,
        planted.heads,
        h_train,
        *planted.train[1:],
        h_select,
        *planted.select[1:],
        epochs=1,
        batch_size=500,
        learning_rate=5e-3,
        beta=1e-3,
        patience=1,
        seed=7,
    )
    assert report.epochs_run == 1


@pytest.mark.parametrize(
    ("side", "reason"),
    [("train", "no training rows"), ("select", "no selection rows")],
)
def test_empty_rows_are_refused(planted: Any, side: str, reason: str) -> None:
    rows = {"train": planted.train, "select": planted.select}
    rows[side] = tuple(tensor[:0] for tensor in rows[side])
    with pytest.raises(ValueError, match=reason):
        _fit_on(planted.heads, _fresh(planted), rows)


def test_labels_of_another_length_are_refused(planted: Any) -> None:
    h, click, convert = planted.train
    rows = {"train": (h, click[:-1], convert), "select": planted.select}
    with pytest.raises(ValueError, match="training: 2000 rows"):
        _fit_on(planted.heads, _fresh(planted), rows)


def test_batch_size_below_one_is_refused(planted: Any) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        _train(_fresh(planted), planted, batch_size=0)


def _fit_on(
    heads: Callable[[Tensor], tuple[Tensor, Tensor]],
    kernel: IAKKernel,
    rows: dict[str, tuple[Tensor, ...]],
) -> None:
    train_kernel(
        kernel,
        heads,
        *rows["train"],
        *rows["select"],
        epochs=1,
        batch_size=128,
        learning_rate=1e-3,
        beta=0.0,
        patience=1,
        seed=0,
    )
