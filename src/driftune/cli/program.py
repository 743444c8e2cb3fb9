"""The command line. Heavy packages are imported by the commands that need them."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from driftune.cli import champions as commands
from driftune.cli import messages as notifications
from driftune.cli import quarantine, retention, storage, surroundings
from driftune.cli import review as review_commands
from driftune.cli import serving as serving_commands
from driftune.cli.check_model import app as check_model_app
from driftune.cli.deploy import app as deploy_app
from driftune.cli.doctor import app as doctor_app
from driftune.cli.drift import app as drift_app
from driftune.cli.flow_runs import running
from driftune.cli.init import app as init_app
from driftune.cli.lake import app as lake_app
from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, Json, day_of, load
from driftune.errors import DriftuneError
from driftune.no_telemetry import silence
from driftune.owners import complete_identity, user_name
from driftune.redact import guard_logs

app = typer.Typer(
    help="Drift-triggered fine-tuning for multi-domain recommenders. --debug shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
importers = typer.Typer(help="Bring public logs into a folder that driftune reads.")
app.add_typer(init_app)
app.add_typer(importers, name="import")
app.add_typer(check_model_app)
app.add_typer(deploy_app)
app.add_typer(doctor_app)
app.add_typer(drift_app)
app.add_typer(lake_app, name="lake")
app.add_typer(commands.app)
app.add_typer(review_commands.app)
app.add_typer(notifications.app)
app.add_typer(retention.app)
app.add_typer(serving_commands.app)
app.add_typer(quarantine.app, name="quarantine")


def main() -> None:
    """Run the command line; errors of the user's making are one line, exit code 1."""
    from driftune.cli import console

    surroundings.mend_streams()
    complete_identity(os.environ)
    silence()
    guard_logs()
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    console.quiet_exit()
    console.show_debug(debug)
    try:
        surroundings.require_folder()
        app()
    except DriftuneError as error:
        if debug:
            raise
        console.fail(str(error))
        sys.exit(1)
    except Exception as error:
        line = None if debug else storage.told(error)
        if line is None:
            raise
        console.fail(line)
        sys.exit(1)


@app.command()
def pretrain(
    config: ConfigPath = PARAMS,
    only: Annotated[
        str | None, typer.Option(help="Only one step: encode, pretrain or evaluate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit the encoder on the reference days, train the backbone, evaluate it.

    On several processes: torchrun --nproc-per-node=2 -m driftune.cli pretrain.
    """
    from driftune.cli.console import progress
    from driftune.progress import report
    from driftune.registry.ledger import Ledger
    from driftune.training.pretrain import STEPS
    from driftune.training.pretrain import pretrain as run_steps

    if only is not None and only not in STEPS:
        raise typer.BadParameter(f"--only must be one of {', '.join(STEPS)}")
    settings = load(config)
    with Ledger(settings) as ledger, progress():
        figures = run_steps(settings, ledger, only, report)
    # Of the ranks of torchrun the first one tells.
    if figures:
        _print(figures, as_json)


@app.command()
def run(
    day: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD; by default yesterday, and days that came late.")
    ] = None,
    decide_again: Annotated[
        bool,
        typer.Option(
            "--decide-again",
            help="Only decide --day again, under settings that changed; also where a day that a "
            "decision or champion rests on was delivered anew.",
        ),
    ] = False,
    why: Annotated[str | None, typer.Option(help="Of --decide-again; kept in the audit.")] = None,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Run one day: fetch, validate, detect drift, adapt where needed, report."""
    chosen = None if day is None else day_of(day)
    if decide_again and chosen is None:
        raise typer.BadParameter("--decide-again needs --day")
    if why is not None and not decide_again:
        raise typer.BadParameter("--why belongs to --decide-again")
    settings = load(config)
    if decide_again and chosen is not None:
        with running(settings, "flows.decide_again"):
            from flows.decide_again import decide_again as again

            found = again(chosen, user_name(), why or "", str(config))
        _print(found, as_json, quiet=True)
        return
    with running(settings, "flows.daily"):
        from flows.daily import daily

        result = daily(chosen, str(config))
    _print(result, as_json, quiet=True)
    if result["failed"]:
        raise typer.Exit(1)


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.")],
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
    compare: Annotated[
        bool, typer.Option("--compare-policies", help="Only compare when to fine-tune; see below.")
    ] = False,
    alpha: Annotated[
        list[float] | None, typer.Option(help="Compare drift.alpha at this level too; repeatable.")
    ] = None,
    max_age: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Compare drift.max_age_days at so many days too; repeatable."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Record of a simulation's events: adds the oracle.")
    ] = None,
) -> None:
    """Run the daily loop over past days; pre-trains when there is no backbone yet.

    With --compare-policies nothing is decided or promoted: each policy (never, refresh, every
    day, every week, performance-only, drift) is followed over the days from the frozen base on, and
    AUC gained is set against fine-tunes spent.
    """
    settings = load(config)
    days = day_of(first), day_of(last)
    if days[1] < days[0]:
        raise typer.BadParameter(f"--to {last} lies before --from {first}")
    if compare:
        from driftune.cli.policies import run_comparison

        found = run_comparison(settings, *days, alpha or [], max_age or [], truth)
        _print(found, as_json, quiet=True)
        return
    if alpha or max_age or truth:
        raise typer.BadParameter("--alpha, --max-age and --truth belong to --compare-policies")
    with running(settings, "flows.replay"):
        from flows.replay import replay as replay_flow

        result = replay_flow(*days, str(config))
    _print(result, as_json, quiet=True)
    if not as_json:
        say(f"report: {settings.home / 'reports' / 'index.html'}")
    if result["failed"]:
        raise typer.Exit(1)


