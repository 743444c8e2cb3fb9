"""Adapter files: same bytes in, same bytes out; whatever does not fit is refused with a reason."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn

from driftune.models.adapters import (
    Adapter,
    AdapterFileError,
    AttachError,
    CopyConfig,
    HoulsbyConfig,
    IAKConfig,
    IAKKernel,
    LoRAConfig,
    Templates,
    attach,
    fingerprint,
    load_adapter,
    save_adapter,
)
from driftune.models.adapters.methods.houlsby import HoulsbyKernel
from driftune.models.adapters.methods.lora import LoRAKernel

Make = Callable[..., IAKKernel]
PLACE = "tower.1"
PRIOR, MEAN = "kernels.0.prior_rho", "kernels.0.mean.bias"
CARD = {"domain": "home · north", "backbone": "b" * 64, "training": {"epochs": 3}}


def _adapter(kernel: IAKKernel) -> Adapter:
    return Adapter({PLACE: kernel})


@pytest.fixture
def folder(tmp_path: Path, make_kernel: Make) -> Path:
    """A sound adapter."""
    return save_adapter(tmp_path / "adapters" / "one", _adapter(make_kernel()), CARD)


def _rewrite(folder: Path, data: bytes | None = None, **fields: object) -> None:
    """Put other tensors or card fields into an adapter, with a hash that fits."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if data is not None:
        (folder / "adapter.safetensors").write_bytes(data)
    card |= fields
    card["sha256"] = _hash(folder, card)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def _hash(folder: Path, card: dict[str, object]) -> str:
    own = {name: value for name, value in card.items() if name != "sha256"}
    text = json.dumps(own, sort_keys=True, ensure_ascii=False)
    data = (folder / "adapter.safetensors").read_bytes()
    return sha256(text.encode() + b"\n" + data).hexdigest()


