"""Attaching a bank to models that know nothing of it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from driftune.models.adapters import (
    Adapter,
    AdapterBank,
    AdapterFileError,
    AttachError,
    IAKConfig,
    IAKKernel,
    attach,
    fingerprint,
)

Make = Callable[..., IAKKernel]


def _mlp() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("representation", nn.Linear(6, 12))
    model.add_module("norm", nn.BatchNorm1d(12))
    model.add_module("out", nn.Linear(12, 1))
    model(torch.randn(100, 6) * 2 + 1)
    return model


class SmallDLRM(nn.Module):
    """Embeddings and a bottom MLP, pairwise dot products, a top MLP (arXiv 1906.00091)."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in (10, 20))
        self.interaction = nn.Identity()
        self.top = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, numbers: Tensor, *, ids: Tensor) -> dict[str, Tensor]:
        """Logits (rows,) from numbers (rows, 3) and ids (rows, 2)."""
        dense = self.bottom(numbers)
        embedded = [table(column) for table, column in zip(self.tables, ids.T, strict=True)]
        fields = torch.stack([dense, *embedded], dim=1)
        first, second = torch.triu_indices(3, 3, offset=1)
        dots = (fields @ fields.mT)[:, first, second]
        return {"click": self.top(self.interaction(torch.cat([dense, dots], 1))).squeeze(1)}


def _bank(make_kernel: Make, width: int = 12, at: str = "representation") -> AdapterBank:
    kernels = {name: make_kernel(seed=n, width=width) for n, name in enumerate("ab")}
    return AdapterBank.from_adapters({name: Adapter({at: each}) for name, each in kernels.items()})


def test_each_row_of_an_mlp_passes_its_kernel(make_kernel: Make) -> None:
    model, bank = _mlp(), _bank(make_kernel)
    adapted = attach(model, bank, "representation")
    x, slots = torch.randn(9, 6), bank.slots(["a", "b", "z"] * 3)
    hidden = bank.apply_at("representation", model.representation(x), (), bank.group(slots))
    expected = model.out(model.norm(hidden))
    torch.testing.assert_close(adapted(slots, x), expected)
    base = model(x)
    unknown = torch.full((9,), -1)
    assert torch.equal(adapted(unknown, x), base)
    assert not torch.allclose(adapted(slots, x), base)


def test_each_row_of_a_dlrm_passes_its_kernel(make_kernel: Make) -> None:
    torch.manual_seed(0)
    model, bank = SmallDLRM(), _bank(make_kernel, width=7, at="interaction")
    numbers, ids = torch.randn(8, 3), torch.randint(0, 10, (8, 2))
    base = model(numbers, ids=ids)["click"]
    adapted = attach(model, bank, at="interaction")
    slots = bank.slots(["a", "z"] * 4)
    mixed = adapted(slots, numbers, ids=ids)["click"]
    assert torch.equal(mixed[1::2], base[1::2])
    assert bool((mixed[0::2] != base[0::2]).all())


def test_model_stays_frozen_batch_norm_included(make_kernel: Make) -> None:
    model = _mlp()
    before = fingerprint(model)
    adapted = attach(model, _bank(make_kernel), "representation")
    adapted.train()
    for _ in range(3):
        adapted(torch.zeros(50, dtype=torch.long), torch.randn(50, 6) * 5)
    assert fingerprint(model) == before
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())


def test_wrong_place_lists_those_there_are(make_kernel: Make) -> None:
    with pytest.raises(AttachError, match=r"'hidden'.*there are: norm, out, representation$"):
        attach(_mlp(), _bank(make_kernel), at="hidden")
    with pytest.raises(AttachError, match="there are: none"):
        attach(nn.Linear(2, 2), _bank(make_kernel), at="x")


def test_failed_attach_leaves_the_model_as_it_was(make_kernel: Make) -> None:
    model = _mlp()
    with pytest.raises(ValueError, match="no module"):
        attach(model, _bank(make_kernel), at="hidden")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_output_that_does_not_fit_is_refused(make_kernel: Make) -> None:
    x, slots = torch.randn(4, 6), torch.zeros(4, dtype=torch.long)
    with pytest.raises(AttachError, match=r"'out': h is \(4, 1\)"):
        attach(_mlp(), _bank(make_kernel, at="out"), at="out")(slots, x)
    with pytest.raises(AttachError, match="4 rows for 3 domain ids"):
        attach(_mlp(), _bank(make_kernel), "representation")(slots[:3], x)
    recurrent = nn.Sequential(nn.GRU(6, 12))
    with pytest.raises(AttachError, match="'0': it gives a tuple; the kernel takes one tensor"):
        attach(recurrent, _bank(make_kernel, at="0"), at="0")(slots, x)


