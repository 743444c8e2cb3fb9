"""The model seam: another recommender than the built-in one is scored, adapted and profiled."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from driftune.drift.cells import embedding_regions
from driftune.models.adapters import AdapterBank, IAKConfig, attach, esmm_rows
from driftune.models.esmm import ESMM
from driftune.models.recommender import EncodedRows, Recommender
from driftune.training.devices import serving
from driftune.training.rows import Rows
from driftune.training.scoring import score, score_clicks
from tests.conftest import World


class Plain(Recommender):
    """Logits from the numbers alone, by one layer; no table of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = {}
        self.both = nn.Linear(3, 2)

    def inputs(self, rows: EncodedRows) -> tuple[Tensor]:
        """See ``Recommender.inputs``."""
        return (rows.numbers,)

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pCTR and pCVR."""
        click, convert = self.both(numbers).unbind(dim=1)
        return click, convert


@pytest.fixture
def rows() -> Rows:
    """Rows of two domains."""
    draw, count = np.random.default_rng(0), 50
    ids = torch.from_numpy(draw.integers(0, 4, (count, 2)))
    numbers = torch.from_numpy(draw.normal(size=(count, 3)).astype(np.float32))
    none, zeros = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    label = torch.zeros(count)
    keys = np.array(["a", "b"] * (count // 2))
    return Rows(ids, numbers, label, label, zeros, keys, zeros, zeros, none, none)


def _models() -> list[Recommender]:
    torch.manual_seed(0)
    return [Plain().eval(), ESMM([4, 4], 3, 5, [8]).eval()]


@pytest.mark.parametrize("model", _models(), ids=["plain", "esmm"])
def test_scores_are_the_logits_of_forward(model: Recommender, rows: Rows) -> None:
    with torch.inference_mode():
        click, convert = (torch.sigmoid(each.double()) for each in model(*model.inputs(rows)))
    p_click, p_ctcvr = score(model, rows)
    assert np.array_equal(p_click, click.numpy())
    assert np.array_equal(p_ctcvr, (click * convert).numpy())
    assert np.array_equal(score_clicks(model, rows, AdapterBank()), p_click)


@pytest.mark.parametrize("model", _models(), ids=["plain", "esmm"])
def test_an_adapter_at_a_place_changes_its_domain_alone(model: Recommender, rows: Rows) -> None:
    (place,) = [name for name in model.places() if name in ("both", "click_tower.1")]
    base, _ = score(model, rows)
    with attach(model, IAKConfig(2, 4), place, ["a"]) as adapted:
        adapted.build(*model.inputs(rows))
        adapter = adapted.adapter("a")
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.add_(0.3)
        found, _ = score(model, rows, AdapterBank.from_adapters({"a": adapter}))
    assert (found[::2] != base[::2]).all()
    assert np.array_equal(found[1::2], base[1::2])


def test_regions_of_items_need_a_table_of_them() -> None:
    encoder = SimpleNamespace(fields=("user", "item"), sizes=(4, 4))
    plain, esmm = _models()
    assert np.array_equal(embedding_regions(plain, encoder, "item"), np.zeros(4))
    assert isinstance(esmm, ESMM)
    assert torch.equal(esmm.field_vectors(1), esmm.representation.table.weight[4:])
    assert len(set(embedding_regions(esmm, encoder, "item"))) > 1


def test_without_conversions_in_the_log_clicks_alone_train(world: World) -> None:
    columns = world.config.columns
    mute = world.config.model_copy(update={"columns": columns.model_copy(update={"convert": None})})
    torch.manual_seed(0)
    click, labels = torch.randn(4), (torch.tensor([1.0, 0, 0, 1]), torch.zeros(4))
    click.requires_grad_(True)
    for served in (serving(mute, Plain()), serving(mute, ESMM([4, 4], 3, 5, [8]))):
        convert = torch.randn(4, requires_grad=True)
        served.row_losses()((click, convert), labels).sum().backward()
        assert convert.grad is None
    expected = torch.sigmoid(click.detach()) - labels[0]
    torch.testing.assert_close(click.grad, 2 * expected)
    assert served.default_places() == ["click_tower.1"]
    assert serving(world.config, served).row_losses() is esmm_rows
    assert served.default_places() == ["click_tower.1", "convert_tower.1"]


class Logged(Plain):
    """One that reads a logged column, and notes how many rows it is asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def inputs(self, rows: EncodedRows) -> tuple[Tensor]:
        self.asked.append(len(rows.table))
        price = torch.from_numpy(rows.table["price"].to_numpy()).float()
        return (price[:, None].expand(-1, 3),)


def test_logged_columns_are_tensors_for_some_rows_at_a_time(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Logged().eval()
    logged = replace(rows, table=pa.table({"price": np.linspace(0, 1, len(rows))}))
    with attach(model, IAKConfig(2, 4), "both", ["a"]) as adapted:
        adapted.build(*model.inputs(logged))
        adapter = adapted.adapter("a")
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.add_(0.3)
    bank = AdapterBank.from_adapters({"a": adapter})
    whole = score(model, logged, bank)
    model.asked.clear()
    monkeypatch.setattr("driftune.training.scoring.SLICE", 16)
    parts = score(model, logged, bank)
    assert model.asked == [16, 16, 16, 2]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
