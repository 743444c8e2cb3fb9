"""Adapters as 62340b5 wrote them, before methods were classes: they load, and save the same."""

from pathlib import Path

import pytest

from driftune.models.adapters import fingerprint, load_adapter, save_adapter

SAVED = Path(__file__).parent / "saved"
BACKBONE = "7c98e96c312429c4066ab216c3109baa87d906eef7d01f82600c02b675fa9c50"


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("iak", "fef2488884fa28b933280be7a60c32d4beed824e192045924e75eae6bbfc5c5a"),
        ("lora", "66783dd76bf57ebf6eb3d1a0c73b9996e4e84ccf47bed59cd0fd283c877d13cc"),
        ("houlsby", "e4ea25537d331ede847be9e0af3b96a835b9c145c58ee09d2974307ea04bd049"),
    ],
)
def test_older_files_load_and_are_written_as_they_were(
    kind: str, mark: str, tmp_path: Path
) -> None:
    adapter, card = load_adapter(SAVED / kind, backbone=BACKBONE)
    assert fingerprint(adapter) == mark
    assert [kernel.config.kind for _, kernel in adapter.items()] == [kind]
    own = {name: card[name] for name in ("made_by", "backbone")}
    again = save_adapter(tmp_path / kind, adapter, own)
    for name in ("adapter.safetensors", "card.json"):
        assert (again / name).read_bytes() == (SAVED / kind / name).read_bytes()
