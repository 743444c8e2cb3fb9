"""The command of notifications: a test message, and what each target answered."""

import json
import os
from typing import Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, load

app = typer.Typer()


@app.command()
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message.")] = False,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Send what is owed, or with --test a test message; exit 1 if a target does not take it."""
    settings = load(config)
    if not test:
        from driftune.notify.deliver import deliver
        from driftune.registry.ledger import Ledger
        from driftune.registry.outbox import owed

        with Ledger(settings) as ledger:
            sent = deliver(settings, ledger)
            left = len(owed(ledger))
        found = {"sent": sent, "left": left}
        typer.echo(json.dumps(found) if as_json else f"{sent} sent, {left} left")
        if left:
            raise typer.Exit(1)
        return
    from driftune.notify.targets import open_targets, send
    from driftune.notify.words import Message

    targets = open_targets(settings.notify, os.environ)
    told = ", ".join(sorted(settings.notify.kinds))
    answers = send(targets, Message("Driftune: test", f"This is a test. You are told of: {told}."))
    if as_json:
        typer.echo(json.dumps({"targets": answers}))
    else:
        for name, reason in answers.items():
            say(f"{name}: {'taken' if reason is None else f'not taken: {reason}'}")
    if any(reason is not None for reason in answers.values()):
        raise typer.Exit(1)
