"""What came of a world's days, to be compared with another's."""

from typing import Any

import pytest

from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import Ledger
from tests.conftest import World


def outcome(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Decisions and champions by content, and the scores, flat."""
    ended: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    with Ledger(world.config) as ledger:
        for row in ledger.decisions():
            training = {**(row.training.document() if row.training else {}), "seconds": None}
            told = (
                row.state,
                row.sentence,
                row.gate and row.gate.document(),
                training,
                row.adapter_version,
            )
            ended[row.id] = (*told, row.attempts)
            scores |= _flat(row.id, {"score": row.score, **row.scores.document()})
        for key, row in ledger.champions().items():
            sha256 = ledger.adapter(key, row.version).sha256
            folder = adapter_folder(world.config, key, row.version, sha256)
            ended[key] = row.version, (folder / "adapter.safetensors").read_bytes()
    return ended, scores


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {
        path: each
        for key, part in value.items()
        for path, each in _flat(f"{name} {key}", part).items()
    }


def assert_equal(one: World, other: World) -> None:
    """Both worlds decided, trained and promoted alike."""
    (ended, scores), (wanted, usual) = outcome(one), outcome(other)
    assert ended == wanted
    assert scores.keys() == usual.keys()
    for name, value in scores.items():
        # Evidently sums over sets: the last bits of its distances differ between processes.
        exact = not isinstance(value, float)
        assert value == usual[name] if exact else value == pytest.approx(usual[name]), name
