"""Settings that a decision and its challenger rest on: marks of them, to see what has changed."""

import hashlib
import json
from collections.abc import Collection, Mapping

from pydantic import JsonValue

from driftune.config.base import Section
from driftune.config.root import Config

# What says how pages are kept and shown, where models compute, or how long training may take, has
# no part in a decision.
_SHOWN: Mapping[str, bool | set[str]] = {
    **dict.fromkeys(("html", "keep_pages_days", "snapshots", "device"), True),
    "trainer": {"timeout_minutes"},
}
# The form of marks: of what differs from the defaults, so that a key which a release adds changes
# none. Those of before, without it, were of all keys.
_FORM = "2:"
# Keys that releases have added since the first marks of that form were kept, in their order.
_ADDED: Mapping[str, tuple[str, ...]] = {
    "features": ("debias",),
    "gate": ("log_loss_tolerance", "rule", "max_loss", "max_loss_chance"),
    "adapter": ("precision", "trainer", "start", "folds"),
}


def settings_marks(config: Config) -> dict[str, str]:
    """A mark of each setting or section of params.yaml that a decision rests on."""
    plain: dict[str, JsonValue] = {"seed": config.seed, "timezone": config.timezone}
    sections = {
        name: section.model_dump(mode="json", exclude_defaults=True, exclude=_SHOWN)
        for name, section in _sections(config).items()
    }
    return {name: f"{_FORM}{_hash(value)}" for name, value in {**plain, **sections}.items()}


def decision_marks(config: Config) -> dict[str, str]:
    """As ``settings_marks``, and what else makes a day's decision another one."""
    return {**settings_marks(config), "quality.min_hours": str(config.quality.min_hours)}


def known_marks(config: Config) -> dict[str, frozenset[str]]:
    """The marks that ``decision_marks`` of these settings are, or were in earlier releases."""
    found = {name: {mark} for name, mark in decision_marks(config).items()}
    found["seed"].add(_hash(config.seed))
    found["timezone"].add(_hash(config.timezone))
    for name, section in _sections(config).items():
        whole = section.model_dump(mode="json", exclude=_SHOWN)
        found[name].add(_hash(whole))
        told = section.model_dump(mode="json", exclude_defaults=True)
        added = _ADDED.get(name, ())
        for first in range(len(added)):
            late = {key for key in added[first:] if key not in told}
            found[name].add(_hash({key: whole[key] for key in whole.keys() - late}))
    return {name: frozenset(marks) for name, marks in found.items()}


def changed_settings(before: Mapping[str, str], known: Mapping[str, Collection[str]]) -> list[str]:
    """The names of what is another now.

    What was not marked before, or in a form of which this release knows nothing, is not compared.

    Args:
        before: marks that were kept.
        known: ``known_marks`` of the settings as they are now.
    """
    return [
        name
        for name, mark in before.items()
        if name in known and mark not in known[name] and not _is_newer(mark)
    ]


def _sections(config: Config) -> dict[str, Section]:
    return {
        "features": config.features,
        "drift": config.drift,
        "adapter": config.adapter,
        "gate": config.gate,
    }


def _is_newer(mark: str) -> bool:
    """Whether a later release wrote the mark, in a form of its own."""
    return ":" in mark and not mark.startswith(_FORM)


def _hash(value: JsonValue) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
