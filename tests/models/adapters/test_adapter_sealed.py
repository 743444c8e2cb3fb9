"""A sealed bank gives what a bank of the same adapters gives, and never changes."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import (
    Adapter,
    AdapterBank,
    HoulsbyConfig,
    IAKConfig,
    IAKKernel,
    SealedBank,
)
from driftune.models.adapters.methods.houlsby import HoulsbyKernel
from tests.on_device import DEVICE, Device, OnDevice

Make = Callable[..., IAKKernel]
PLACE, OTHER = "hidden", "upper"


@pytest.fixture
def adapters(make_kernel: Make) -> dict[str, Adapter]:
    """Adapters of several methods, shapes and places; some have a kernel at one place alone."""
    found = {f"d{n}": Adapter({PLACE: make_kernel(seed=n)}) for n in range(9)}
    found["both"] = Adapter({PLACE: make_kernel(seed=20), OTHER: make_kernel(seed=21)})
    found["wide"] = Adapter({PLACE: IAKKernel(12, IAKConfig(7, 9, "replace")).eval()})
    found["houlsby"] = Adapter({OTHER: HoulsbyKernel(12, HoulsbyConfig(4)).eval()})
    for adapter in found.values():
        adapter.requires_grad_(False)
    return found


def _pass(bank: AdapterBank, h: Tensor, slots: Tensor) -> dict[str, Tensor]:
    groups = bank.group(slots)
    found = {}
    for place in (PLACE, OTHER):
        output = bank.apply_at(place, h, (), groups)
        assert isinstance(output, Tensor)
        found[place] = output
    return found


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[place], other[place]) for place in (PLACE, OTHER))


@pytest.mark.parametrize("rows", [1, 30, 900])
@pytest.mark.parametrize("gradients", [False, True])
def test_it_gives_the_bits_of_a_bank(
    adapters: dict[str, Adapter], rows: int, gradients: bool
) -> None:
    plain, sealed = AdapterBank.from_adapters(adapters), SealedBank(adapters)
    names = [*adapters, "unknown"]
    drawn = torch.randint(0, len(names), (rows,)).tolist()
    slots = plain.slots([names[n] for n in drawn])
    h = torch.randn(rows, 12)
    with torch.set_grad_enabled(gradients):
        wanted, found = _pass(plain, h, slots), _pass(sealed, h, slots)
    assert _same(wanted, found)
    assert rows == 1 or not torch.equal(found[PLACE], h)


def test_it_is_moved_whole(adapters: dict[str, Adapter]) -> None:
    sealed = SealedBank(adapters)
    h, slots = torch.randn(40, 12), sealed.slots([*adapters] * 3 + ["x"] * 4)
    with torch.no_grad(), Device():
        before = _pass(sealed, h, slots)
        sealed.bring(DEVICE)
        # Weights that had stayed behind would be refused here.
        after = _pass(sealed, h.to(DEVICE), slots)
        assert all(isinstance(each, OnDevice) for each in after.values())
        for place, wanted in before.items():
            torch.testing.assert_close(after[place].cpu(), wanted)


def test_it_refuses_changes(adapters: dict[str, Adapter]) -> None:
    sealed = SealedBank(adapters)
    for change in (
        lambda: sealed.load("d0", adapters["d1"]),
        lambda: sealed.put("new", adapters["d1"]),
        lambda: sealed.unload("d0"),
        lambda: sealed.reserve("new"),
    ):
        with pytest.raises(TypeError, match="sealed"):
            change()
    assert sealed.reserve("d0") == int(sealed.slots(["d0"]))
    assert sealed.domains == [*adapters]


def test_widths_must_agree(adapters: dict[str, Adapter]) -> None:
    odd = Adapter({PLACE: IAKKernel(5, IAKConfig(2, 3)).eval()})
    with pytest.raises(ValueError, match="width 5; the bank holds 12"):
        SealedBank({**adapters, "odd": odd})
