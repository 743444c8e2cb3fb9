"""Domains served by one product: as by their own kernels, whatever the sizes, swaps and changes."""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import (
    Adapter,
    AdapterBank,
    HoulsbyConfig,
    IAKKernel,
    Kernel,
)
from driftune.models.adapters.grouped import ALONE, Piece, lots_of
from driftune.models.adapters.methods.houlsby import HoulsbyKernel
from driftune.models.adapters.packs import Packs

Make = Callable[..., IAKKernel]
PLACE = "hidden"
SIZES = [700, 40, 33, 12, 9, 3, 1, 1, 1]


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


def _bank(kernels: list[Kernel]) -> AdapterBank:
    return AdapterBank.from_adapters(
        {f"d{n}": Adapter({PLACE: kernel}) for n, kernel in enumerate(kernels)}
    )


def _houlsby(seed: int) -> HoulsbyKernel:
    torch.manual_seed(seed)
    kernel = HoulsbyKernel(12, HoulsbyConfig(5)).eval()
    torch.nn.init.normal_(kernel.up.weight)
    torch.nn.init.normal_(kernel.up.bias)
    return kernel


def _mixed() -> Tensor:
    """Slots of a batch: ``SIZES`` rows of each domain and 25 of the base, in any order."""
    slots = torch.cat([torch.full((size,), slot) for slot, size in enumerate(SIZES)])
    slots = torch.cat([slots, torch.full((25,), -1)])
    return slots[torch.randperm(len(slots))]


def _pass(bank: AdapterBank, h: Tensor, slots: Tensor) -> Tensor:
    served = bank.apply_at(PLACE, h, (), bank.group(slots))
    assert isinstance(served, Tensor)
    return served


@pytest.mark.parametrize("shape", [(12,), (3, 12)])
@pytest.mark.parametrize("kind", ["residual", "replace", "houlsby", "all"])
def test_every_domain_gets_what_its_own_kernel_gives(
    make_kernel: Make, kind: str, shape: tuple[int, ...]
) -> None:
    kinds = ["residual", "replace", "houlsby"] if kind == "all" else [kind]
    kernels: list[Kernel] = []
    for number in range(len(SIZES)):
        each = kinds[number % len(kinds)]
        made = _houlsby(number) if each == "houlsby" else make_kernel(seed=number, combine=each)
        kernels.append(made)
    slots = _mixed()
    h = torch.randn(len(slots), *shape)
    before = h.clone()
    mixed = _pass(_bank(kernels), h, slots)
    assert torch.equal(h, before)
    assert torch.equal(mixed[slots < 0], h[slots < 0])
    for slot, kernel in enumerate(kernels):
        own = h[slots == slot].reshape(-1, 12)
        torch.testing.assert_close(mixed[slots == slot].reshape(-1, 12), kernel.serve(own, ()))


def test_gradients_change_no_output(make_kernel: Make) -> None:
    bank = _bank([make_kernel(seed=number) for number in range(len(SIZES))])
    slots = _mixed()
    h = torch.randn(len(slots), 12)
    together = _pass(bank, h, slots)
    with torch.enable_grad():
        torch.testing.assert_close(together, _pass(bank, h, slots))


def test_fresh_ids_reach_kernels_that_use_them(make_kernel: Make) -> None:
    kernels = [make_kernel(seed=n, fresh_rows=4) for n in range(2)] + [make_kernel(seed=2)]
    bank, slots = _bank(kernels), torch.tensor([0, 1, 2] * 4)
    h, fresh = torch.randn(12, 12), torch.arange(12).remainder(5).unsqueeze(1) - 1
    served = bank.apply_at(PLACE, h, (), bank.group(slots), fresh)
    for slot, kernel in enumerate(kernels):
        rows = slots == slot
        torch.testing.assert_close(served[rows], kernel.serve(h[rows], (), fresh[rows]))
    assert not torch.allclose(served, _pass(bank, h, slots))


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_a_change_of_weights_is_served_at_once(
    make_kernel: Make, inference: bool, trained: bool
) -> None:
    with torch.inference_mode(inference), torch.no_grad():
        kernel = make_kernel().requires_grad_(trained)
        bank = AdapterBank()
        bank.put("a", Adapter({PLACE: kernel}))
        h, slots = torch.randn(4, 12), torch.zeros(4, dtype=torch.long)
        for change in (
            lambda: kernel.matched.bias.add_(1.0),
            lambda: setattr(kernel.scale, "data", kernel.scale * 2),
            lambda: kernel.load_state_dict(make_kernel(seed=9).state_dict()),
            lambda: kernel.load_state_dict(make_kernel(seed=8).state_dict(), assign=True),
            lambda: setattr(kernel.matched, "bias", torch.nn.Parameter(torch.ones(12), trained)),
            lambda: setattr(kernel, "matched", make_kernel(seed=7).matched),
        ):
            before = _pass(bank, h, slots)
            change()
            after = _pass(bank, h, slots)
            assert not torch.allclose(after, before)
            torch.testing.assert_close(after, kernel.serve(h, ()))


