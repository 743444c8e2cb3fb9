"""The record of what was planted. Only ``check`` reads it; no part that detects drift may."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from driftune.io import write_text
from driftune.simulate.settings import Event, SimulationConfig


class Truth(BaseModel):
    """The planted events, and the configuration that they belong to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: tuple[Event, ...]
    config: SimulationConfig


def write_truth(config: SimulationConfig, path: Path) -> None:
    """Write the planted events and the configuration as JSON; raises OSError if it cannot."""
    truth = Truth(events=config.events, config=config)
    write_text(path, truth.model_dump_json(indent=2) + "\n")


def read_truth(path: Path) -> Truth:
    """Read what ``write_truth`` wrote.

    Raises OSError if the file cannot be read, pydantic.ValidationError if it is no such record.
    """
    return Truth.model_validate_json(path.read_text(encoding="utf-8"))