@app.command()
def adapt(
    decision_id: Annotated[
        str | None, typer.Argument(help="Id of a decision; see driftune status.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="A domain to fine-tune without drift; needs --why.")
    ] = None,
    why: Annotated[str | None, typer.Option(help="Of --domain; kept in the audit.")] = None,
    config: ConfigPath = PARAMS,
) -> None:
    """Fine-tune, gate and promote for one pending decision, or for a domain by hand."""
    from driftune.registry.by_hand import ask
    from driftune.registry.ledger import Ledger

    if (decision_id is None) == (domain is None):
        raise typer.BadParameter("give the id of a decision, or --domain NAME --why TEXT")
    if domain is None and why is not None:
        raise typer.BadParameter("--why belongs to --domain")
    settings = load(config)
    with Ledger(settings) as ledger:
        if domain is not None:
            decision_id = ask(ledger, domain, user_name(), why or "").id
        assert decision_id is not None
        ledger.decision(decision_id)
    with running(settings, "flows.adapt"):
        from flows.adapt import adapt as adapt_flow

        state = adapt_flow(decision_id, str(config))
    held = f"; first: driftune approve {decision_id}" if state == "review" else ""
    say(f"{decision_id}: {state}{held}")
    if state in ("failed", "review"):
        raise typer.Exit(1)


@app.command()
def gate(
    power: Annotated[
        bool, typer.Option("--power", help="Rows and days that a promotion needs, per domain.")
    ] = False,
    gain: Annotated[
        float, typer.Option(help="True AUC gain of a challenger.", min=0.0001, max=0.5)
    ] = 0.005,
    correlation: Annotated[
        float, typer.Option(help="Of both models' scores; adapters: 0.94 up.", min=0, max=0.9999)
    ] = 0.94,
    rows: Annotated[int, typer.Option(help="Leave out domains with fewer rows a day.")] = 0,
    decisions: Annotated[
        int, typer.Option(help="Domains gated on one day; gate.correction shares the error.", min=1)
    ] = 1,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Rows and days that a promotion of a true gain needs, by the lake's latest days."""
    if not power:
        raise typer.BadParameter("say what to tell of the gate: --power")
    from driftune.adaptation.needs import gate_needs
    from driftune.cli.console import show_needs
    from driftune.registry.ledger import Ledger

    settings = load(config)
    with Ledger(settings) as ledger:
        found = gate_needs(settings, ledger, gain, correlation, rows, decisions)
    _print(found, as_json, quiet=True)
    if not as_json:
        show_needs(found)


@app.command()
def status(config: ConfigPath = PARAMS, as_json: AsJson = False) -> None:
    """Show every domain (champion, last drift, last decision), and which bundles serve where."""
    from driftune.registry.ledger import Ledger
    from driftune.registry.status import domain_status
    from driftune.serving.where import bundle_status

    settings = load(config)
    with Ledger(settings) as ledger:
        rows = domain_status(ledger)
        bundles = bundle_status(settings, ledger)
    if as_json:
        typer.echo(json.dumps({"domains": rows, "bundles": bundles}))
    else:
        from driftune.cli.console import show_status
        from driftune.cli.served import show_bundles

        show_status(rows)
        show_bundles(bundles)


@app.command()
def report(
    config: ConfigPath = PARAMS,
    drift: Annotated[
        str | None, typer.Option(help="Also write Evidently's page of this decision.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve it on this machine until Ctrl-C.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(help="Of --serve, 8420 by default; 0 picks a free one.", min=0, max=65535),
    ] = None,
) -> None:
    """Refresh the review site and print where it is; with --serve, serve it on 127.0.0.1."""
    if port is not None and not serve:
        raise typer.BadParameter("--port belongs to --serve")
    from driftune.drift.pages import write_drift_page
    from driftune.registry.ledger import Ledger
    from driftune.reports import build_site

    settings = load(config)
    with Ledger(settings) as ledger:
        if drift is not None:
            write_drift_page(settings, ledger, drift)
        index = build_site(settings, ledger)
    if serve:
        from driftune.reports.serve import PORT, serving

        with serving(index.parent, PORT if port is None else port) as server:
            say(f"{server.url} (Ctrl-C ends it)")
            server.wait()
    else:
        say(index)


@importers.command("kuairand")
def import_kuairand(
    source: Annotated[Path, typer.Argument(help="Folder of the parquet or CSV files.")],
    to: Annotated[Path, typer.Option(help="Folder for daily files and params.yaml.")],
) -> None:
    """KuaiRand-Pure: event-time days in Asia/Shanghai, one domain per tab."""
    from driftune.cli.console import progress
    from driftune.importers.kuairand import import_kuairand as read

    with progress():
        summary = read(source, to)
    say(
        f"{summary.rows:,} rows in {len(summary.days)} days"
        + (f"; kept the {summary.params} that was there" if summary.params_kept else "")
        + "; "
        f"next: driftune pretrain --config {summary.params}"
    )


@app.command()
def simulate(
    to: Annotated[Path, typer.Option(help="Folder for the daily files.")],
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of a simulation; without it, the demo's.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day to write.")] = None,
    last: Annotated[str | None, typer.Option("--to-day", help="Last day to write.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Also write the planted shifts here.")] = None,
    probabilities: Annotated[
        Path | None, typer.Option(help="Folder for the true probabilities of every row.")
    ] = None,
) -> None:
    """Write logs of a food-delivery platform, with planted interest shifts."""
    from driftune.config.loading import load_settings
    from driftune.simulate import SimulationConfig, demo_config, write_truth
    from driftune.simulate import simulate as write_days

    world = demo_config() if settings is None else load_settings(SimulationConfig, settings)
    low = world.start if first is None else day_of(first)
    high = world.last if last is None else day_of(last)
    days = [day for day in world.calendar if low <= day <= high]
    if not world.start <= low <= high <= world.last:
        raise typer.BadParameter(f"the simulation's days are {world.start} to {world.last}")
    paths = write_days(world, to, days=days, truth=probabilities)
    if truth is not None:
        write_truth(world, truth)
    say(f"{len(paths)} days in {to}")


def _print(figures: Mapping[str, Json], as_json: bool, quiet: bool = False) -> None:
    if as_json:
        typer.echo(json.dumps(figures, default=str))
    elif not quiet:
        for name, value in figures.items():
            shown = f"{value:.4f}" if isinstance(value, float) else value
            say(f"{name}: {shown}")
