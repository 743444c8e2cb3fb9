"""Commands of review first: what waits for approval, approve it, decline it."""

import json
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from driftune.cli.flow_runs import running
from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, load
from driftune.redact import redact

if TYPE_CHECKING:
    from driftune.config import Config

app = typer.Typer()


class Reviewed(TypedDict):
    """What became of one decision; ``state`` is None and ``ok`` false where it did not wait."""

    decision: str
    state: str | None
    told: str
    ok: bool


@app.command()
def approve(
    decision_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of decisions that wait for approval.")
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", "--decline", help="Decline them; needs --why.")
    ] = False,
    why: Annotated[str | None, typer.Option(help="Kept in the audit.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only list what waits.")] = False,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Let decisions be adapted for that review: first holds; exit 1 if one did not wait."""
    given = decision_ids or []
    if show == bool(given):
        raise typer.BadParameter("give the ids of decisions, or --list")
    if show and (reject or why is not None):
        raise typer.BadParameter("--reject and --why belong to decisions")
    settings = load(config)
    if show:
        _list(settings, as_json)
        return
    lines, accepted = _review(settings, given, reject, why)
    if as_json:
        typer.echo(json.dumps({"decisions": lines}))
    else:
        for line in lines:
            say(f"{line['decision']}: {line['told']}", err=not line["ok"])
    if accepted:
        from driftune.registry.ledger import Ledger
        from driftune.reports import build_site

        with Ledger(settings) as ledger:
            build_site(settings, ledger)
    if not all(line["ok"] for line in lines):
        raise typer.Exit(1)


def _list(settings: "Config", as_json: bool) -> None:
    from driftune.registry.ledger import Ledger
    from driftune.registry.review import awaiting

    with Ledger(settings) as ledger:
        rows = awaiting(ledger)
    if as_json:
        names = ("id", "domain", "domain_key", "day", "score", "sentence", "stale")
        found = [{name: getattr(row, name) for name in names} for row in rows]
        typer.echo(json.dumps({"waiting": found}))
        return
    for row in rows:
        stale = f" (stale: {row.stale})" if row.stale else ""
        say(f"{row.id}  {row.domain}: {row.sentence}{stale}")
    if not rows:
        say("nothing waits for approval")


def _review(
    settings: "Config", decision_ids: list[str], reject: bool, why: str | None
) -> tuple[list[Reviewed], bool]:
    """A line per decision, and whether any of them is in another state now."""

    from driftune.errors import LedgerError, RegistryError
    from driftune.owners import user_name
    from driftune.registry.ledger import Ledger
    from driftune.registry.review import approve as let
    from driftune.registry.review import decline

    lines: list[Reviewed] = []
    changed = False
    for decision_id in dict.fromkeys(decision_ids):
        try:
            with Ledger(settings) as ledger:
                if reject:
                    found = decline(ledger, decision_id, user_name(), why or "")
                else:
                    reason = why or "no reason given"
                    found = let(ledger, decision_id, user_name(), reason)
        except (LedgerError, RegistryError) as error:
            told = str(error).removeprefix(f"{decision_id}: ")
            lines.append({"decision": decision_id, "state": None, "told": told, "ok": False})
            continue
        changed = True
        told = found.told
        if found.state == "pending":
            told += f"; {_wake(settings, decision_id)}"
        ok = found.state != "superseded"
        lines.append({"decision": decision_id, "state": found.state, "told": told, "ok": ok})
    return lines, changed


def _wake(settings: "Config", decision_id: str) -> str:
    """Emit the event that starts the adaptation, where one does; who adapts, in words."""
    later = f"the next daily run adapts, or: driftune adapt {decision_id}"
    if settings.trigger != "event":
        return later
    try:
        with running(settings, "tasks.drift"):
            from tasks.drift import alert

            alert(settings, decision_id)
    except Exception as error:
        return f"no event ({type(error).__name__}: {redact(str(error))}); {later}"
    return "the event wakes up the adapt deployment"
