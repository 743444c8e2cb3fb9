"""HAMUR and the proximal LoRA: sizes, no effect at the start, what is shared, what pulls."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.hamur import HamurConfig, HamurKernel, count
from benchmarks.matching import parameters_of_one, size_at
from benchmarks.methods import fit, methods
from benchmarks.placed import PULLS, placed
from benchmarks.proximal import ProximalConfig, ProximalKernel, divergence
from benchmarks.settings import (
    FIRST,
    FIRST_LINEAR,
    FIRST_POOLED,
    INPUT,
    PLACES,
    SHARED,
    Setting,
    grid,
)
from driftune.models.adapters import Examples, attach
from driftune.models.esmm import ESMM

DOMAINS = ("home", "search", "feed")
CELLS = HamurConfig(domains=3, rank=3, bottleneck=4, hidden=5)


@pytest.fixture
def backbone() -> ESMM:
    torch.manual_seed(0)
    return ESMM([6, 4], 3, 8, [32, 16]).eval()


def examples(count: int, seed: int, only: int | None = None) -> Examples:
    """Rows whose clicks follow the first number, upwards in one domain, downwards in the next."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.stack([torch.randint(6, (count,), generator=random), torch.arange(count) % 4], 1)
    numbers = torch.randn(count, 3, generator=random)
    domains = torch.arange(count) % 3 if only is None else torch.full((count,), only)
    click = ((numbers[:, 0] > 0) ^ (domains == 1)).float()
    return Examples((ids, numbers), (click, click), domains)


def setting(kernels: HamurConfig | ProximalConfig, at: tuple[str, ...], mode: str) -> Setting:
    (made,) = grid([kernels], at, [1e-2], [mode])
    return replace(made, config=replace(made.config, epochs=3, batch_size=64))


def attached(backbone: ESMM, rows: Examples) -> list[HamurKernel]:
    adapted = attach(backbone, CELLS, (*INPUT, *FIRST), ["pooled"], seed=1)
    adapted.build(*rows.inputs)
    kernels = [kernel for _, kernel in adapted.adapter("pooled").items()]
    assert all(isinstance(each, HamurKernel) for each in kernels)
    return [each for each in kernels if isinstance(each, HamurKernel)]


def test_hamur_has_as_many_parameters_as_it_says(backbone: ESMM) -> None:
    width, rank, inner, hidden = 32, 3, 4, 5
    hyper = (width + 1) * hidden + 2 * hidden + (hidden + 1) * rank**2 + 2 * rank**2
    factors = 2 * width * rank + 2 * rank * inner
    cell = inner + 2 * width
    kernel = HamurKernel(width, CELLS)
    assert kernel.parameters_of_one == hyper + factors + cell
    assert count(kernel) == hyper + factors + 3 * cell
    assert size_at(backbone, FIRST, CELLS) == 2 * kernel.parameters_of_one
    assert size_at(backbone, FIRST, CELLS, of_all=True) == 2 * count(kernel)
    fitted = fit(
        setting(CELLS, FIRST, SHARED), backbone, examples(96, 1), examples(48, 2), DOMAINS, 0
    )
    assert fitted.parameters == 2 * kernel.parameters_of_one
    assert parameters_of_one(fitted.adapted.adapter("pooled")) == fitted.parameters


@pytest.mark.slow
@pytest.mark.ci
def test_every_rival_has_iak_s_size_at_iak_s_places(backbone: ESMM) -> None:
    sizes = {at: size_at(backbone, at, kernel) for kernel, at in PLACES}
    for method in placed(backbone, len(DOMAINS)):
        shares = 3 if method.variant.startswith("best") else 1
        wanted = [sizes[at] * shares for at in sizes for _ in range(2)]
        found = [
            size_at(backbone, each.at, each.kernels, of_all=shares > 1) for each in method.settings
        ]
        assert found == pytest.approx(wanted, rel=0.05), method.name


def test_both_answer_as_the_frozen_model_before_they_are_trained(backbone: ESMM) -> None:
    rows = examples(60, 3)
    plain = backbone(*rows.inputs)
    with attach(backbone, CELLS, (*INPUT, *FIRST), ["pooled"], seed=1) as adapted:
        told = adapted(
            torch.zeros_like(rows.domains), *rows.inputs, fresh=rows.domains.unsqueeze(1)
        )
    assert all(map(torch.equal, told, plain))
    places = (*INPUT, *FIRST_LINEAR)
    with attach(backbone, ProximalConfig(2, 4.0), places, DOMAINS, seed=1) as adapted:
        assert all(map(torch.equal, adapted(rows.domains, *rows.inputs), plain))


@pytest.mark.slow
@pytest.mark.ci
def test_hamur_learns_what_differs_between_domains(backbone: ESMM) -> None:
    made = replace(
        setting(CELLS, INPUT, SHARED),
        config=replace(setting(CELLS, INPUT, SHARED).config, epochs=40),
    )
    fitted = fit(made, backbone, examples(1200, 4), None, DOMAINS, 0, {"pooled": 40})
    rows = examples(600, 5)

    def agreement(told: Tensor) -> Tensor:
        click, _ = fitted.adapted(
            torch.zeros_like(rows.domains), *rows.inputs, fresh=told.unsqueeze(1)
        )
        right = (click > 0) == (rows.labels[0] > 0)
        return torch.stack([right[rows.domains == each].float().mean() for each in range(3)])

    assert (agreement(rows.domains) > 0.8).all()
    assert agreement((rows.domains + 1) % 3).mean() < 0.6


