"""A fine-tuning method of one's own: trained, saved, loaded, banked and attached as any other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Generator, Tensor, nn

from driftune.models.adapters import (
    Adapted,
    AdapterBank,
    AdapterFileError,
    Examples,
    IAKConfig,
    Kernel,
    KernelConfig,
    Method,
    Phase,
    Schedule,
    Site,
    TrainConfig,
    attach,
    choose_beta,
    fingerprint,
    load_adapter,
    register,
    train,
    train_pooled_first,
)
from driftune.models.adapters.methods import registry

PLACE = "representation"
TRAINING = TrainConfig(epochs=4, batch_size=64, learning_rate=2e-2, seed=3)


@dataclass(frozen=True)
class GainConfig(KernelConfig):
    """Settings of a gain for each column, pulled to 1 by ``beta``, after ``rest`` idle epochs."""

    kind: ClassVar[str] = "gain"

    beta: float = 1e-3
    rest: int = 1

    def with_beta(self, beta: float) -> "GainConfig":
        """See ``KernelConfig.with_beta``."""
        return replace(self, beta=beta)


class GainKernel(Kernel):
    """h · gain."""

    scale: Tensor
    config: GainConfig

    def __init__(self, width: int, config: GainConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.gain = nn.Parameter(torch.ones(width))
        self.register_buffer("scale", torch.zeros(width))

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``."""
        away = (self.gain - 1).square().expand_as(output)
        return Adapted(output * self.gain, kl=away)

    @property
    def needs_scale(self) -> bool:
        """See ``Kernel.needs_scale``."""
        return not bool(self.scale.any())

    def fit_scale(self, h: Tensor) -> None:
        """See ``Kernel.fit_scale``."""
        self.scale.copy_(h.std(dim=0))

    def take_scale(self, other: "GainKernel") -> None:
        """See ``Kernel.take_scale``."""
        self.scale.copy_(other.scale)

    def warm_up(self, h: Tensor, adapted: Adapted) -> Tensor:
        """See ``Kernel.warm_up``."""
        return (adapted.h - h).square().mean()


class GainSchedule(Schedule):
    """Warms up, then trains."""

    def __init__(self, config: GainConfig) -> None:
        self.beta, self.settled = config.beta, config.rest

    def start(self, epoch: int) -> Phase:
        """See ``Schedule.start``."""
        return Phase(epoch <= self.settled, self.beta or 0.0)


class Gain(Method[GainConfig, GainKernel]):
    """Gains of columns."""

    config, kernel = GainConfig, GainKernel

    def make(self, config: GainConfig, site: Site) -> GainKernel:
        """See ``Method.make``."""
        return GainKernel(site.width, config)

    def schedule(self, kernels: Sequence[GainKernel]) -> GainSchedule:
        """See ``Method.schedule``."""
        return GainSchedule(kernels[0].config)


class Model(nn.Module):
    """A logit from numbers (rows, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.representation, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two logits (rows,) from x (rows, 6)."""
        click, convert = self.head(torch.tanh(self.representation(x))).unbind(dim=1)
        return click, convert


@pytest.fixture(autouse=True)
def _method(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    register(Gain())
    yield


@pytest.fixture
def model() -> Model:
    """The frozen model."""
    torch.manual_seed(1)
    return Model()


def _rows(count: int, domains: int = 2) -> Examples:
    x = torch.randn(count, 6, generator=Generator().manual_seed(count))
    click = (x[:, 0] > 0).float()
    return Examples((x,), (click, click * (x[:, 1] > 0)), torch.arange(count) % domains)


def test_a_method_of_one_s_own_is_trained_saved_loaded_banked_and_attached(
    model: Model, tmp_path: Path
) -> None:
    rows, select = _rows(600), _rows(200)
    with attach(model, GainConfig(), PLACE, ["a", "b"]) as adapted:
        base = model(*select.inputs)[0]
        training = train(adapted, rows, select, TRAINING, checkpoint=tmp_path / "run")
        for report in training.domains.values():
            assert report.select_loss[1] == report.select_loss[0], "the warm-up leaves the gains"
            assert min(report.select_loss) < report.select_loss[0]
            assert report.beta == GainConfig().beta
        served = adapted(select.domains, *select.inputs)[0]
        kernel = adapted.adapter("a").at(PLACE)
        assert isinstance(kernel, GainKernel)
        assert not kernel.needs_scale
        folder = adapted.save("a", tmp_path / "a", {"note": "toy"})
        mark = fingerprint(adapted.adapter("a"))
        other = adapted.adapter("b")
    loaded, card = load_adapter(folder, backbone=fingerprint(model))
    assert fingerprint(loaded) == mark
    assert loaded.is_of(GainConfig(beta=0.5), (PLACE,))
    assert not loaded.is_of(GainConfig(rest=3), (PLACE,))
    assert not loaded.is_of(IAKConfig(), (PLACE,))
    assert card["kernels"] == [
        {
            "at": PLACE,
            "kind": "gain",
            "config": {"beta": 1e-3, "rest": 1},
            "width": 5,
            "inputs": None,
        }
    ]
    bank = AdapterBank.from_adapters({"a": loaded, "b": other})
    with attach(model, bank, PLACE) as again:
        domains = again.slots(["a", "b"])[select.domains]
        assert torch.equal(again(domains, *select.inputs)[0], served)
        assert torch.equal(again(torch.full_like(domains, -1), *select.inputs)[0], base)


def test_beta_and_a_pooled_start_serve_every_method(model: Model) -> None:
    rows, select = _rows(400), _rows(200)
    with attach(model, GainConfig(), PLACE, ["a", "b"]) as adapted:
        chosen = choose_beta(adapted, rows, select, TRAINING, [1e4, 0.0])
        assert [report.beta for report in chosen.domains.values()] == [0.0, 0.0]
    with attach(model, AdapterBank(), PLACE) as adapted:
        pooled, own = train_pooled_first(adapted, rows, select, TRAINING, GainConfig(), ["a", "b"])
    assert set(pooled.domains) == {"pooled"}
    assert set(own.domains) == {"a", "b"}


def test_a_kind_names_one_method() -> None:
    class Other(Gain):
        """Another method under a name that is taken."""

        config = type("OtherConfig", (GainConfig,), {})

    register(Gain())
    with pytest.raises(ValueError, match="two methods have the kind 'gain'"):
        register(Other())


def test_files_of_a_method_that_is_not_registered_are_refused(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with attach(model, GainConfig(), PLACE, ["a"]) as adapted:
        adapted.build(torch.zeros(2, 6))
        folder = adapted.save("a", tmp_path / "a", {})
    monkeypatch.delitem(registry._METHODS, "gain")
    with pytest.raises(AdapterFileError, match="describes no adapter \\(kind 'gain' is unknown\\)"):
        load_adapter(folder, backbone=None)
