"""``driftune check-model``: a recommender examined before it is taken up."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, load

if TYPE_CHECKING:
    from driftune.deployment.check_model.places import Place

app = typer.Typer()
_MARKS = {"ok": "ok  ", "warn": "WARN", "wrong": "FAIL"}


@app.command("check-model")
def check_model(
    config: ConfigPath = PARAMS,
    rows: Annotated[int, typer.Option(help="Reference rows to try it on.", min=64)] = 4096,
    as_json: AsJson = False,
) -> None:
    """Try the recommender on reference rows: inputs, logits, repeatability, places, a training on
    trial, speed; exit 1 when something is wrong. Changes nothing but caches."""
    from driftune.cli.console import progress
    from driftune.deployment.check_model import check_model as examine
    from driftune.progress import report as shown

    settings = load(config)
    with progress():
        report = examine(settings, rows, shown)
    if as_json:
        typer.echo(json.dumps({"ok": report.ok, **asdict(report)}))
    else:
        for finding in report.findings:
            say(f"{_MARKS[finding.mark]}  {finding.line}")
        if report.places:
            _show_places(report.places)
    if not report.ok:
        raise typer.Exit(1)


def _show_places(places: "list[Place]") -> None:
    from rich.console import Console
    from rich.table import Table

    from driftune.cli.seen import plain

    table = Table(
        box=None, header_style="bold", title="places (* chosen by adapter.at)", title_justify="left"
    )
    for name in ("place", "module"):
        table.add_column(name, overflow="fold")
    for name in ("width", "kernel's parameters", "computed ahead"):
        table.add_column(name, overflow="fold", justify="right")
    for place in places:
        table.add_row(
            plain(f"{place.name}{' *' if place.chosen else ''}"),
            plain(place.kind),
            f"{place.width:,}",
            f"{place.parameters:,}",
            "–" if place.below is None else f"{place.below:.0%}",
        )
    Console().print(table)
