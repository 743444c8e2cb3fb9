"""Commands on champions: by hand, back, their history, and what is out of line with them."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, load

if TYPE_CHECKING:
    from driftune.config import Config
    from driftune.registry.ledger import Ledger
    from driftune.registry.rows import Finding

app = typer.Typer()


@app.command()
def promote(
    decision_id: Annotated[str, typer.Argument(help="A rejected or undecided decision.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    config: ConfigPath = PARAMS,
) -> None:
    """Promote a challenger by hand, against the gate's verdict."""
    from driftune.adaptation.by_hand import promote_by_hand
    from driftune.notify.deliver import deliver
    from driftune.project import Project
    from driftune.reports import build_site

    settings = load(config)
    with Project(settings) as project:
        version = promote_by_hand(project, decision_id, reason)
        # Told first: a fault of the report does not undo it.
        say(f"{decision_id}: promoted as version {version}")
        build_site(settings, project.ledger)
        deliver(settings, project.ledger)


@app.command()
def rollback(
    domain: Annotated[str, typer.Argument(help="Name or key of the domain.")],
    to: Annotated[int | None, typer.Option(help="Version; 0 is the frozen base.")] = None,
    expect: Annotated[
        int | None,
        typer.Option(
            min=0, help="Version that is to be taken back; refused where another one serves."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")] = "by hand",
    config: ConfigPath = PARAMS,
) -> None:
    """Restore the domain's previous champion, or the newest one before it that can serve."""
    from driftune.notify.deliver import deliver
    from driftune.registry.ledger import Ledger
    from driftune.registry.rollback import rollback as roll_back
    from driftune.reports import build_site

    settings = load(config)
    with Ledger(settings) as ledger:
        key = key_of(settings, ledger, domain)
        found = roll_back(settings, ledger, key, to, reason, expect)
        # Told first: a fault of the report does not undo it.
        for line in found.skipped:
            say(f"{domain}: skipped: {line}")
        serving = f"version {found.version} serves" + ("" if found.version else " (frozen base)")
        say(f"{domain}: {serving}")
        build_site(settings, ledger)
        deliver(settings, ledger)


@app.command()
def history(
    domain: Annotated[str, typer.Argument(help="Name or key of the domain.")],
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Show a domain's switches of champion, and what was approved: when, who, why, what data."""
    from driftune.registry.history import switch_history
    from driftune.registry.ledger import Ledger
    from driftune.registry.redeciding import redecided_of
    from driftune.registry.review import reviews_of

    settings = load(config)
    with Ledger(settings) as ledger:
        key = key_of(settings, ledger, domain)
        rows = switch_history(ledger, key)
        told = reviews_of(ledger, key) + redecided_of(ledger, key)
        reviews = sorted(told, key=lambda each: each["at"])
    if as_json:
        found = {"domain": domain, "key": key, "switches": rows, "reviews": reviews}
        typer.echo(json.dumps(found))
    else:
        from driftune.cli.console import show_history

        show_history(rows, reviews)


@app.command()
def reconcile(config: ConfigPath = PARAMS, as_json: AsJson = False) -> None:
    """Free lost claims, repair champions' files and aliases, list what waits; 1 on a problem."""
    from driftune.notify.deliver import deliver
    from driftune.registry.ledger import Ledger
    from driftune.registry.reconcile import reconcile as bring_in_line

    settings = load(config)
    with Ledger(settings) as ledger:
        found = bring_in_line(settings, ledger)
        deliver(settings, ledger)
    findings: list[Finding] = [
        {"what": finding["what"], "ok": finding["ok"]}
        for part in found.values()
        for finding in part
    ]
    if as_json:
        typer.echo(json.dumps(found))
    else:
        from driftune.cli.console import show_findings

        show_findings(findings)
        if not findings:
            say("nothing waits, and there is no champion to mirror")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def key_of(config: "Config", ledger: "Ledger", domain: str) -> str:
    """The key of a domain given by name or key.

    Raises:
        RegistryError: when the ledger does not know it.
    """
    from driftune.domains import domain_key
    from driftune.errors import RegistryError
    from driftune.registry.status import domain_names

    known = domain_names(ledger)
    for key in (domain, domain_key(domain)):
        if key in known:
            return key
    names = ", ".join(sorted(set(known.values()))) or "none yet"
    raise RegistryError(f"domain '{domain}' is not known; there are: {names}")
