"""Commands on quarantine: what a day's holds, and letting rows or domains of it in."""

import json
from typing import Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, Json, day_of, load

app = typer.Typer(help="Rejected rows: what they are, and letting them in after a fix.")

Day = Annotated[str, typer.Argument(help="YYYY-MM-DD.")]


@app.command()
def show(
    day: Day,
    reason: Annotated[str | None, typer.Option(help="Only rows with this reason.")] = None,
    domain: Annotated[str | None, typer.Option(help="Only a domain's, by name or key.")] = None,
    limit: Annotated[int, typer.Option(help="So many rows at most.", min=0)] = 20,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Show a day's rejected rows as they were delivered, and their number by reason and domain.

    A release is in force, of another delivery, or pending: no run under it has ended, and the next
    one of the day will.
    """
    from driftune.quality.shown import NotThereError, quarantined

    chosen = day_of(day)
    try:
        found = quarantined(load(config), chosen, reason, domain, limit)
    except NotThereError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    say(f"{found['day']}: {found['verdict']}, {found['rejected']:,} rows rejected")
    for refused in found["refused_domains"]:
        say(f"  {refused['domain']}: refused whole: {'; '.join(refused['why'])}")
    for count in found["counts"]:
        where = count["domain"] or "no domain"
        say(f"  {count['rows']:,} {count['reason']} · {where} · {count['file']}")
    for row in found["rows"]:
        say(json.dumps(row, default=str, ensure_ascii=False))
    for entry in found["releases"]:
        what = ", ".join([*entry["reasons"], *entry["domains"]]) or "judged again"
        say(f"  released {entry['at']} by {entry['by']}: {what} ({entry['why']}): {entry['state']}")


@app.command()
def release(
    day: Day,
    why: Annotated[str, typer.Option(help="Why the rows are good; kept in the audit.")],
    reason: Annotated[
        list[str] | None,
        typer.Option(
            help="Let rows in that were rejected for this alone: convert_without_click, "
            "duplicate or number_unreadable; repeatable."
        ),
    ] = None,
    domain: Annotated[
        list[str] | None, typer.Option(help="Let a refused domain's rows in; repeatable.")
    ] = None,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Bring a day in again with what it names let in, read from the source, in one transaction.

    Without --reason and --domain the day is judged again by the rules that params.yaml has now, as
    driftune run does, too. A release holds for the delivery that was looked at: another one is
    judged afresh. Rows without user, item, time, domain or readable labels can never be encoded
    and stay out.
    """
    from driftune.intake.release import release_day
    from driftune.registry.ledger import Ledger
    from driftune.reports import build_site

    settings = load(config)
    with Ledger(settings) as ledger:
        done = release_day(settings, ledger, day_of(day), reason or [], domain or [], why)
        build_site(settings, ledger)
    figures: dict[str, Json] = {
        "day": day,
        "verdict": done.quality.verdict,
        "rows": done.quality.accepted,
        "rejected": done.quality.rejected,
        "revision": done.revision,
        "changed": done.changed,
    }
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        what = "" if done.changed else ", as before"
        say(
            f"{day}: {done.quality.held:,} rows in the lake{what}, {done.quality.rejected:,} "
            f"rejected (revision {done.revision}); next: driftune run --day {day}"
        )
