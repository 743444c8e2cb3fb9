"""IAK's rivals: the change that each of them makes, and what each refuses."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from driftune.models.adapters import (
    AttachError,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    attach,
    fingerprint,
    train,
)
from driftune.models.adapters.methods.copies import CopyKernel
from driftune.models.adapters.methods.houlsby import HoulsbyKernel
from driftune.models.adapters.methods.lora import LoRAKernel
from driftune.models.adapters.methods.method import Site
from driftune.models.adapters.methods.registry import make_kernel
from tests.models.adapters.shapes import SHAPES, DeepFM, Sequence, built

pytestmark = pytest.mark.trains


def _drawn(kernel: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return kernel


def _values(output: Any) -> list[Tensor]:
    if isinstance(output, dict):
        return list(output.values())
    return list(output) if isinstance(output, tuple) else [output]


def test_lora_is_a_low_rank_update_of_the_weight() -> None:
    layer, kernel = nn.Linear(5, 3), _drawn(LoRAKernel(5, 3, LoRAConfig(2, alpha=6.0)))
    x = torch.randn(9, 5)
    merged = layer.weight + 6.0 / 2 * kernel.up.weight @ kernel.down.weight
    expected = functional.linear(x, merged, layer.bias)
    torch.testing.assert_close(kernel.serve(layer(x), (x,)), expected)


@pytest.mark.parametrize("inputs", [(), (torch.zeros(2, 4),), (torch.zeros(2, 5),) * 2])
def test_lora_refuses_other_inputs(inputs: tuple[Tensor, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes the layer's inputs \(rows, 5\)"):
        LoRAKernel(5, 3, LoRAConfig()).adapt(torch.zeros(2, 3), inputs)


def test_lora_changes_every_step_of_a_sequence() -> None:
    model, x = nn.Sequential(nn.Linear(4, 5)), torch.randn(6, 3, 4)
    with attach(model, LoRAConfig(2), "0", ["a"]) as adapted, torch.no_grad():
        assert torch.equal(adapted(["a"] * 6, x), model(x))
        _drawn(adapted.adapter("a"))
        changed = adapted(["a"] * 6, x)
        by_step = [adapted(["a"] * 6, x[:, step]) for step in range(3)]
    torch.testing.assert_close(changed, torch.stack(by_step, dim=1))


def test_lora_needs_numbers_not_ids() -> None:
    with (
        attach(built(Sequence), LoRAConfig(2), "embed", ["a"]) as adapted,
        pytest.raises(AttachError, match="'embed': LoRA needs a layer with one input"),
    ):
        adapted(["a"] * 4, *Sequence.rows(4))


def test_houlsby_is_a_bottleneck_beside_the_identity() -> None:
    kernel, h = _drawn(HoulsbyKernel(4, HoulsbyConfig(3))), torch.randn(6, 4)
    inner = torch.relu(h @ kernel.down.weight.T + kernel.down.bias)
    expected = h + inner @ kernel.up.weight.T + kernel.up.bias
    torch.testing.assert_close(kernel.serve(h, ()), expected)
    with pytest.raises(ValueError, match=r"h is \(6, 3\); the kernel takes \(rows, 4\)"):
        kernel.serve(h[:, :3], ())


def test_a_copy_is_the_domain_s_own() -> None:
    module, x = nn.Linear(3, 2), torch.randn(4, 3)
    module.requires_grad_(False)
    before, output = fingerprint(module), module(x)
    kernel = CopyKernel(module, CopyConfig())
    assert torch.equal(kernel.serve(output, (x,)), output)
    assert all(parameter.requires_grad for parameter in kernel.parameters())
    _drawn(kernel)
    assert fingerprint(module) == before
    assert not torch.equal(kernel.serve(output, (x,)), output)


def test_a_copy_s_dropout_and_statistics_stay_as_they_are() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    kernel, x = CopyKernel(module, CopyConfig()).train(), torch.randn(50, 3) * 5
    assert torch.equal(kernel.adapt(module(x), (x,)).h, module(x))
    assert torch.equal(kernel.module[0].running_mean, torch.zeros(3))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_of_the_whole_model_starts_as_the_base(shape: Any) -> None:
    model, inputs = built(shape), shape.rows(9)
    base = model(*inputs)
    alone = model(*(each[2::3] for each in inputs))
    with attach(model, CopyConfig(), "", ["a", "b"]) as adapted:
        found = adapted(["a", "b", "x"] * 3, *inputs)
    for one, other, own in zip(_values(found), _values(base), _values(alone), strict=True):
        torch.testing.assert_close(one, other)
        # To the last bit, but for the size of the batch, which chooses the kernel.
        assert torch.equal(one[2::3], other[2::3]) or torch.equal(one[2::3], own)


def test_a_copy_of_the_whole_model_trains_its_own_domain_alone() -> None:
    model, inputs = built(DeepFM), DeepFM.rows(300)
    before = fingerprint(model)
    labels = (inputs[0][:, 0] > 15).float()
    rows = Examples(inputs, (labels,), torch.zeros(300, dtype=torch.long))
    options = TrainConfig(epochs=4, batch_size=64, learning_rate=1e-2)
    with attach(model, CopyConfig(), "", ["a", "b"]) as adapted:
        found = train(adapted, rows, rows, options, loss=_click_loss)
        base = model(*inputs)["click"]
        assert not torch.equal(adapted(["a"] * 300, *inputs)["click"], base)
        assert torch.equal(adapted(["b"] * 300, *inputs)["click"], base)
    report = found.domains["a"]
    assert min(report.select_loss) < report.select_loss[0] - 0.1
    assert fingerprint(model) == before


def _click_loss(output: Any, labels: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(output["click"], labels[0], reduction="none")


class Pair(NamedTuple):
    """A named output."""

    click: Tensor
    convert: Tensor


class Named(nn.Module):
    """Gives a named tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Pair:
        """Two logits (rows,) from x (rows, 4)."""
        return Pair(*self.out(x).unbind(dim=1))


