"""The backbone: ESMM's two towers over one table, and files that are whole or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from driftune.errors import BackboneError
from driftune.io import read_json, write_sealed
from driftune.models.adapters import fingerprint
from driftune.models.backbone import load_backbone, save_backbone, trained_until
from driftune.models.esmm import ESMM

SIZES = (7, 5, 3)
NUMBERS = 2
ENCODER = "e" * 64
UNTIL = {"home": 7, "search": 9}


@pytest.fixture
def model() -> ESMM:
    """A small backbone with fixed weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return ESMM(SIZES, NUMBERS, embedding=4, hidden=[8, 6]).eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Nine encoded impressions."""
    generator = torch.Generator().manual_seed(2)
    ids = torch.stack([torch.randint(0, size, (9,), generator=generator) for size in SIZES], dim=1)
    return ids, torch.randn(9, NUMBERS, generator=generator)


@pytest.fixture
def folder(model: ESMM, tmp_path: Path) -> Path:
    """A folder with the backbone's files."""
    save_backbone(tmp_path / "backbone", model, ENCODER, UNTIL)
    return tmp_path / "backbone"


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the card."""
    path = folder / "backbone.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def refused(folder: Path, match: str, encoder: str = ENCODER) -> None:
    with pytest.raises(BackboneError, match=match) as error:
        load_backbone(folder, encoder)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("run driftune pretrain")


def test_the_representation_is_every_field_s_own_row_then_the_numbers(
    model: ESMM, batch: tuple[Tensor, Tensor]
) -> None:
    ids, numbers = batch
    table = model.representation.table.weight
    starts = [0, SIZES[0], SIZES[0] + SIZES[1]]
    parts = [table[start + ids[:, field]] for field, start in enumerate(starts)]
    found = model.representation(ids, numbers)
    assert found.shape == (9, model.representation.width)
    assert torch.equal(found, torch.cat([*parts, numbers], dim=1))


def test_the_largest_id_of_every_field_has_a_row(model: ESMM) -> None:
    last = torch.tensor([[size - 1 for size in SIZES]])
    clicks, converts = model(last, torch.zeros(1, NUMBERS))
    assert torch.isfinite(clicks).all()
    assert torch.isfinite(converts).all()


def test_the_towers_share_the_table_and_nothing_else(
    model: ESMM, batch: tuple[Tensor, Tensor]
) -> None:
    clicks, converts = model(*batch)
    assert clicks.shape == converts.shape == (9,)
    clicks.sum().backward()
    assert model.representation.table.weight.grad is not None
    assert all(parameter.grad is not None for parameter in model.click_tower.parameters())
    assert all(parameter.grad is None for parameter in model.convert_tower.parameters())


def test_rows_do_not_see_each_other(model: ESMM, batch: tuple[Tensor, Tensor]) -> None:
    ids, numbers = batch
    whole, _ = model(ids, numbers)
    alone = torch.cat([model(ids[n : n + 1], numbers[n : n + 1])[0] for n in range(9)])
    torch.testing.assert_close(whole, alone)


def test_what_is_saved_is_loaded_frozen_and_scores_the_same(
    model: ESMM, folder: Path, batch: tuple[Tensor, Tensor]
) -> None:
    loaded, mark = load_backbone(folder, ENCODER)
    assert mark == fingerprint(model) == fingerprint(loaded)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    for one, other in zip(loaded(*batch), model(*batch), strict=True):
        assert torch.equal(one, other)


def test_equal_models_give_equal_files_and_any_weight_another_fingerprint(
    model: ESMM, folder: Path, tmp_path: Path
) -> None:
    mark = save_backbone(tmp_path / "again", model, ENCODER, UNTIL)
    for name in ("backbone.safetensors", "backbone.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    with torch.no_grad():
        model.convert_tower[0].bias[3] += 1e-6
    assert save_backbone(tmp_path / "again", model, ENCODER, UNTIL) != mark


def test_nothing_there_says_what_to_run(tmp_path: Path) -> None:
    refused(tmp_path, "no backbone yet")


@pytest.mark.parametrize("name", ["backbone.safetensors", "backbone.json"])
def test_one_file_without_the_other_says_what_to_run(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, f"{name}: no backbone yet")


@pytest.mark.parametrize("position", [0, 12, 0.5, -1])
def test_a_flipped_bit_anywhere_in_the_tensors_is_found(folder: Path, position: float) -> None:
    path = folder / "backbone.safetensors"
    data = bytearray(path.read_bytes())
    data[int(position * len(data)) if position == 0.5 else int(position)] ^= 0x10
    path.write_bytes(data)
    refused(folder, "damaged")


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_tensors_are_damaged(folder: Path, kept: int) -> None:
    path = folder / "backbone.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, "damaged")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"card"', "{}", '{"shape": {}}'])
def test_a_card_that_is_no_card_is_damaged(folder: Path, text: str) -> None:
    (folder / "backbone.json").write_text(text)
    refused(folder, "damaged")


@pytest.mark.parametrize("field", ["shape", "fingerprint", "encoder"])
def test_a_card_without_one_of_its_fields_is_damaged(folder: Path, field: str) -> None:
    edit(folder, lambda card: card.pop(field))
    refused(folder, "damaged")


@pytest.mark.parametrize(
    "shape",
    [
        {"sizes": [7, 5, 4]},
        {"hidden": [8]},
        {"embedding": -1},
        {"numbers": "two"},
        {"sizes": None},
        {"depth": 3},
    ],
)
def test_a_shape_that_the_tensors_do_not_have_is_damaged(
    folder: Path, shape: dict[str, Any]
) -> None:
    edit(folder, lambda card: card["shape"].update(shape))
    refused(folder, "damaged")


def test_tensors_of_another_model_of_the_same_shape_are_damaged(
    folder: Path, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_backbone(
            tmp_path / "other", ESMM(SIZES, NUMBERS, 4, [8, 6]), ENCODER, {"home": 7, "search": 9}
        )
    (folder / "backbone.safetensors").write_bytes(
        (tmp_path / "other" / "backbone.safetensors").read_bytes()
    )
    refused(folder, "fingerprint differs")


def test_another_encoder_is_refused(folder: Path) -> None:
    refused(folder, "trained with another encoder", encoder="f" * 64)


def test_each_domain_has_its_own_end_of_training(folder: Path) -> None:
    assert trained_until(folder).of("home") == 7
    assert trained_until(folder).of("search") == 9
    assert trained_until(folder).of("one that came later") == 9
    path = folder / "backbone.json"
    card = read_json(path)
    write_sealed(path, {**card, "trained_until": 8})
    assert trained_until(folder).of("home") == 8
    del card["trained_until"]
    write_sealed(path, card)
    with pytest.raises(BackboneError, match=r"no readable trained_until; run driftune pretrain"):
        trained_until(folder)
