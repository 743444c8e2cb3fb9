"""The record of what is wrong with the frozen base; reading it needs no torch."""

from pathlib import Path
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BackboneError
from driftune.io import read_json


class BaseProblem(TypedDict):
    """A domain (its name and key) that the base predicts badly, and how, in one sentence."""

    domain: str
    key: str
    told: str


def base_record(config: Config) -> Path:
    """Where the record lies."""
    return Workspace(config).model / "base.json"


def base_problems(config: Config) -> list[BaseProblem]:
    """What was wrong with the base when it was evaluated; nothing where it was not.

    Raises:
        BackboneError: when the record is damaged.
    """
    path = base_record(config)
    if not path.exists():
        return []
    try:
        problems: list[BaseProblem] = read_json(path)["problems"]
    except (ValueError, KeyError, TypeError, OSError):
        raise BackboneError(f"{path}: damaged; run driftune pretrain --only evaluate") from None
    return problems
