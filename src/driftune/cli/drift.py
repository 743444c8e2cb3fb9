"""``driftune drift``: thresholds for drift.triggers from the team's own stable days."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, Json, load

if TYPE_CHECKING:
    from driftune.drift.triggers.propose import Proposal

app = typer.Typer()


@app.command()
def drift(
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="Propose thresholds for drift.triggers.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option(help="Wanted per 100 days of a domain.", min=0.01, max=50)
    ] = 1.0,
    days: Annotated[
        int, typer.Option(help="Newest days whose decisions are looked at.", min=1)
    ] = 60,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Propose thresholds for drift.triggers from stable days, as YAML for params.yaml.

    For the triggers of params.yaml that Evidently measures, or for one of each column where there
    is none. Measured are days found stable, and reference days against one another.
    """
    if not thresholds:
        raise typer.BadParameter("say what is to be done: --thresholds")
    from driftune.cli.console import progress
    from driftune.drift.triggers.propose import propose
    from driftune.progress import report
    from driftune.registry.ledger import Ledger

    settings = load(config)
    with Ledger(settings) as ledger, progress():
        found = propose(settings, ledger, false_alarms / 100, days, report)
    if as_json:
        typer.echo(json.dumps({"triggers": [_document(each) for each in found]}))
        return
    say("drift:")
    say("  triggers:")
    for name in settings.drift.deciding:
        say(f"  - {name}")
    for each in found:
        say(f"  - {_entry(each)}   # {_about(each)}")


def _document(proposal: "Proposal") -> Json:
    entry = proposal.entry.model_dump(mode="json", exclude_none=True)
    measured = proposal.rate is not None
    return {
        "trigger": entry if measured else None,
        "what": proposal.entry.what,
        "method": proposal.entry.method,
        "domain_days": proposal.days,
        "false_alarms_per_100": None if proposal.rate is None else 100 * proposal.rate,
        "enough_days": proposal.enough,
    }


def _entry(proposal: "Proposal") -> str:
    """The entry as one line of YAML."""
    import yaml

    values = proposal.entry.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    values["action"] = proposal.entry.action
    flow = yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=10_000)
    return flow.strip()


def _about(proposal: "Proposal") -> str:
    if proposal.rate is None:
        return "no stable day to measure; this threshold rests on nothing"
    rate = f"{100 * proposal.rate:.2g} false alarms per 100 of {proposal.days:,} stable domain-days"
    return rate if proposal.enough else f"{rate}: too few days for fewer; the largest value"
