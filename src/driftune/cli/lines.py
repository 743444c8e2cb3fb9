"""Lines for the terminal that name what comes from data: one each, nothing in it obeyed."""

from pathlib import Path

import typer

from driftune.visible import visible


def say(text: str | Path, *, err: bool = False) -> None:
    """Print a text in one line, on stderr with ``err``; control characters in it are escapes."""
    typer.echo(visible(str(text)), err=err)