def test_copies_and_pickles_of_a_bank_serve_alike(make_kernel: Make) -> None:
    bank = _bank([make_kernel(seed=number) for number in range(3)])
    h, slots = torch.randn(9, 12), torch.tensor([0, 1, 2] * 3)
    served = _pass(bank, h, slots)
    for other in (copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        assert torch.equal(_pass(other, h, slots), served)


def test_a_batch_keeps_the_adapters_that_it_was_grouped_with(make_kernel: Make) -> None:
    bank = _bank([make_kernel(seed=0), make_kernel(seed=1)])
    h, slots = torch.randn(8, 12), torch.tensor([0, 1] * 4)
    before, groups = _pass(bank, h, slots), bank.group(slots)
    bank.load("d0", Adapter({PLACE: make_kernel(seed=7)}))
    bank.unload("d1")
    assert torch.equal(bank.apply_at(PLACE, h, (), groups), before)
    after = _pass(bank, h, slots)
    assert torch.equal(after[1::2], h[1::2])
    assert not torch.allclose(after[::2], before[::2])


@pytest.mark.slow
@pytest.mark.ci
def test_what_a_late_batch_packed_goes_with_the_adapter(make_kernel: Make) -> None:
    bank = _bank([make_kernel(seed=number) for number in range(2)])
    h, slots = torch.randn(8, 12), torch.tensor([0, 1] * 4)
    groups, gone = bank.group(slots), weakref.ref(bank.adapter("d1"))
    bank.unload("d1")
    bank.apply_at(PLACE, h, (), groups)
    assert gone() is not None
    del groups
    gc.collect()
    assert gone() is None


def test_kernels_that_pack_nothing_are_asked_once(make_kernel: Make) -> None:
    class Plain(IAKKernel):
        asked = 0

        def packed(self) -> None:
            self.asked += 1

        def modules(self) -> Iterator[torch.nn.Module]:
            raise AssertionError("its tensors are of no interest")

    kernel = Plain(12, make_kernel().config).eval()
    assert Packs().of(PLACE, kernel) is None
    assert kernel.asked == 1


def test_a_swap_under_threads_is_never_seen_by_half(make_kernel: Make) -> None:
    versions = [make_kernel(seed=number) for number in range(2)]
    bank = _bank([make_kernel(seed=number + 5) for number in range(4)])
    h = torch.randn(1, 12).expand(40, 12)
    slots = torch.arange(4).repeat(10)
    allowed = [kernel.serve(h[:1], ()) for kernel in versions]
    bank.load("d2", Adapter({PLACE: versions[0]}))
    odd: list[Tensor] = []
    wrong: list[Exception] = []
    passes = [0, 0]

    def serve(reader: int) -> None:
        try:
            with torch.no_grad():
                for _ in range(150):
                    rows = _pass(bank, h, slots)[slots == 2]
                    if not any(torch.allclose(rows, each.expand_as(rows)) for each in allowed):
                        odd.append(rows)
                    passes[reader] += 1
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=serve, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    number = 0
    while any(reader.is_alive() for reader in readers):
        number += 1
        bank.load("d2", Adapter({PLACE: versions[number % 2]}))
        bank.load("other", Adapter({PLACE: versions[0]}))
        bank.load(f"new {number}", Adapter({PLACE: versions[0]}))
        bank.unload("other")
        if number > 200:
            bank.unload(f"new {number - 200}")
    assert not wrong
    assert passes == [150, 150]
    assert number > 1
    assert not odd


def test_lots_hold_similar_sizes_within_their_room(make_kernel: Make) -> None:
    pack = Packs().of(PLACE, make_kernel())
    assert pack is not None
    sizes = [2 * ALONE, ALONE, 100, 60, 50, 30, 11, 10, 4, 1, 1]
    pieces = [Piece(pack, 0, size) for size in sizes]
    wide = [[piece.rows for piece in lot] for lot in lots_of(pieces, 12, 1 << 30)]
    assert wide == [[1024], [512], [100, 60, 50], [30, 11], [10, 4, 1, 1]]
    room = 2 * (100 * 12 + pack.flat.numel())
    narrow = [[piece.rows for piece in lot] for lot in lots_of(pieces, 12, room)]
    assert [100, 60] in narrow
    assert all(len(lot) * (lot[0] * 12 + pack.flat.numel()) <= room for lot in narrow if lot[1:])
