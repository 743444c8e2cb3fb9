"""Training: it follows a planted shift, keeps its best state, repeats to the byte."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from driftune.models.adapters import (
    AdaptedModel,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    IAKConfig,
    IAKKernel,
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    Training,
    TrainReport,
    attach,
    esmm_loss,
    fingerprint,
    train,
)

pytestmark = pytest.mark.trains

IAK = IAKConfig(8, 32)
CONFIG = TrainConfig(epochs=6, batch_size=128, learning_rate=5e-3, patience=3, seed=7)
FILES = ("adapter.safetensors", "card.json")


def _rows(rows: tuple[Tensor, ...], slot: int = 0) -> Examples:
    h, click, convert = rows
    return Examples((h,), (click, convert), torch.full((len(h),), slot))


def _attached(planted: Any, config: KernelConfig = IAK, at: str = "representation") -> AdaptedModel:
    return attach(planted.heads, config, at, ["a"], seed=3)


def _train(adapted: AdaptedModel, planted: Any, **changes: Any) -> TrainReport:
    config = replace(CONFIG, **changes)
    found = train(adapted, _rows(planted.train), _rows(planted.select), config)
    return found.domains["a"]


def _kernel(adapted: AdaptedModel) -> IAKKernel:
    kernel = adapted.adapter("a").at("representation")
    assert isinstance(kernel, IAKKernel)
    return kernel


@torch.no_grad()
def _auc(model: Callable[..., Any], h: Tensor, click: Tensor) -> float:
    return float(roc_auc_score(click, model(h)[0]))


KINDS = [
    (IAK, "representation"),
    (IAKConfig(8, 32, "replace", warm_epochs=1), "representation"),
    (IAKConfig(8, 32, compress_epochs=3), "representation"),
    (IAKConfig(8, 32, anneal_epochs=3), "representation"),
    (LoRAConfig(8), "click.0"),
    (HoulsbyConfig(16), "representation"),
    (CopyConfig(), "click"),
    (CopyConfig(), ""),
]


@pytest.mark.few(4)
@pytest.mark.parametrize(("config", "at"), KINDS)
def test_training_follows_a_planted_shift(planted: Any, config: KernelConfig, at: str) -> None:
    before = fingerprint(planted.heads)
    with _attached(planted, config, at) as adapted:
        report = _train(adapted, planted, epochs=8)
        h, click, _ = planted.test
        zeros = torch.zeros(len(h), dtype=torch.long)
        gained = _auc(lambda x: adapted(zeros, x), h, click) - _auc(planted.heads, h, click)
    assert gained > 0.1
    assert report.best_epoch > 0
    assert min(report.select_loss) < report.select_loss[0] - 0.05
    assert fingerprint(planted.heads) == before
    assert all(parameter.grad is None for parameter in planted.heads.parameters())


def test_same_seed_gives_the_same_bytes(planted: Any, tmp_path: Path) -> None:
    files, losses = [], []
    for number in range(2):
        torch.manual_seed(number)
        with _attached(planted) as adapted:
            losses.append(_train(adapted, planted, epochs=3).select_loss)
            folder = adapted.save("a", tmp_path / str(number), {})
        files.append([(folder / name).read_bytes() for name in FILES])
    assert files[0] == files[1]
    assert losses[0] == losses[1]


def test_another_seed_gives_other_bytes(planted: Any) -> None:
    marks = []
    for seed in (1, 2):
        with _attached(planted) as adapted:
            _train(adapted, planted, epochs=1, seed=seed)
            marks.append(fingerprint(adapted.adapter("a")))
    assert marks[0] != marks[1]


def test_adapter_that_training_only_worsens_stays_as_it_was(planted: Any) -> None:
    h, click, convert = planted.train
    with _attached(planted) as adapted:
        report = train(
            adapted,
            _rows((h, 1 - click, convert)),
            _rows(planted.select),
            replace(CONFIG, epochs=9, patience=2),
        ).domains["a"]
        test, _, _ = planted.test
        assert torch.equal(adapted(["a"] * len(test), test)[0], planted.heads(test)[0])
    assert report.best_epoch == 0
    assert report.epochs_run == 2


def test_diverged_training_falls_back_to_the_best_state(planted: Any) -> None:
    with _attached(planted) as adapted:
        report = _train(adapted, planted, learning_rate=1e30, patience=2)
        assert report.best_epoch == 0
        assert torch.equal(_kernel(adapted)(planted.test[0]).h, planted.test[0])


def test_kept_state_is_that_of_the_best_epoch(planted: Any) -> None:
    with _attached(planted) as adapted:
        report = _train(adapted, planted)
        h, click, convert = planted.select
        with torch.no_grad():
            loss = float(esmm_loss(*adapted(["a"] * len(h), h), click, convert))
    assert report.select_loss[report.best_epoch] == min(report.select_loss)
    assert loss == pytest.approx(min(report.select_loss), abs=1e-6)
    assert len(report.select_loss) == report.epochs_run + 1


@pytest.mark.slow
@pytest.mark.ci
def test_report_tells_the_information_of_each_dimension(planted: Any) -> None:
    bits = {}
    for beta in (0.0, 1.0):
        with _attached(planted, replace(IAK, beta=beta)) as adapted:
            bits[beta] = _train(adapted, planted).kl_bits["representation"]
    assert [len(each) for each in bits.values()] == [8, 8]
    assert sum(bits[1.0]) < 0.5 * sum(bits[0.0])


def test_information_does_not_depend_on_the_prior(planted: Any) -> None:
    """The bits are those of the KL to the prior that is the aggregate posterior."""
    with _attached(planted, replace(IAK, beta=0.0)) as adapted:
        report = _train(adapted, planted)
        kernel, h = _kernel(adapted), planted.select[0]
        with torch.no_grad():
            learned = kernel(h).kl.mean(dim=0)
            kernel.fit_prior(h)
            nats = kernel(h).kl.mean(dim=0)
    bits = torch.tensor(report.kl_bits["representation"])
    torch.testing.assert_close(bits, nats / math.log(2), rtol=1e-3, atol=1e-3)
    assert (nats <= learned + 1e-4).all()
    assert float(learned.sum()) > 1.05 * float(nats.sum())


def test_progress_hears_of_every_epoch(planted: Any) -> None:
    heard: list[tuple[str, int, int]] = []
    with _attached(planted) as adapted:
        train(
            adapted,
            _rows(planted.train),
            None,
            replace(CONFIG, epochs=2),
            progress=lambda *said: heard.append(said),
        )
    assert [said[1:] for said in heard] == [(1, 2), (2, 2)]


def test_without_selection_rows_the_last_state_stays(planted: Any) -> None:
    marks = []
    for epochs in ({"a": 3}, None):
        with _attached(planted) as adapted:
            config = replace(CONFIG, epochs=3 if epochs is None else 9)
            report = train(adapted, _rows(planted.train), None, config, epochs=epochs).domains["a"]
            marks.append(fingerprint(adapted.adapter("a")))
            assert (report.best_epoch, report.epochs_run, report.select_loss) == (3, 3, [])
    assert marks[0] == marks[1]


def _mixed(planted: Any, small: int) -> tuple[Examples, Examples]:
    """Two domains: the planted one, and one whose clicks are turned round, with fewer rows."""
    h, click, convert = planted.train
    other = (h[:small], 1 - click[:small], convert[:small] * 0)
    parts = [(planted.train, 0), (other, 1)]
    select = [(planted.select, 0), (tuple(each[:200] for each in planted.select), 1)]
    both = []
    for several in (parts, select):
        joined = [torch.cat([rows[n] for rows, _ in several]) for n in range(3)]
        slots = torch.cat([torch.full((len(rows[0]),), slot) for rows, slot in several])
        order = torch.randperm(len(slots), generator=torch.Generator().manual_seed(5))
        own = [each[order] for each in joined]
        both.append(Examples((own[0],), (own[1], own[2]), slots[order]))
    return both[0], both[1]


def test_a_domain_s_training_does_not_depend_on_the_others(planted: Any) -> None:
    examples, select = _mixed(planted, 1200)
    config = replace(CONFIG, epochs=2, batch_exponent=0.0)
    with attach(planted.heads, IAK, "representation", ["a", "b"]) as adapted:
        together = train(adapted, examples, select, config)
        states = {name: adapted.adapter(name).state_dict() for name in "ab"}
    for slot, name in enumerate("ab"):
        with attach(planted.heads, IAK, "representation", ["a", "b"]) as adapted:
            keep, keep_select = (each.domains == slot for each in (examples, select))
            alone = train(adapted, _take(examples, keep), _take(select, keep_select), config)
            for key, tensor in adapted.adapter(name).state_dict().items():
                torch.testing.assert_close(tensor, states[name][key], rtol=2e-3, atol=2e-4)
            assert alone.domains[name].select_loss == pytest.approx(
                together.domains[name].select_loss, rel=1e-4
            )


def _take(examples: Examples, mask: Tensor) -> Examples:
    return Examples(
        tuple(each[mask] for each in examples.inputs),
        tuple(each[mask] for each in examples.labels),
        examples.domains[mask],
    )


@pytest.mark.slow
@pytest.mark.ci
def test_smaller_domains_get_smaller_batches_and_stop_on_their_own(planted: Any) -> None:
    examples, select = _mixed(planted, 500)
    with attach(planted.heads, IAK, "representation", ["a", "b"]) as adapted:
        config = replace(CONFIG, min_batch=16, epochs=20, patience=2)
        found = train(adapted, examples, select, config)
    sizes = {name: report.batch_size for name, report in found.domains.items()}
    assert sizes == {"a": 128, "b": 64}
    assert {name: report.rows for name, report in found.domains.items()} == {"a": 2000, "b": 500}
    assert found.domains["b"].best_epoch < found.domains["a"].epochs_run


def test_rows_of_the_base_train_nobody(planted: Any) -> None:
    marks = []
    for extra in (0, 300):
        h, click, convert = planted.train
        rows = Examples(
            (torch.cat([h, h[:extra]]),),
            (torch.cat([click, 1 - click[:extra]]), torch.cat([convert, convert[:extra]])),
            torch.cat([torch.zeros(len(h)), -torch.ones(extra)]).long(),
        )
        with _attached(planted) as adapted:
            train(adapted, rows, _rows(planted.select), replace(CONFIG, epochs=1))
            marks.append(fingerprint(adapted.adapter("a")))
    assert marks[0] == marks[1]


@pytest.mark.parametrize(("config", "at"), [(IAK, "representation"), (LoRAConfig(4), "click.2")])
@pytest.mark.few(1)
def test_what_is_kept_changes_nothing(planted: Any, config: KernelConfig, at: str) -> None:
    runs: list[tuple[Training, str]] = []
    for most in (1 << 30, 1000, 0):
        with _attached(planted, config, at) as adapted:
            found = train(
                adapted,
                _rows(planted.train),
                _rows(planted.select),
                replace(CONFIG, epochs=2, cache_bytes=most),
            )
            runs.append((found, fingerprint(adapted.adapter("a"))))
    assert runs[0][0].kept_bytes > 2000 * 12 * 4
    assert [found.kept_bytes for found, _ in runs[1:]] == [0, 0]
    losses = [found.domains["a"].select_loss for found, _ in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert runs[1][1] == runs[2][1]
    assert all(found.problem is None for found, _ in runs)


@pytest.mark.slow
@pytest.mark.ci
def test_bf16_ends_near_fp32(planted: Any) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        with _attached(planted) as adapted:
            losses.append(min(_train(adapted, planted, precision=precision).select_loss))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.slow
@pytest.mark.ci
def test_fresh_ids_learn_what_the_base_cannot_see(planted: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(3000, 12, generator=generator)
    ids = torch.randint(0, 20, (3000, 1), generator=generator)
    click = (ids.squeeze(1) % 2).float()
    ids[::10] = -1
    rows = Examples((h,), (click, click * 0), torch.zeros(3000, dtype=torch.long), ids)
    losses = {}
    for table in (0, 64):
        with _attached(planted, replace(IAK, fresh_rows=table)) as adapted:
            config = replace(CONFIG, epochs=10, learning_rate=2e-2)
            losses[table] = min(train(adapted, rows, rows, config).domains["a"].select_loss)
            slots = torch.zeros(3000, dtype=torch.long)
            with_ids = adapted(slots, h, fresh=ids)[0]
            assert torch.equal(with_ids[::10], adapted(slots, h)[0][::10]) or table == 0
    assert losses[64] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("side", "reason"),
    [("train", "no training rows"), ("select", "no selection rows of a")],
)
def test_empty_rows_are_refused(planted: Any, side: str, reason: str) -> None:
    rows = {"train": planted.train, "select": planted.select}
    rows[side] = tuple(tensor[:0] for tensor in rows[side])
    with _attached(planted) as adapted, pytest.raises(ValueError, match=reason):
        train(adapted, _rows(rows["train"]), _rows(rows["select"]), CONFIG)


def test_labels_of_another_length_are_refused(planted: Any) -> None:
    h, click, convert = planted.train
    with pytest.raises(ValueError, match="2000 domain ids"):
        _rows((h, click[:-1], convert))


@pytest.mark.parametrize(
    ("field", "value"), [("batch_size", 0), ("patience", 0), ("epochs", -1), ("precision", "fp8")]
)
def test_wrong_settings_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} is {value!r}"):
        replace(CONFIG, **{field: value})


def test_epochs_must_name_every_domain(planted: Any) -> None:
    with (
        _attached(planted) as adapted,
        pytest.raises(ValueError, match="no number of epochs for a"),
    ):
        train(adapted, _rows(planted.train), None, CONFIG, epochs={"b": 1})


def test_batch_norm_statistics_stay(planted: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    model(torch.randn(64, 12))
    before = fingerprint(model)
    with attach(model, IAK, "2", ["a"]) as adapted:
        adapted.train()
        rows = Examples(planted.train[:1], planted.train[1:2], torch.zeros(2000, dtype=torch.long))
        train(adapted, rows, None, CONFIG, loss=_first_logit)
    assert fingerprint(model) == before


def _first_logit(logits: Tensor, labels: Any) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(
        logits.squeeze(1), labels[0], reduction="none"
    )


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_that_stops_leaves_the_others_to_go_on(planted: Any) -> None:
    """The second domain's labels are noise, which its selection rows do not share."""
    h, click, convert = planted.train
    noise = torch.rand(len(h), generator=torch.Generator().manual_seed(3)).round()
    rows = Examples(
        (torch.cat([h, h]),),
        (torch.cat([click, noise]), torch.cat([convert, noise * 0])),
        torch.arange(2).repeat_interleave(len(h)),
    )
    g, click, convert = planted.select
    select = Examples(
        (torch.cat([g, g]),),
        (torch.cat([click, click]), torch.cat([convert, convert])),
        torch.arange(2).repeat_interleave(len(g)),
    )
    config = replace(CONFIG, epochs=8, patience=2)
    marks: list[str] = []
    with attach(planted.heads, IAK, "representation", ["a", "b"]) as adapted:
        found = train(
            adapted,
            rows,
            select,
            config,
            progress=lambda *_: marks.append(fingerprint(adapted.adapter("b").kernels)),
        ).domains
    ran = found["b"].epochs_run
    assert ran == found["b"].best_epoch + 2
    assert ran < found["a"].epochs_run
    assert len(set(marks[:ran])) == ran
    assert set(marks[ran:]) == {marks[ran - 1]}


