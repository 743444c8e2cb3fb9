"""Adapters on recommenders that they were not written for."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from driftune.models.adapters import (
    AdaptedModel,
    AttachError,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    IAKConfig,
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    attach,
    fingerprint,
    train,
)
from driftune.models.adapters.split import split
from tests.models.adapters.shapes import (
    DLRM,
    SHAPES,
    Branching,
    DeepFM,
    InPlace,
    Sequence,
    built,
)

IAK = IAKConfig(4, 8)
NAMES = ["a", "b"]


def _logits(output: Any) -> Tensor:
    return output["click"] if isinstance(output, dict) else output


def _loss(output: Any, labels: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(_logits(output), labels[0], reduction="none")


def _moved(model: nn.Module, inputs: tuple[Tensor, ...], at: Any) -> AdaptedModel:
    """Adapters of two domains with weights that change the output."""
    adapted = attach(model, IAK, at, NAMES)
    adapted.build(*inputs)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in NAMES:
            for parameter in adapted.adapter(name).parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return adapted


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mixed_batch_equals_the_loop_and_unknown_rows_the_base(shape: Any) -> None:
    model, inputs = built(shape), shape.rows(24)
    base = _logits(model(*inputs))
    with _moved(model, inputs, shape.places) as adapted, torch.no_grad():
        domains = ["a", "b", "unknown"] * 8
        mixed = _logits(adapted(domains, *inputs))
        for n, name in enumerate([*NAMES, "unknown"]):
            rows = slice(n, None, 3)
            alone = _logits(adapted([name] * 8, *(each[rows] for each in inputs)))
            torch.testing.assert_close(mixed[rows], alone, rtol=1e-4, atol=1e-5)
            assert torch.equal(mixed[rows], base[rows]) is (name == "unknown")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("config", [IAK, HoulsbyConfig(4)])
@pytest.mark.few(2)
def test_training_lowers_the_loss_and_leaves_the_model(shape: Any, config: KernelConfig) -> None:
    model = built(shape)
    inputs = shape.rows(600)
    with torch.no_grad():
        base = _logits(model(*inputs))
    before = fingerprint(model)
    labels = ((base < base.median()).float(),)
    rows = Examples(inputs, labels, torch.arange(600) % 2)
    with attach(model, config, shape.places, NAMES) as adapted:
        options = TrainConfig(epochs=8, batch_size=64, learning_rate=2e-2)
        found = train(adapted, rows, rows, options, loss=_loss)
    for report in found.domains.values():
        assert min(report.select_loss) < report.select_loss[0] - 0.02
    assert fingerprint(model) == before
    assert (found.problem is None) is (shape is not Branching)


@pytest.mark.parametrize("shape", [DLRM, DeepFM, Sequence])
def test_halves_give_what_the_model_gives(shape: Any) -> None:
    model, inputs = built(shape), shape.rows(16)
    with _moved(model, inputs, shape.places) as adapted, torch.no_grad():
        halves = split(adapted, inputs)
        assert halves.problem is None
        ids = torch.arange(16) % 2
        groups = adapted.bank.group(ids)

        def serve(place: str, output: Any, args: tuple[Tensor, ...]) -> Any:
            return adapted.bank.apply_at(place, output, args, groups)

        halved = _logits(halves.above(serve, *halves.below(*inputs)))
        torch.testing.assert_close(halved, _logits(adapted(ids, *inputs)))


def test_what_lies_below_is_one_tensor_at_one_place() -> None:
    model, inputs = built(DLRM), DLRM.rows(16)
    with attach(model, IAK, "top.1", NAMES) as adapted:
        adapted.build(*inputs)
        kept = split(adapted, inputs).below(*inputs)
    assert [each.shape for each in kept] == [(16, 8)]


def test_a_model_that_cannot_be_traced_is_run_whole() -> None:
    model, inputs = built(Branching), Branching.rows(16)
    with attach(model, IAK, "one", NAMES) as adapted:
        adapted.build(*inputs)
        halves = split(adapted, inputs)
        assert halves.problem is not None
        assert torch.equal(halves.below(*inputs)[0], inputs[0])


@pytest.mark.parametrize("shape", [DLRM, DeepFM, Sequence])
@pytest.mark.parametrize(
    ("config", "at"),
    [
        (IAK, None),
        (HoulsbyConfig(3), None),
        (LoRAConfig(2), {"DLRM": "top.0", "DeepFM": "deep.0", "Sequence": "tower.0"}),
        (CopyConfig(), {"DLRM": "top", "DeepFM": "deep", "Sequence": "tower"}),
    ],
)
def test_every_kind_starts_as_the_base(shape: Any, config: KernelConfig, at: Any) -> None:
    model, inputs = built(shape), shape.rows(12)
    base = _logits(model(*inputs))
    with attach(
        model, config, shape.places if at is None else at[shape.__name__], NAMES
    ) as adapted:
        assert torch.equal(_logits(adapted(["a"] * 12, *inputs)), base)


def test_errors_list_what_there_is() -> None:
    model, inputs = built(DLRM), DLRM.rows(4)
    with pytest.raises(AttachError, match=r"no module 'top\.9'.*there are: bottom, bottom\.0"):
        attach(model, IAK, ["top.1", "top.9"], NAMES)
    with attach(model, IAK, "top.1", NAMES) as adapted:
        adapted.build(*inputs)
        with pytest.raises(AttachError, match="no adapter for x, y; there are: a, b"):
            adapted.slots(["a", "y", "x"], unknown="error")
        for refused in (adapted.adapter, adapted.unload):
            with pytest.raises(
                AttachError, match="x: the bank holds no adapter of it; it holds a, b"
            ):
                refused("x")
    with (
        attach(model, LoRAConfig(2), "tables.0", NAMES) as adapted,
        pytest.raises(AttachError, match=r"'tables\.0': LoRA needs a layer with one input"),
    ):
        adapted.build(*inputs)


def test_domains_come_and_go_without_touching_the_others() -> None:
    model, inputs = built(DeepFM), DeepFM.rows(6)
    with _moved(model, inputs, DeepFM.places) as adapted:
        before = _logits(adapted(["b"] * 6, *inputs))
        adapted.unload("a")
        base = _logits(model(*inputs))
        assert torch.equal(_logits(adapted(["a"] * 6, *inputs)), base)
        adapted.start_from("b", "new")
        assert torch.equal(_logits(adapted(["new"] * 6, *inputs)), before)
        adapted.add("later", IAK, seed=1)
        assert torch.equal(_logits(adapted(["later"] * 6, *inputs)), base)
        assert torch.equal(_logits(adapted(["b"] * 6, *inputs)), before)
        assert sorted(adapted.domains) == ["b", "later", "new"]


@pytest.mark.parametrize("shape", [DLRM, DeepFM, Sequence])
@pytest.mark.few(1)
def test_bf16_at_several_places_ends_near_fp32(shape: Any) -> None:
    model, inputs = built(shape), shape.rows(400)
    with torch.no_grad():
        base = _logits(model(*inputs))
    rows = Examples(inputs, ((base < base.median()).float(),), torch.arange(400) % 2)
    losses = []
    for precision in ("fp32", "bf16"):
        with attach(model, IAK, shape.places, NAMES, seed=1) as adapted:
            options = TrainConfig(3, 3, 64, learning_rate=1e-2, precision=precision)
            found = train(adapted, rows, rows, options, loss=_loss)
            losses.append([min(each.select_loss) for each in found.domains.values()])
            assert all(each.dtype != torch.bfloat16 for each in adapted.bank.state_dict().values())
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_fresh_ids_reach_every_step_of_a_sequence() -> None:
    model, inputs = built(Sequence), Sequence.rows(6)
    ids = torch.tensor([[1], [-1], [2]] * 2)
    with attach(model, IAKConfig(4, 8, fresh_rows=4), "embed", ["a"]) as adapted, torch.no_grad():
        adapted.build(*inputs)
        for parameter in adapted.adapter("a").parameters():
            parameter.add_(torch.randn(parameter.shape))
        steps = model.embed(torch.cat(inputs, dim=1))
        found = adapted.bank.apply_at(
            "embed", steps, (), adapted.bank.group(torch.zeros(6).long()), ids
        )
        kernel = adapted.adapter("a").at("embed")
        assert kernel is not None
        for step in range(steps.shape[1]):
            torch.testing.assert_close(found[:, step], kernel.serve(steps[:, step], (), ids))
        plain = adapted(["a"] * 6, *inputs)
        changed = adapted(["a"] * 6, *inputs, fresh=ids) != plain
    assert changed.tolist() == [True, False, True] * 2


def test_what_is_observed_is_not_what_the_next_module_made_of_it() -> None:
    model = built(InPlace)
    (x,) = InPlace.rows(50)
    with attach(model, CopyConfig(), "layers.0", ["a"]) as adapted, torch.no_grad():
        seen = adapted.observe(x)["layers.0"]
        torch.testing.assert_close(seen, model.layers[0](x))
        assert bool((seen < 0).any())
        torch.testing.assert_close(adapted(["a"] * 50, x), model(x))
