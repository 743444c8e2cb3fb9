"""The command line: every command, and what prints on a terminal. Nothing else imports this."""

from driftune.cli.program import app, main

__all__ = ["app", "main"]
