"""The command that examines an installation and a workspace."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from driftune.cli.options import PARAMS, AsJson, ConfigPath, load

app = typer.Typer()


@app.command()
def doctor(
    config: ConfigPath = PARAMS,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Set aliases right; drop damaged files that runs make anew."),
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file and verify its checksum.")
    ] = False,
    serving: Annotated[
        str | None,
        typer.Option(help="Also compare a bundle's scores with those of training, on real rows."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the roles make of real rows; check versions, configuration, lake, backbone, ledger
    and champions; exit 1 on a problem."""
    from driftune.cli.console import show_findings
    from driftune.cli.seen import show_roles
    from driftune.deployment.doctor import examine
    from driftune.deployment.roles import see_roles

    settings = load(config)
    seen = see_roles(settings)
    findings = examine(settings, mend=mend, deep=deep, seen=seen, serving=serving)
    if as_json:
        shown = [asdict(each) for each in seen.roles], [asdict(each) for each in seen.domains]
        typer.echo(json.dumps({"checks": findings, "roles": shown[0], "domains": shown[1]}))
    else:
        show_roles(seen)
        show_findings(findings)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)
