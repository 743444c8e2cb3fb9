"""Commands of serving: write a bundle, score files with it."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, day_of, load

if TYPE_CHECKING:
    from driftune.serving.export import Exported

app = typer.Typer()

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Last day of the counters; by default the lake's newest."),
]


@app.command()
def export(
    to: Annotated[Path, typer.Option(help="Folder of the bundle; one that is there is renewed.")],
    as_of: AsOf = None,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Write a bundle of all that scores need: model, champions, encoder, counters."""
    found = _export(config, to, as_of)
    if as_json:
        typer.echo(json.dumps(found._asdict(), default=str))
        return
    state = "written" if found.changed else "is as it was"
    say(
        f"{to}: bundle {found.bundle[:12]} {state}: {found.domains} domains, {found.adapters} with "
        f"an adapter, counters up to {found.day}, {found.size / 1e6:.1f} MB"
    )
    if found.gone:
        say(
            f"{found.gone} of them have an adapter that cannot serve, and the base serves: "
            f"{to}/manifest.json has the problem of each; see driftune doctor"
        )


@app.command()
def score(
    source: Annotated[Path, typer.Argument(help="Rows: .parquet, .csv or .jsonl.")],
    out: Annotated[Path, typer.Option(help="Output: .parquet, .csv or .jsonl.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Of driftune export; by default one is made for this run.")
    ] = None,
    as_of: AsOf = None,
    domain: Annotated[
        str | None, typer.Option(help="Name of a domain: score its rows alone.")
    ] = None,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Score a file's rows by the champions of their domains."""
    from driftune.cli.console import progress
    from driftune.progress import report
    from driftune.serving import Scorer
    from driftune.serving.files import score_file
    from driftune.serving.formats import count_rows, format_of

    if bundle is not None and as_of is not None:
        raise typer.BadParameter("--as-of belongs to a bundle that is made; leave out --bundle")
    format_of(out)
    rows = count_rows(source)
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        report("scored", done, max(done, rows or 0))

    with TemporaryDirectory(prefix="driftune-bundle-") as folder, progress():
        if bundle is None:
            bundle = Path(folder)
            _export(config, bundle, as_of)
        found = score_file(Scorer.open(bundle), source, out, domain, told)
    if as_json:
        typer.echo(json.dumps(found._asdict(), default=str))
        return
    say(f"{out}: {found.scored:,} rows scored")
    if found.left_in is not None:
        say(f"{found.left_in}: {found.left:,} rows could not be scored; why says what is wrong")


def _export(config: Path, to: Path, as_of: str | None) -> "Exported":
    from driftune.project import Project
    from driftune.serving.export import export as write

    last = None if as_of is None else day_of(as_of)
    with Project(load(config)) as project:
        return write(project, to, last)
