"""Command that deploys the project's flows on this machine."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, ConfigPath, load

app = typer.Typer()


@app.command()
def deploy(
    local: Annotated[
        bool, typer.Option("--local", help="Server, work pools and workers on 127.0.0.1.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Of the server; 0 picks a free one.", min=0, max=65535)
    ] = 4200,
    config: ConfigPath = PARAMS,
) -> None:
    """Bring up prefect.yaml's deployments with a server and workers until Ctrl-C.

    For a first look: everything runs on this machine and is taken down again. On a Prefect server
    of your own it is `prefect deploy --all`.
    """
    if not local:
        raise typer.BadParameter("only --local is done here; on a server: prefect deploy --all")
    from driftune.deployment.local import deployed

    home = load(config).home / "deployed"
    # What a service manager sends ends it as Ctrl-C does, also where a shell had Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), deployed(Path.cwd(), home, port, say) as there:
        say(f"there; runs, schedules and events: {there.url}")
        say(
            f"another terminal starts one: PREFECT_API_URL={there.api} "
            "prefect deployment run daily/daily --watch"
        )
        say("Ctrl-C ends all of it")
        there.wait()
    say("ended")