def test_three_domains_of_any_sizes_train_as_each_alone(planted: Any) -> None:
    h, click, convert = planted.train
    slots = torch.tensor([0] * 1000 + [1] * 1003 + [2] * 1400)
    take = torch.arange(len(slots)) % len(h)
    turned = (slots == 1).float()
    labels = (click[take] - turned).abs(), convert[take] * (1 - turned)
    rows = Examples((h[take],), labels, slots)
    config = replace(CONFIG, epochs=2, batch_size=200, batch_exponent=0.0)
    names = ["a", "b", "c"]
    with attach(planted.heads, IAK, "representation", names) as adapted:
        together = train(adapted, rows, rows, config)
    for slot, name in enumerate(names):
        with attach(planted.heads, IAK, "representation", names) as adapted:
            own = rows.take(slots == slot)
            alone = train(adapted, own, own, config).domains[name]
        assert alone.select_loss == pytest.approx(together.domains[name].select_loss, rel=1e-4)
        assert alone.best_epoch == together.domains[name].best_epoch


def test_unknown_domain_ids_are_refused_with_those_there_are(planted: Any) -> None:
    h, click, convert = planted.train
    rows = Examples((h,), (click, convert), torch.arange(len(h)) % 3)
    with (
        attach(planted.heads, IAK, "representation", ["a", "b"]) as adapted,
        pytest.raises(ValueError, match=r"the domain ids 2; there are: 0 \(a\), 1 \(b\)"),
    ):
        train(adapted, rows, None, CONFIG)


@pytest.mark.parametrize("select", [True, False])
def test_a_loss_that_is_not_one_per_row_is_refused(planted: Any, select: bool) -> None:
    def mean(output: Any, labels: Any) -> Tensor:
        return esmm_loss(*output, *labels)

    with (
        _attached(planted) as adapted,
        pytest.raises(ValueError, match=r"the loss gives \(\) for \d+ rows"),
    ):
        train(
            adapted,
            _rows(planted.train),
            _rows(planted.select) if select else None,
            CONFIG,
            loss=mean,
        )
