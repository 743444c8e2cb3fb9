"""Choosing β, and the pooled adapter that others start from."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from driftune.models.adapters import (
    AdaptedModel,
    Examples,
    IAKConfig,
    IAKKernel,
    TrainConfig,
    attach,
    choose_beta,
    fingerprint,
    train,
    train_pooled_first,
)
from driftune.models.adapters.choose import fit_prior

IAK = IAKConfig(4, 16)
CONFIG = TrainConfig(epochs=3, batch_size=128, learning_rate=5e-3, seed=7)
NAMES = ["a", "b"]


def _rows(rows: tuple[Tensor, ...]) -> Examples:
    """Rows of two domains; the second has a tenth of them."""
    h, click, convert = rows
    slots = (torch.arange(len(h)) % 10 == 0).long()
    return Examples((h,), (click, convert), slots)


@pytest.mark.slow
@pytest.mark.ci
def test_each_domain_keeps_the_beta_of_its_lowest_loss(planted: Any) -> None:
    train_rows, select = _rows(planted.train), _rows(planted.select)
    betas = (0.0, 1e-2, 10.0)
    alone = {}
    for beta in betas:
        with attach(planted.heads, replace(IAK, beta=beta), "representation", NAMES) as adapted:
            found = train(adapted, train_rows, select, CONFIG)
            marks = {name: fingerprint(adapted.adapter(name)) for name in NAMES}
        alone[beta] = {name: (min(found.domains[name].select_loss), marks[name]) for name in NAMES}
    with attach(planted.heads, IAK, "representation", NAMES) as adapted:
        chosen = choose_beta(adapted, train_rows, select, CONFIG, betas)
        for name in NAMES:
            best = min(betas, key=lambda beta: alone[beta][name][0])
            assert chosen.domains[name].beta == best
            assert fingerprint(adapted.adapter(name)) == alone[best][name][1]
            kernel = adapted.adapter(name).at("representation")
            assert kernel is not None
            assert kernel.config.beta == best


def test_no_beta_is_refused(planted: Any) -> None:
    with (
        attach(planted.heads, IAK, "representation", NAMES) as adapted,
        pytest.raises(ValueError, match="no beta"),
    ):
        choose_beta(adapted, _rows(planted.train), _rows(planted.select), CONFIG, [])


def test_domains_start_as_the_pooled_adapter_with_its_posterior_as_prior(planted: Any) -> None:
    train_rows, select = _rows(planted.train), _rows(planted.select)
    with attach(planted.heads, IAK, "representation") as adapted:
        pooled, own = train_pooled_first(
            adapted,
            train_rows,
            select,
            replace(CONFIG, epochs=0),
            IAK,
            NAMES,
            pooled_config=CONFIG,
        )
        assert list(pooled.domains) == ["pooled"]
        assert pooled.domains["pooled"].rows == 2000
        assert {name: report.epochs_run for name, report in own.domains.items()} == {"a": 0, "b": 0}
        h = planted.test[0]
        expected = adapted(["pooled"] * len(h), h)[0]
        assert not torch.equal(expected, planted.heads(h)[0])
        for name in NAMES:
            assert torch.equal(adapted([name] * len(h), h)[0], expected)
            kernel = adapted.adapter(name).at("representation")
            assert isinstance(kernel, IAKKernel)
            with torch.no_grad():
                posterior = kernel(planted.train[0])
                mean, sigma = _posterior(kernel, planted.train[0])
            spread = (mean.var(dim=0, correction=0) + sigma.square().mean(dim=0)).sqrt()
            found = torch.nn.functional.softplus(kernel.prior_rho)
            torch.testing.assert_close(kernel.prior_mean.detach(), mean.mean(dim=0))
            torch.testing.assert_close(found.detach(), spread, rtol=1e-4, atol=1e-5)
            assert posterior.kl is not None


def _posterior(kernel: IAKKernel, h: Tensor) -> tuple[Tensor, Tensor]:
    x = (h - kernel.center) / kernel.scale
    hidden = torch.relu(kernel.encoder(x))
    return kernel.mean(hidden), torch.nn.functional.softplus(kernel.rho(hidden) - 5.0)


def test_the_aggregate_posterior_is_the_prior_of_the_least_kl(planted: Any) -> None:
    h = planted.train[0]
    with attach(planted.heads, IAK, "representation", ["a"]) as adapted:
        rows = Examples((h,), planted.train[1:], torch.zeros(len(h), dtype=torch.long))
        train(adapted, rows, None, replace(CONFIG, epochs=1))
        fit_prior(adapted, "a", rows)
        kernel = adapted.adapter("a").at("representation")
        assert isinstance(kernel, IAKKernel)
        with torch.no_grad():
            least = kernel(h).kl.mean()
            for parameter in (kernel.prior_mean, kernel.prior_rho):
                for change in (-0.05, 0.05):
                    parameter.add_(change)
                    assert kernel(h).kl.mean() > least
                    parameter.sub_(change)


def _chosen(adapted: AdaptedModel, rows: Examples, select: Examples, **options: Any) -> None:
    choose_beta(adapted, rows, select, CONFIG, [0.0, 10.0], **options)


def _pooled(adapted: AdaptedModel, rows: Examples, select: Examples, **options: Any) -> None:
    train_pooled_first(adapted, rows, select, CONFIG, IAK, NAMES, **options)


@pytest.mark.parametrize("way", [_chosen, _pooled])
@pytest.mark.few(1)
def test_what_was_stopped_in_its_second_part_loses_one_epoch_at_most(
    planted: Any, tmp_path: Path, way: Callable[..., None]
) -> None:
    rows, select = _rows(planted.train), _rows(planted.select)
    calls: list[list[int]] = []

    def note(label: str, done: int, of: int) -> None:
        calls[-1].append(done)
        if len(calls) == 2 and len(calls[-1]) == 5:
            raise KeyboardInterrupt

    marks = []
    for file in (None, tmp_path / "run", tmp_path / "run"):
        calls.append([])
        with attach(planted.heads, IAK, "representation", NAMES) as adapted:
            stops = pytest.raises(KeyboardInterrupt) if len(calls) == 2 else nullcontext()
            with stops:
                way(adapted, rows, select, checkpoint=file, progress=note)
                marks.append(fingerprint(adapted.bank))
    assert calls == [[1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 2], [3]]
    assert marks[0] == marks[1]
    assert list(tmp_path.iterdir()) == []


def test_the_prior_sees_the_fresh_ids_of_every_step() -> None:
    torch.manual_seed(0)
    model, h = nn.Sequential(nn.Linear(4, 6)), torch.randn(40, 3, 4)
    ids = torch.arange(40).remainder(5).unsqueeze(1)
    rows = Examples((h,), (torch.zeros(40),), torch.zeros(40, dtype=torch.long), ids)
    with attach(model, replace(IAK, fresh_rows=8), "0", ["a"]) as adapted, torch.no_grad():
        adapted.build(h)
        kernel = adapted.adapter("a").at("0")
        assert isinstance(kernel, IAKKernel)
        kernel.fresh.weight.copy_(torch.randn(8, 8))
        fit_prior(adapted, "a", rows)
        x = (model(h) - kernel.center) / kernel.scale
        own = kernel.fresh_in(kernel.fresh.weight[ids.squeeze(1)]).unsqueeze(1)
        hidden = torch.relu(kernel.encoder(x) + own).flatten(0, 1)
        mean = kernel.mean(hidden)
        sigma = torch.nn.functional.softplus(kernel.rho(hidden) - 5.0)
    spread = (mean.var(dim=0, correction=0) + sigma.square().mean(dim=0)).sqrt()
    torch.testing.assert_close(kernel.prior_mean.detach(), mean.mean(dim=0))
    found = torch.nn.functional.softplus(kernel.prior_rho.detach())
    torch.testing.assert_close(found, spread, rtol=1e-4, atol=1e-5)