def test_module_that_forward_does_not_reach_is_an_error(make_kernel: Make) -> None:
    model = SmallDLRM()
    model.spare = nn.Identity()
    adapted = attach(model, _bank(make_kernel, at="spare"), at="spare")
    with pytest.raises(AttachError, match="does not reach 'spare'"):
        adapted(torch.tensor([0]), torch.randn(1, 3), ids=torch.zeros(1, 2, dtype=torch.long))


def test_slots_are_gone_after_a_forward_that_fails(make_kernel: Make) -> None:
    model = _mlp()
    x = torch.randn(4, 6)
    adapted = attach(model, _bank(make_kernel), "representation")
    base = model(x)
    with pytest.raises(RuntimeError):
        adapted(torch.zeros(4, dtype=torch.long), torch.randn(4, 5))
    assert torch.equal(model(x), base)
    adapted(torch.zeros(4, dtype=torch.long), x)
    assert torch.equal(model(x), base)


def test_threads_do_not_see_each_others_slots(make_kernel: Make) -> None:
    bank = _bank(make_kernel)
    meet, wait = threading.Barrier(2), [True]

    class Meeting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if wait[0]:
                meet.wait(timeout=10)
            return x

    model = nn.Sequential()
    model.add_module("meeting", Meeting())
    model.add_module("representation", nn.Identity())
    adapted = attach(model, bank, "representation")
    x = torch.randn(5, 12)
    got: dict[int, Tensor] = {}

    def call(slot: int) -> None:
        got[slot] = adapted(torch.full((5,), slot), x)

    threads = [threading.Thread(target=call, args=(slot,)) for slot in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait[0] = False
    for slot in (0, 1):
        assert torch.equal(got[slot], adapted(torch.full((5,), slot), x))
    assert not torch.equal(got[0], got[1])


def test_detached_model_is_the_base_again(make_kernel: Make) -> None:
    model, x = _mlp(), torch.randn(4, 6)
    adapted = attach(model, _bank(make_kernel), "representation")
    adapted.detach()
    adapted.detach()
    assert not model.representation._forward_hooks
    with pytest.raises(AttachError, match="detached"):
        adapted(torch.zeros(4, dtype=torch.long), x)


def test_fresh_residual_kernels_change_no_output() -> None:
    model, x = _mlp(), torch.randn(4, 6)
    bank = AdapterBank.from_adapters({"a": Adapter({"representation": IAKKernel(12, IAKConfig())})})
    adapted = attach(model, bank, "representation")
    assert torch.equal(adapted(torch.zeros(4, dtype=torch.long), x), model(x))


def test_bank_of_other_places_is_refused(make_kernel: Make) -> None:
    with pytest.raises(AttachError, match="has kernels at representation; attached are norm, out"):
        attach(_mlp(), _bank(make_kernel), at=["norm", "out"])


def test_adapter_of_another_model_is_refused(make_kernel: Make, tmp_path: Path) -> None:
    model, changed = _mlp(), _mlp()
    with attach(model, _bank(make_kernel), "representation") as adapted:
        folder = adapted.save("a", tmp_path / "a", {})
    with torch.no_grad():
        changed.norm.running_mean[0] += 1e-3
    with attach(changed, AdapterBank(), "representation") as adapted:
        with pytest.raises(AdapterFileError, match=r"made for backbone \w{12}, not for this one"):
            adapted.load("a", folder)
        assert adapted.domains == []
        x = torch.randn(4, 6)
        assert torch.equal(adapted(["a"] * 4, x), changed(x))


def test_domain_that_waits_for_its_adapter_can_be_unloaded() -> None:
    model, x = _mlp(), torch.randn(4, 6)
    with attach(model, IAKConfig(3, 5), "representation", ["a", "b"]) as adapted:
        with pytest.raises(AttachError, match="the adapter of a is made by the first call"):
            adapted.adapter("a")
        adapted.unload("a")
        assert torch.equal(adapted(["a", "b"] * 2, x), model(x))
        assert adapted.domains == ["b"]
        with pytest.raises(AttachError, match="a: the bank holds no adapter of it; it holds b"):
            adapted.adapter("a")


def test_adapters_depend_on_seed_and_domain_alone() -> None:
    marks = {}
    for names, seed in ((["a", "b"], 1), (["b", "c", "a"], 1), (["a"], 2)):
        torch.manual_seed(len(names))
        with attach(_mlp(), IAKConfig(3, 5), ["representation", "norm"], names, seed) as adapted:
            before = torch.get_rng_state()
            adapted.build(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
            assert torch.equal(torch.get_rng_state(), before)
            for name in names:
                marks.setdefault((name, seed), set()).add(fingerprint(adapted.adapter(name)))
    assert all(len(found) == 1 for found in marks.values())
    assert len({next(iter(found)) for found in marks.values()}) == len(marks)
