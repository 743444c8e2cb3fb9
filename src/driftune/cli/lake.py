"""Commands on the lake: what it held of a day, and an old version of it as a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, day_of, load

app = typer.Typer(help="Look at the lake's versions of a day; give up a day that is lost.")

Day = Annotated[str, typer.Argument(help="YYYY-MM-DD.")]


@app.command()
def versions(day: Day, config: ConfigPath = PARAMS, as_json: AsJson = False) -> None:
    """List the deliveries of a day that the lake took in; each stays readable."""
    from driftune.lake.versions import day_versions

    chosen = day_of(day)
    found = day_versions(load(config), chosen)
    if as_json:
        typer.echo(json.dumps({"day": day, "versions": found}))
        return
    for row in found:
        state = "" if row["readable"] else "  files are gone"
        say(f"version {row['version']}  {row['at']}  {row['rows']:,} rows{state}")
    if not found:
        say(f"the lake has never held {day}")


@app.command()
def export(
    day: Day,
    version: Annotated[int, typer.Option(help="See driftune lake versions.")],
    to: Annotated[Path, typer.Option(help="Parquet file to write.")],
    config: ConfigPath = PARAMS,
) -> None:
    """Write a day as the lake held it at a version."""
    from driftune.lake.versions import export_day

    rows = export_day(load(config), day_of(day), version, to)
    say(f"{day} at version {version}: {rows:,} rows in {to}")


@app.command()
def forget(day: Day, config: ConfigPath = PARAMS) -> None:
    """Give up a day that the lake has lost and whose files are gone: later days do without it."""
    from driftune.intake.lost import forget_day
    from driftune.registry.ledger import Ledger

    settings = load(config)
    with Ledger(settings) as ledger:
        forget_day(settings, ledger, day_of(day))
    say(f"{day} is given up: runs no longer ask for it; driftune run --day {day} undoes that")