def test_hamur_s_hyper_network_is_shared_and_its_cells_are_not(backbone: ESMM) -> None:
    """Rows of one domain move what all share, and of the cells their own alone."""
    start = attached(backbone, examples(60, 3))
    fitted = fit(
        setting(CELLS, (*INPUT, *FIRST), SHARED),
        ESMM(**backbone.shape),  # type: ignore[arg-type]
        examples(300, 6, only=1),
        None,
        DOMAINS,
        1,
        {"pooled": 3},
    )
    trained = [kernel for _, kernel in fitted.adapted.adapter("pooled").items()]
    assert len(trained) == len(start) == 3
    for kernel, before in zip(trained, start, strict=True):
        assert isinstance(kernel, HamurKernel)
        for name in ("hyper.0.weight", "hyper.3.weight", "down.0", "up.1"):
            assert not torch.equal(kernel.get_parameter(name), before.get_parameter(name)), name
        own, *others = (kernel.cells[number] for number in (1, 0, 2))
        assert own.norm.norm.weight.abs().sum() > 0
        for other in others:
            assert not other.norm.norm.weight.any()
            assert not other.bias.any()
            assert not other.norm.norm.running_mean.any()


def test_a_row_of_no_domain_and_a_batch_of_one_row_are_taken() -> None:
    torch.manual_seed(0)
    kernel = HamurKernel(6, CELLS).train()
    for cell in kernel.cells:
        torch.nn.init.ones_(cell.norm.norm.weight)
    h = torch.randn(3, 6)
    changed = kernel.adapt(h, (), None, torch.tensor([[0], [-1], [-1]])).h
    assert torch.equal(changed[1:], h[1:])
    assert not torch.equal(changed[0], h[0])
    assert kernel.adapt(h[:1], (), None, torch.tensor([[2]])).h.isfinite().all()
    with pytest.raises(ValueError, match="each row's domain as fresh"):
        kernel.adapt(h, ())


def test_the_pull_is_zero_at_the_champion_and_grows_with_the_distance() -> None:
    torch.manual_seed(0)
    kernel = ProximalKernel(6, 6, ProximalConfig(2, 4.0, 2.0))
    h = torch.randn(5, 6)
    assert kernel.adapt(h, ()).kl is None
    kernel.fit_prior(h)
    at_start = kernel.adapt(h, ()).kl
    assert at_start is not None
    assert at_start.shape == (5, 1)
    assert at_start.abs().max() < 1e-6
    move = torch.randn_like(kernel.up.weight)
    found = []
    for size in (0.1, 0.2, 0.4):
        with torch.no_grad():
            kernel.up.weight.copy_(size * move)
        found.append(float(kernel.distance().detach()))
    assert found == sorted(found)
    assert found[0] > 0.001
    # All entries are alike at the start: half of the variance of the moves.
    assert found[0] == pytest.approx(0.5 * 0.01 * float(move.var(correction=0)), rel=0.1)


def test_the_pull_s_gradient_leads_back_to_the_champion() -> None:
    torch.manual_seed(1)
    last = torch.randn(3, 4)
    now = (last + 0.5 * torch.randn(3, 4)).requires_grad_(True)
    before = divergence(now, last)
    before.backward()
    assert now.grad is not None
    assert divergence(now.detach() - now.grad, last) < before


@pytest.mark.slow
@pytest.mark.ci
def test_a_stronger_pull_stays_closer_to_the_champion(backbone: ESMM) -> None:
    distances = []
    for strength in (0.0, *PULLS, 1e4):
        model = ESMM(**backbone.shape)  # type: ignore[arg-type]
        model.load_state_dict(backbone.state_dict())
        made = setting(ProximalConfig(4, 8.0, strength), (*INPUT, *FIRST_LINEAR), FIRST_POOLED)
        one = dict.fromkeys((*DOMAINS, "pooled"), 6)
        fitted = fit(made, model, examples(300, 7), None, DOMAINS, 0, one, one)
        kernels = [kernel for _, kernel in fitted.adapted.adapter("home").items()]
        champions = [kernel for _, kernel in fitted.adapted.adapter("pooled").items()]
        far = 0.0
        for kernel, champion in zip(kernels, champions, strict=True):
            assert isinstance(kernel, ProximalKernel)
            assert isinstance(champion, ProximalKernel)
            assert torch.equal(kernel.last_down, champion.down.weight)
            assert torch.equal(kernel.last_up, champion.up.weight)
            far += float(kernel.distance().detach())
        distances.append(far)
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_a_quick_run_has_the_rivals_with_one_short_setting_each(backbone: ESMM) -> None:
    quick = {each.name: each.settings for each in methods(backbone, 3, quick=True)}
    assert set(quick) == {"lora", "hamur", "lora_proximal", "full_pooled", "iak_pooled"}
    assert {len(settings) for settings in quick.values()} == {1}
    assert all(settings[0].config.epochs == 3 for settings in quick.values())
    assert all(quick[name][0].at == FIRST for name in ("hamur", "iak_pooled"))