def test_named_outputs_keep_their_names() -> None:
    torch.manual_seed(0)
    model, x = Named(), torch.randn(40, 4)
    rows = Examples((x,), ((x[:, 0] > 0).float(),), torch.arange(40) % 2)

    def loss(output: Pair, labels: Any) -> Tensor:
        return functional.softplus((1 - 2 * labels[0]) * output.click)

    with attach(model, CopyConfig(), "", ["a", "b"]) as adapted:
        train(adapted, rows, None, TrainConfig(epochs=1, batch_size=8), loss=loss)
        assert isinstance(adapted(["a", "b"] * 20, x), Pair)


class Difference(nn.Module):
    """Two arguments whose order counts, and a setting."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor, gain: float = 1.0) -> Tensor:
        """``gain`` · linear(x) − y, (rows, 4)."""
        return gain * self.linear(x) - y


class Caller(nn.Module):
    """Calls an inner module by keywords, in another order than its own."""

    def __init__(self, gain: float | None) -> None:
        super().__init__()
        self.inner, self.out, self.gain = Difference(), nn.Linear(4, 1), gain

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits (rows,) from x and y (rows, 4)."""
        more = {} if self.gain is None else {"gain": self.gain}
        return self.out(self.inner(y=y, x=x, **more)).squeeze(1)


def test_a_copy_gets_keywords_in_the_order_of_its_own() -> None:
    torch.manual_seed(0)
    model, inputs = Caller(None), (torch.randn(30, 4), torch.randn(30, 4))
    rows = Examples(inputs, ((inputs[0][:, 0] > 0).float(),), torch.zeros(30, dtype=torch.long))
    with attach(model, CopyConfig(), "inner", ["a"]) as adapted:
        assert torch.equal(adapted(["a"] * 30, *inputs), model(*inputs))
        options = TrainConfig(epochs=2, batch_size=8, learning_rate=1e-2)
        found = train(adapted, rows, rows, options, loss=_plain_loss)
    losses = found.domains["a"].select_loss
    assert losses[0] == pytest.approx(float(_plain_loss(model(*inputs), rows.labels).mean()))
    assert losses[-1] < losses[0]


def _plain_loss(logits: Tensor, labels: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels[0], reduction="none")


def test_a_copy_that_would_lose_a_setting_is_refused() -> None:
    model, inputs = Caller(3.0), (torch.randn(5, 4), torch.randn(5, 4))
    with (
        attach(model, CopyConfig(), "inner", ["a"]) as adapted,
        pytest.raises(AttachError, match="'inner': a copy needs a module that takes tensors"),
    ):
        adapted(["a"] * 5, *inputs)


class Other(KernelConfig):
    """Settings of no kernel."""

    kind = "other"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LoRAConfig(), "LoRA needs a layer"),
        (CopyConfig(), "a copy needs the module"),
        (Other(), "no kernel for Other"),
    ],
)
def test_kernels_that_cannot_be_made_are_refused(config: KernelConfig, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make_kernel(config, Site(4))
