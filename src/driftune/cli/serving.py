"""Commands of serving: write a bundle, score files with it."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, day_of, load

if TYPE_CHECKING:
    from driftune.serving.export import Exported
    from driftune.serving.files import Scoring

app = typer.Typer()


class Program(StrEnum):
    """A format of the programs of a bundle."""

    torch = "torch"
    onnx = "onnx"


AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Last day of the counters; by default the lake's newest."),
]


@app.command()
def export(
    to: Annotated[
        str | None,
        typer.Option(help="Folder or URL (s3://…) of the bundle; one that is there is renewed."),
    ] = None,
    as_of: AsOf = None,
    report_to: Annotated[
        str | None,
        typer.Option(help="Folder or URL where processes that serve it report; default serving."),
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(help="Also register it in MLflow: a version of this model, alias champion."),
    ] = None,
    formats: Annotated[
        list[Program] | None,
        typer.Option("--format", help="Also write the model as a program; may be given twice."),
    ] = None,
    with_challengers: Annotated[
        bool,
        typer.Option("--with-challengers", help="Also those that wait, for score --shadow."),
    ] = False,
    features: Annotated[
        Path | None,
        typer.Option(help="Folder for the counters as Parquet, as feature stores read them."),
    ] = None,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Write a bundle of all that scores need: model, champions, encoder, counters."""
    from driftune.serving.known import remember
    from driftune.serving.places import is_url

    if to is None and mlflow is None and features is None:
        raise typer.BadParameter(
            "name a folder or URL with --to, a model with --mlflow, or a folder with --features"
        )
    found, version = _export(
        config,
        to,
        as_of,
        mlflow,
        [*(formats or ())],
        challengers=with_challengers,
        features=features,
    )
    if to is not None:
        remember(load(config), to if is_url(to) else str(Path(to).resolve()), report_to)
    if as_json:
        more = {} if version is None else {"mlflow": {"model": mlflow, "version": version}}
        programs = {name: each._asdict() for name, each in found.programs.items()}
        typer.echo(json.dumps(found._asdict() | {"programs": programs} | more, default=str))
        return
    if features is not None:
        say(f"{features}: the counters of bundle {found.bundle[:12]}, up to {found.day}")
    _tell(found, to)
    if version is not None:
        say(f"models:/{mlflow}@champion: version {version}, bundle {found.bundle[:12]}")


def _tell(found: "Exported", to: str | None) -> None:
    """Say what a bundle has."""
    state = "written" if found.changed else "is as it was"
    if to is not None:
        say(
            f"{to}: bundle {found.bundle[:12]} {state}: {found.domains} domains, {found.adapters} "
            f"with an adapter, counters up to {found.day}, {found.size / 1e6:.1f} MB"
        )
    for name, program in found.programs.items():
        how = "is as it was"
        if program.differs is not None:
            how = f"scores as the scorer does, to {program.differs:.1g}"
        say(f"{name}: {program.path} {how}")
    if found.challengers:
        say(f"{found.challengers} challengers wait: they are in it, and never serve")
    if found.lost:
        say(
            f"{found.lost} that wait cannot be scored: the bundle's manifest.json has the problem "
            "of each"
        )
    if found.gone:
        say(
            f"{found.gone} domains have an adapter that cannot serve, and the base serves: the "
            "bundle's manifest.json has the problem of each; see driftune doctor"
        )


@app.command()
def score(
    source: Annotated[Path, typer.Argument(help="Rows: .parquet, .csv or .jsonl.")],
    out: Annotated[Path, typer.Option(help="Output: .parquet, .csv or .jsonl.")],
    bundle: Annotated[
        str | None,
        typer.Option(help="Folder or URL of a bundle; by default one is made for this run."),
    ] = None,
    as_of: AsOf = None,
    domain: Annotated[
        str | None, typer.Option(help="Name of a domain: score its rows alone.")
    ] = None,
    shadow: Annotated[
        bool,
        typer.Option("--shadow", help="Also what waiting challengers would say, beside it."),
    ] = False,
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
            bundle = folder
            _export(config, bundle, as_of, challengers=shadow)
        by = _on_ray(config, bundle, shadow)
        found = score_file(Scorer.open(bundle, shadow=shadow), source, out, domain, told, by)
    if as_json:
        typer.echo(json.dumps(found._asdict(), default=str))
        return
    say(f"{out}: {found.scored:,} rows scored")
    if found.left_in is not None:
        say(f"{found.left_in}: {found.left:,} rows could not be scored; why says what is wrong")


def _on_ray(params: Path, bundle: str, shadow: bool) -> "Scoring | None":
    """What scores on the cluster that params.yaml names; a bundle needs none, and is scored here
    where there is none."""
    if not params.exists() or (config := load(params)).runner.kind != "ray":
        return None
    from driftune.serving.on_ray import on_ray

    return on_ray(config, bundle, shadow=shadow)


def _export(
    config: Path,
    to: str | None,
    as_of: str | None,
    registered: str | None = None,
    formats: Sequence[str] = (),
    *,
    challengers: bool = False,
    features: Path | None = None,
) -> "tuple[Exported, str | None]":
    from driftune.project import Project
    from driftune.serving.publish import export_to

    last = None if as_of is None else day_of(as_of)
    with Project(load(config)) as project:
        return export_to(
            project, to, last, registered, formats, challengers=challengers, features=features
        )