def _refusal(folder: Path, backbone: str | None = CARD["backbone"]) -> str:
    with pytest.raises(AdapterFileError) as caught:
        load_adapter(folder, backbone=backbone)
    message = str(caught.value)
    assert message.startswith(f"{folder}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("combine", ["residual", "replace"])
def test_loaded_kernel_is_the_saved_one(tmp_path: Path, make_kernel: Make, combine: str) -> None:
    kernel = make_kernel(combine=combine, beta=0.25)
    folder = save_adapter(tmp_path / "a", _adapter(kernel), CARD)
    loaded, card = load_adapter(folder, backbone=CARD["backbone"])
    assert fingerprint(loaded) == fingerprint(_adapter(kernel))
    assert loaded.places == (PLACE,)
    assert loaded.at(PLACE).config == kernel.config
    h = torch.randn(5, 12)
    assert torch.equal(loaded.at(PLACE)(h).h, kernel(h).h)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert {name: card[name] for name in CARD} == CARD
    assert card["sha256"] == _hash(folder, card)
    assert card["kernels"][0] | {"config": None} == {
        "at": PLACE,
        "kind": "iak",
        "config": None,
        "width": 12,
        "inputs": None,
    }


def test_same_kernel_and_card_give_the_same_bytes(tmp_path: Path, make_kernel: Make) -> None:
    one = save_adapter(tmp_path / "one", _adapter(make_kernel()), CARD)
    two = save_adapter(tmp_path / "two", _adapter(make_kernel()), dict(reversed(CARD.items())))
    for name in ("adapter.safetensors", "card.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_loading_leaves_the_random_state_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    load_adapter(folder, backbone=None)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_again_replaces_and_leaves_nothing_behind(folder: Path, make_kernel: Make) -> None:
    newer = _adapter(make_kernel(seed=9))
    save_adapter(folder, newer, CARD)
    loaded, _ = load_adapter(folder, backbone=None)
    assert fingerprint(loaded) == fingerprint(newer)
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.safetensors", "card.json"]


def test_failed_move_keeps_what_was_there(
    folder: Path, make_kernel: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = Path.rename

    def fail_on_new(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError("disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_on_new)
    with pytest.raises(OSError, match="disk is gone"):
        save_adapter(folder, _adapter(make_kernel(seed=9)), CARD)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_card_that_cannot_be_written_leaves_no_files(tmp_path: Path, make_kernel: Make) -> None:
    for card in ({"sha256": "x"}, {"auc": float("nan")}, {"when": object()}):
        with pytest.raises((ValueError, TypeError)):
            save_adapter(tmp_path / "a", _adapter(make_kernel()), card)
    assert list(tmp_path.iterdir()) == []


def test_kernel_with_nan_is_not_saved(tmp_path: Path, make_kernel: Make) -> None:
    kernel = make_kernel()
    with torch.no_grad():
        kernel.matched.bias[3] = float("nan")
    with pytest.raises(AdapterFileError, match=r"NaN or infinity in kernels\.0\.matched\.bias"):
        save_adapter(tmp_path / "a", _adapter(kernel), CARD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["card.json", "adapter.safetensors"])
def test_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing" in _refusal(folder)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "card.json is missing" in _refusal(tmp_path / "nowhere")


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x", encoding="utf-8")
    assert "cannot be read" in _refusal(path)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_tensors_are_refused(folder: Path, keep: int) -> None:
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "corrupted or truncated" in _refusal(folder)


def test_one_flipped_bit_is_refused(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert "corrupted or truncated" in _refusal(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [('"residual"', '"replace"'), ('"epochs": 3', '"epochs": 4'), ("home", "Home")],
)
def test_a_changed_card_is_refused(folder: Path, before: str, after: str) -> None:
    path = folder / "card.json"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    assert "corrupted or truncated" in _refusal(folder)


@pytest.mark.parametrize("data", [b"", b"not tensors at all", b"\x80\x04K\x01.", b"\xff" * 64])
def test_foreign_tensor_file_is_refused(folder: Path, data: bytes) -> None:
    _rewrite(folder, data)
    assert "is no safetensors file" in _refusal(folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"format": 3', "is not JSON"),
        (b"[1, 2]", "is not an adapter's card"),
        (b"{}", "format None"),
        (b'{"format": 2}', "format 2"),
    ],
)
def test_foreign_card_is_refused(folder: Path, text: bytes, reason: str) -> None:
    (folder / "card.json").write_bytes(text)
    assert reason in _refusal(folder)


def _entry(**changes: object) -> dict[str, object]:
    config = IAKConfig(bottleneck=4, hidden=8).to_dict()
    entry = {"at": PLACE, "kind": "iak", "config": config, "width": 12, "inputs": None}
    return {"kernels": [entry | changes]}


@pytest.mark.parametrize(
    "fields",
    [
        {"kernels": None},
        {"kernels": []},
        {"kernels": [{"at": PLACE}]},
        _entry(config={"bottleneck": 4, "hidden": 8}),
        _entry(config={"rank": 1}),
        _entry(kind="copy", config={}),
        _entry(kind="other"),
        _entry(kind="lora", config=LoRAConfig().to_dict()),
        _entry(width="12"),
        _entry(width=None),
    ],
)
def test_card_of_another_kind_is_refused(folder: Path, fields: dict[str, object]) -> None:
    _rewrite(folder, **fields)
    assert "describes no adapter" in _refusal(folder)


@pytest.mark.parametrize("width", [11, 10**9])
def test_width_that_does_not_fit_the_tensors_is_refused(folder: Path, width: int) -> None:
    _rewrite(folder, **_entry(width=width))
    assert "do not fit the card's adapter: kernels.0.center" in _refusal(folder)


def test_every_kind_at_several_places_comes_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x = torch.randn(7, 6)
    for config in (IAKConfig(3, 4, fresh_rows=5), LoRAConfig(2), HoulsbyConfig(3)):
        with attach(model, config, ["0", "2"], ["a"]) as adapted:
            adapted.build(x)
            with torch.no_grad():
                for parameter in adapted.adapter("a").parameters():
                    parameter.add_(0.1)
            expected = adapted(["a"] * 7, x)
            folder = adapted.save("a", tmp_path / config.kind, {"note": 1})
        with attach(model, config, ["0", "2"]) as adapted:
            assert adapted.load("b", folder)["note"] == 1
            assert torch.equal(adapted(["b"] * 7, x), expected)
        with (
            attach(nn.Sequential(*model), config, "0") as adapted,
            pytest.raises(AttachError, match="has kernels at 2; attached are 0"),
        ):
            adapted.load("b", folder)
        other = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        with (
            attach(other, config, ["0", "2"]) as adapted,
            pytest.raises(AdapterFileError, match="not for this one"),
        ):
            adapted.load("b", folder)


def test_an_adapter_of_several_kinds_comes_back(tmp_path: Path, make_kernel: Make) -> None:
    torch.manual_seed(1)
    kernels = {
        "a.b": make_kernel(),
        "": HoulsbyKernel(5, HoulsbyConfig(2)),
        "größe": LoRAKernel(3, 4, LoRAConfig(2)),
        "a": make_kernel(seed=2, width=7, combine="replace", fresh_rows=3),
    }
    folder = save_adapter(tmp_path / "a", Adapter(kernels), CARD)
    loaded, card = load_adapter(folder, backbone=CARD["backbone"])
    assert loaded.places == tuple(kernels)
    assert [entry["kind"] for entry in card["kernels"]] == ["iak", "houlsby", "lora", "iak"]
    assert [(each.width, each.config) for _, each in loaded.items()] == [
        (each.width, each.config) for each in kernels.values()
    ]
    assert fingerprint(loaded) == fingerprint(Adapter(kernels))


def test_copies_of_modules_have_no_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5))
    with attach(model, CopyConfig(), "0", ["a"]) as adapted:
        adapted.build(torch.randn(2, 6))
        with pytest.raises(ValueError, match="a copy of a module is saved with its model"):
            adapted.save("a", tmp_path / "a", {})
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_do_not_fit_are_refused(folder: Path) -> None:
    sound = load_file(folder / "adapter.safetensors")
    lacking = {name: tensor for name, tensor in sound.items() if name != PRIOR}
    added = {**sound, "spare": torch.zeros(1)}
    halved = {**sound, MEAN: sound[MEAN].half()}
    cases = {PRIOR: lacking, "spare": added, MEAN: halved}
    for name, tensors in cases.items():
        _rewrite(folder, save(tensors))
        assert _refusal(folder).endswith(f"do not fit the card's adapter: {name}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_tensor_that_is_not_finite_is_refused(folder: Path, value: float) -> None:
    tensors = load_file(folder / "adapter.safetensors")
    tensors["kernels.0.encoder.weight"][2, 3] = value
    _rewrite(folder, save(tensors))
    assert "NaN or infinity in kernels.0.encoder.weight" in _refusal(folder)


def test_adapter_of_another_backbone_is_refused(folder: Path, make_kernel: Make) -> None:
    assert f"made for backbone {'b' * 12}, not for this one" in _refusal(folder, "c" * 64)
    save_adapter(folder, _adapter(make_kernel()), {})
    assert "made for backbone None" in _refusal(folder)
    load_adapter(folder, backbone=None)


def test_fingerprint_tells_modules_apart() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    marks = [fingerprint(model)]
    assert fingerprint(model) == marks[0]
    model(torch.randn(4, 3))
    marks.append(fingerprint(model))
    marks.append(fingerprint(nn.Sequential(model)))
    marks.append(fingerprint(model.double()))
    with torch.no_grad():
        model[0].weight[0, 0] += 1
    marks.append(fingerprint(model))
    assert len(set(marks)) == 5


def test_fingerprint_sees_the_shape_not_the_memory_layout() -> None:
    table = torch.arange(6.0)
    modules = [nn.Module() for _ in range(3)]
    modules[0].register_buffer("table", table.reshape(2, 3))
    modules[1].register_buffer("table", table.reshape(3, 2))
    modules[2].register_buffer("table", table.reshape(2, 3).T.contiguous().T)
    flat, tall, strided = (fingerprint(module) for module in modules)
    assert flat == strided
    assert flat != tall


def test_fingerprint_sees_the_dtype_of_equal_bytes() -> None:
    whole, real = nn.Module(), nn.Module()
    real.register_buffer("table", torch.ones(3))
    whole.register_buffer("table", torch.ones(3).view(torch.int32))
    assert fingerprint(whole) != fingerprint(real)


def test_adapters_of_one_template_share_nothing(tmp_path: Path, make_kernel: Make) -> None:
    templates = Templates()
    saved = [_adapter(make_kernel(seed=seed)) for seed in (1, 2)]
    for number, adapter in enumerate(saved):
        save_adapter(tmp_path / str(number), adapter, CARD)
    loaded = [
        load_adapter(tmp_path / str(number), backbone=None, templates=templates)[0]
        for number in (0, 1)
    ]
    for adapter, wanted in zip(loaded, saved, strict=True):
        assert fingerprint(adapter) == fingerprint(wanted)
        assert not any(module.training for module in adapter.modules())
        assert all(each.requires_grad and each.is_leaf for each in adapter.parameters())
    first, second = ({each.data_ptr() for each in one.state_dict().values()} for one in loaded)
    assert not first & second
    calls: list[str] = []
    loaded[0].kernels[0].register_forward_hook(lambda *_: calls.append("first"))
    h = torch.randn(3, 12)
    loaded[1].kernels[0](h)
    assert calls == []
    loaded[0].kernels[0](h)
    assert calls == ["first"]
