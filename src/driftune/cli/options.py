"""Options that many commands share, and what they load."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from driftune.config import Config

ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="Path of params.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
PARAMS = Path("params.yaml")


def load(path: Path) -> "Config":
    """Load params.yaml."""
    from driftune.config.loading import load_config

    return load_config(path)


def day_of(text: str) -> date:
    """Parse a day.

    Raises:
        typer.BadParameter: when it is not YYYY-MM-DD.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write YYYY-MM-DD") from None
