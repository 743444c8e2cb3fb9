"""The bank: each row by its own domain's kernel, all others bit-equal."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from driftune.models.adapters import Adapter, AdapterBank, IAKConfig, IAKKernel

Make = Callable[..., IAKKernel]
PLACE = "hidden"


def _kernels(make_kernel: Make, count: int, **settings: object) -> dict[str, IAKKernel]:
    return {f"d{number}": make_kernel(seed=number, **settings) for number in range(count)}


def _bank(kernels: dict[str, IAKKernel]) -> AdapterBank:
    return AdapterBank.from_adapters(
        {name: Adapter({PLACE: each}) for name, each in kernels.items()}
    )


def _pass(bank: AdapterBank, h: Tensor, slots: Tensor) -> Tensor:
    return bank.apply_at(PLACE, h, (), bank.group(slots))


def _bits(h: Tensor) -> Tensor:
    return h.contiguous().view(torch.int32)


@pytest.mark.parametrize("combine", ["residual", "replace"])
def test_bank_equals_the_loop_over_domains(make_kernel: Make, combine: str) -> None:
    kernels = _kernels(make_kernel, 5, combine=combine)
    bank = _bank(kernels)
    names = [*kernels, "unknown"]
    domains = [names[n] for n in torch.randint(0, 6, (200,)).tolist()]
    h = torch.randn(200, 12)
    mixed = _pass(bank, h, bank.slots(domains))
    for row, domain in enumerate(domains):
        one = h[row : row + 1]
        expected = kernels[domain](one).h if domain in kernels else one
        torch.testing.assert_close(mixed[row : row + 1], expected)


@given(st.lists(st.integers(-1, 3), max_size=60))
@settings(max_examples=40, deadline=None)
def test_rows_do_not_depend_on_their_neighbours(slots: list[int]) -> None:
    torch.manual_seed(0)
    kernels = [IAKKernel(6, IAKConfig(3, 5, "replace")).eval() for _ in range(4)]
    bank = _bank({str(n): kernel for n, kernel in enumerate(kernels)})
    h = torch.randn(len(slots), 6)
    wanted = torch.tensor(slots, dtype=torch.long)
    mixed = _pass(bank, h, wanted)
    assert torch.equal(_bits(mixed[wanted < 0]), _bits(h[wanted < 0]))
    for slot, kernel in enumerate(kernels):
        torch.testing.assert_close(mixed[wanted == slot], kernel(h[wanted == slot]).h)


def test_unknown_rows_are_bit_equal_even_when_odd(make_kernel: Make) -> None:
    bank = _bank(_kernels(make_kernel, 2))
    h = torch.randn(6, 12)
    h[1, :3] = torch.tensor([-0.0, float("nan"), float("inf")])
    mixed = _pass(bank, h, bank.slots(["d0", "x", "d1", "y", "x", "d0"]))
    unknown = [1, 3, 4]
    assert torch.equal(_bits(mixed[unknown]), _bits(h[unknown]))
    assert not torch.equal(mixed[0], h[0])


def test_h_itself_is_left_alone(make_kernel: Make) -> None:
    bank = _bank(_kernels(make_kernel, 2))
    h = torch.randn(8, 12)
    before = h.clone()
    _pass(bank, h, torch.zeros(8, dtype=torch.long))
    assert torch.equal(h, before)


def test_training_mode_does_not_sample(make_kernel: Make) -> None:
    bank = _bank(_kernels(make_kernel, 2)).train()
    h, slots = torch.randn(8, 12), torch.ones(8, dtype=torch.long)
    assert torch.equal(_pass(bank, h, slots), _pass(bank, h, slots))


def test_empty_bank_returns_h() -> None:
    bank = _bank({})
    h = torch.randn(5, 3)
    slots = bank.slots(["a", "b", "a", "a", "c"])
    assert slots.tolist() == [-1] * 5
    assert _pass(bank, h, slots) is h
    assert bank.domains == []


def test_no_rows_give_no_rows(make_kernel: Make) -> None:
    bank = _bank(_kernels(make_kernel, 2))
    assert _pass(bank, torch.empty(0, 12), bank.slots([])).shape == (0, 12)


def test_loading_and_unloading_leave_the_others_unchanged(make_kernel: Make) -> None:
    kernels = _kernels(make_kernel, 4)
    bank = _bank(kernels)
    others = ["d0", "d1", "d3"]
    h = torch.randn(30, 12)
    held = bank.slots(others * 10)
    before = _pass(bank, h, held)

    def unchanged() -> bool:
        return torch.equal(bank.slots(others * 10), held) and torch.equal(
            _pass(bank, h, held), before
        )

    newer = make_kernel(seed=50)
    bank.load("d2", Adapter({PLACE: newer}))
    assert unchanged()
    torch.testing.assert_close(_pass(bank, h, bank.slots(["d2"] * 30)), newer(h).h)
    stale = bank.slots(["d2"] * 30)
    bank.unload("d2")
    assert unchanged()
    assert bank.domains == others
    assert torch.equal(_pass(bank, h, stale), h)
    added = make_kernel(seed=51)
    bank.load("new", Adapter({PLACE: added}))
    bank.load("newer", Adapter({PLACE: newer}))
    assert unchanged()
    torch.testing.assert_close(_pass(bank, h, bank.slots(["new"] * 30)), added(h).h)
    torch.testing.assert_close(_pass(bank, h, bank.slots(["newer"] * 30)), newer(h).h)


def test_bank_filled_one_by_one_equals_one_made_at_once(make_kernel: Make) -> None:
    kernels = _kernels(make_kernel, 3)
    filled = AdapterBank()
    for domain, kernel in kernels.items():
        filled.load(domain, Adapter({PLACE: kernel}))
    bank = _bank(kernels)
    h, domains = torch.randn(9, 12), [*kernels] * 3
    assert torch.equal(_pass(filled, h, filled.slots(domains)), _pass(bank, h, bank.slots(domains)))


def test_bank_keeps_its_own_copy_of_a_kernel(make_kernel: Make) -> None:
    kernel = make_kernel()
    bank = AdapterBank()
    bank.load("a", Adapter({PLACE: kernel}))
    h, slots = torch.randn(4, 12), torch.zeros(4, dtype=torch.long)
    before = _pass(bank, h, slots)
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter.add_(1)
    assert torch.equal(_pass(bank, h, slots), before)


@pytest.mark.parametrize(
    "other", [{"beta": 0.1}, {"bottleneck": 5}, {"hidden": 9}, {"combine": "replace"}]
)
def test_kernels_of_other_shapes_share_a_bank(make_kernel: Make, other: dict[str, object]) -> None:
    kernels = {"a": make_kernel(), "b": make_kernel(seed=1, **other)}
    bank = _bank(kernels)
    h = torch.randn(6, 12)
    mixed = _pass(bank, h, bank.slots(["a", "b"] * 3))
    torch.testing.assert_close(mixed[1::2], kernels["b"](h[1::2]).h)


def test_kernel_of_another_width_is_refused(make_kernel: Make) -> None:
    bank = _bank({"a": make_kernel()})
    with pytest.raises(ValueError, match=r"^b: kernel at 'hidden' has width 11; the bank holds 12"):
        bank.load("b", Adapter({PLACE: make_kernel(width=11)}))
    assert bank.domains == ["a"]


def test_unloading_an_unknown_domain_is_refused() -> None:
    with pytest.raises(KeyError, match="holds no adapter of it; it holds none"):
        AdapterBank().unload("a")


@pytest.mark.parametrize(
    ("h", "slots", "reason"),
    [
        (torch.zeros(3, 11), torch.zeros(3, dtype=torch.long), "the kernel takes"),
        (torch.zeros(12), torch.zeros(12, dtype=torch.long), "the kernel takes"),
        (torch.zeros(3, 12), torch.zeros(2, dtype=torch.long), "3 rows for 2 domain ids"),
        (torch.zeros(3, 12), torch.zeros(3), "slots are"),
        (torch.zeros(3, 12), torch.tensor([0, 1, 2]), "reach from 0 to 2"),
        (torch.zeros(3, 12), torch.tensor([0, -2, 1]), "reach from -2 to 1"),
    ],
)
def test_misfit_input_is_refused(make_kernel: Make, h: Tensor, slots: Tensor, reason: str) -> None:
    bank = _bank(_kernels(make_kernel, 2))
    with pytest.raises(ValueError, match=reason):
        _pass(bank, h, slots)


def test_gradients_flow_through_the_bank_to_h(make_kernel: Make) -> None:
    bank = _bank(_kernels(make_kernel, 2))
    h = torch.randn(6, 12, requires_grad=True)
    _pass(bank, h, bank.slots(["d0", "x", "d1"] * 2)).sum().backward()
    assert torch.equal(h.grad[1], torch.ones(12))
    assert bool(h.grad.isfinite().all())
