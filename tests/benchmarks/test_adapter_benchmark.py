"""The adapter benchmark: fair rivals, choices without test rows, intervals that are right."""

import json
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import adapters, datasets
from benchmarks.adapter_report import Row, report
from benchmarks.intervals import Resamples, percentiles
from benchmarks.matching import matched
from benchmarks.methods import CHOSEN, methods, served_by
from benchmarks.settings import FIRST, FIRST_LINEAR, IAK, POOLED, SHARED, Method
from driftune.models.adapters import HoulsbyConfig, LoRAConfig, attach
from driftune.models.esmm import ESMM
from driftune.training.rows import Rows

DOMAINS = ("home", "search")


class Hidden:
    """Rows that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test rows were asked for {name}")


@pytest.fixture(scope="module")
def backbone() -> ESMM:
    torch.manual_seed(0)
    return ESMM([6, 4], 3, 8, [32, 16]).eval()


def rows(count: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    click = torch.from_numpy(random.integers(2, size=count)).float()
    return Rows(
        ids=torch.from_numpy(
            np.stack([random.integers(6, size=count), random.integers(4, size=count)], 1)
        ),
        numbers=torch.from_numpy(random.normal(size=(count, 3)).astype(np.float32)),
        click=click,
        convert=click * torch.from_numpy(random.integers(2, size=count)).float(),
        user=random.integers(40, size=count),
        domain_key=np.array(DOMAINS)[np.arange(count) % 2],
        time=np.arange(count),
        request=np.arange(count) // 4,
        position=np.arange(count) % 4,
        propensity=np.full(count, 0.25),
    )


def dataset(test: Any) -> Any:
    encoder = SimpleNamespace(fields=["user", "item"], buckets=2)
    served = SimpleNamespace(
        encoder=encoder, adaptation=[rows(120, seed) for seed in range(3)], test=test
    )
    return SimpleNamespace(
        name="made up", split="first", domains=DOMAINS, served=served, renewed=served
    )


def count(backbone: ESMM, config: Any, at: tuple[str, ...]) -> int:
    with attach(backbone, config, at, ["home"]) as adapted:
        part = rows(4, 0)
        adapted.build(part.ids, part.numbers)
        return sum(each.numel() for each in adapted.adapter("home").parameters())


def test_rivals_have_as_many_parameters_and_settings_as_iak(backbone: ESMM) -> None:
    rank, width = matched(backbone)
    wanted = count(backbone, IAK, FIRST)
    assert count(backbone, LoRAConfig(rank), FIRST_LINEAR) == pytest.approx(wanted, rel=0.05)
    assert count(backbone, HoulsbyConfig(width), FIRST) == pytest.approx(wanted, rel=0.05)
    settings = {
        f"{each.name} {each.variant}": len(each.settings)
        for each in methods(backbone, len(DOMAINS), quick=False)
        if "matched" in each.variant or (each.name, each.variant) == CHOSEN
    }
    assert set(settings.values()) == {6}
    assert len(settings) == 7


@pytest.mark.slow
@pytest.mark.ci
def test_a_setting_is_chosen_without_the_test_rows(backbone: ESMM) -> None:
    method = next(
        each for each in methods(backbone, len(DOMAINS), quick=False) if each.name == "lora"
    )
    few = Method(method.name, method.variant, method.settings[:2])
    chosen = adapters._choose(dataset(Hidden()), few, {0: backbone})
    assert chosen in few.settings


def test_a_split_s_days_lie_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, list[list[date]]] = {}

    def prepare(
        name: tuple[str, str], _: Any, days: Sequence[date], cuts: Sequence[int], domains: Any
    ) -> None:
        first, second = cuts
        seen[name[1]] = [[*days[:first]], [*days[first:second]], [*days[second:]]]

    monkeypatch.setattr(datasets, "import_kuairand", lambda *_: None)
    monkeypatch.setattr(datasets, "load_config", lambda *_: None)
    monkeypatch.setattr(datasets, "_prepare", prepare)
    for split in datasets.SPLITS:
        datasets.kuairand(tmp_path, tmp_path, split)
    ends = {split: [(part[0], part[-1]) for part in parts] for split, parts in seen.items()}
    april, may = partial(date, 2022, 4), partial(date, 2022, 5)
    assert ends == {
        "first": [(april(25), may(1)), (may(2), may(5)), (may(6), may(8))],
        "second": [(april(25), april(28)), (april(29), may(2)), (may(3), may(5))],
    }


def test_a_run_of_some_rows_has_just_these(backbone: ESMM) -> None:
    every = methods(backbone, len(DOMAINS), quick=False)
    plan = adapters.Plan(1, 1, torch.device("cpu"), True, False, ["hamur best, place chosen"])
    assert [each.name for each in plan.of(every)] == ["hamur"]
    assert not any(each.ablation for each in plan._replace(rows=None).of(every))
    with pytest.raises(SystemExit, match="no 'hamur large'; there are: heads last layers, lora"):
        plan._replace(rows=["hamur large"]).of(every)


def test_rows_are_told_their_domains_where_one_adapter_serves_all(backbone: ESMM) -> None:
    data = dataset(Hidden())
    part = data.served.adaptation[0]
    told = adapters.examples_of(data, data.served, part)
    told.domains[:3] = -1
    shared = served_by(SHARED, told)
    assert shared.fresh is not None
    assert torch.equal(shared.fresh[:, 0], told.domains)
    assert torch.equal(shared.domains, torch.where(told.domains < 0, -1, 0))
    assert not served_by(POOLED, told).domains.any()
    assert served_by("domain", told) is told


def test_drawn_auc_is_that_of_the_drawn_rows() -> None:
    test, random = rows(300, 1), np.random.default_rng(2)
    scores = random.normal(size=(2, 300)).round(1)
    labels = test.click.numpy()
    resamples = Resamples(test, DOMAINS, 2, 7)
    found = resamples.score(labels, list(scores))
    for seed in range(2):
        for n, domain in enumerate(DOMAINS):
            own = np.flatnonzero(test.domain_key == domain)
            assert found.points[seed, n] == pytest.approx(
                roc_auc_score(labels[own], scores[seed][own])
            )
            for draw in range(7):
                again = np.repeat(own, resamples.counts[resamples.users[own], draw].astype(int))
                expected = roc_auc_score(labels[again], scores[seed][again])
                assert found.draws[seed, draw, n] == pytest.approx(expected)


def test_the_interval_has_the_width_of_the_seeds() -> None:
    """Without noise of the rows the draws have the standard error of the mean over the seeds."""
    resamples = Resamples(rows(40, 3), DOMAINS, 4, 4000)
    seeds = np.array([0.70, 0.72, 0.71, 0.75])
    scored = SimpleNamespace(draws=np.tile(seeds[:, None, None], (1, 4000, 2)))
    drawn = resamples.drawn(scored)
    assert drawn.std() == pytest.approx(seeds.std(ddof=1) / 2, rel=0.05)


def test_an_interval_of_too_many_undefined_draws_is_none() -> None:
    values = np.arange(100.0)
    values[:6] = np.nan
    assert np.isnan(percentiles(values)).all()
    assert np.isfinite(percentiles(values[2:])).all()


def test_the_report_names_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    test, random = rows(200, 4), np.random.default_rng(5)
    found = []
    for name, variant in (("frozen", "base"), CHOSEN, ("scratch", "all")):
        row = Row(name, variant, parameters=10, seconds=[1.0, 2.0])
        row.clicks = [random.random(200) for _ in range(2)]
        row.both = [random.random(200) for _ in range(2)]
        found.append(row)
    records: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    report(dataset(test), found, 1000, records, differences)
    assert [each["method"] for each in records] == ["frozen", "iak_pooled", "scratch"]
    for record in records:
        assert {
            *("dataset", "split", "method", "variant", "combine", "beta", "ctr_auc", "ctcvr_auc"),
            *("ctr_auc_ci95", "ctcvr_auc_ci95", "params_per_domain", "backbone_params"),
            *("seconds", "worst_domain_delta"),
        } <= set(record)
        assert record["ctr_auc_ci95"][0] < record["ctr_auc"] < record["ctr_auc_ci95"][1]
    assert {each["split"] for each in [*records, *differences]} == {"first"}
    assert [each["rival"] for each in differences] == ["frozen", "scratch"]
    assert differences[0]["ctr_auc"] == pytest.approx(records[1]["ctr_auc"] - records[0]["ctr_auc"])
    json.dumps([records, differences], allow_nan=False)
    assert "standard error from the test rows alone" in capsys.readouterr().out
