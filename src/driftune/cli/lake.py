"""Commands on the lake: what it held of a day, and an old version of it as a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, day_of, load

app = typer.Typer(help="Look at the lake's versions of a day.")

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
