"""Settings that a decision and its challenger rest on: marks of them, to see what has changed."""

import hashlib
import json
from collections.abc import Mapping

from driftune.config.root import Config

# What says how pages are kept and shown has no part in a decision.
_SHOWN = {"html", "keep_pages_days", "snapshots"}


def settings_marks(config: Config) -> dict[str, str]:
    """A mark (hex) of each setting or section of params.yaml that a decision rests on."""
    values = {
        "seed": config.seed,
        "timezone": config.timezone,
        "features": config.features.model_dump(mode="json"),
        "drift": config.drift.model_dump(mode="json", exclude=_SHOWN),
        "adapter": config.adapter.model_dump(mode="json"),
        "gate": config.gate.model_dump(mode="json"),
    }
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
        for name, value in values.items()
    }


def decision_marks(config: Config) -> dict[str, str]:
    """As ``settings_marks``, and what else makes a day's decision another one."""
    return {**settings_marks(config), "quality.min_hours": str(config.quality.min_hours)}


def changed_settings(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of what is another now; what was not marked before is not compared."""
    return [name for name, mark in before.items() if now.get(name, mark) != mark]
