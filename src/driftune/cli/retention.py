"""Commands of retention: what age drops, and users who are erased."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftune.cli.lines import say
from driftune.cli.options import PARAMS, AsJson, ConfigPath, load
from driftune.errors import ConfigError

if TYPE_CHECKING:
    from driftune.retention.erase import Erased

app = typer.Typer()

# The exit code of an erasure of ids among which nothing holds some.
UNKNOWN = 3


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Drop what is past the days that retention in params.yaml keeps, and tell what stays and why.

    Safe while runs work: what is current stays, unfinished files do for a day.
    """
    from driftune.registry.ledger import Ledger
    from driftune.retention.prune import plan
    from driftune.retention.prune import prune as drop

    settings = load(config)
    with Ledger(settings) as ledger:
        if dry_run:
            aged, kept = plan(settings, ledger)
            dropped = [(each, each.bytes) for each in aged]
        else:
            dropped, kept = drop(settings, ledger)
    freed = sum(size for _, size in dropped)
    if as_json:
        document = {
            "dry_run": dry_run,
            "dropped": [{"kind": e.kind, "what": e.what, "bytes": size} for e, size in dropped],
            "bytes": freed,
            "kept": [asdict(each) for each in kept],
        }
        typer.echo(json.dumps(document))
        return
    for each, size in dropped:
        said = "would drop" if dry_run else "dropped"
        say(f"{said}  {each.kind}: {each.what} ({size / 1e6:.2f} MB)")
    for why in kept:
        say(f"kept  {why.kind}: {why.why}")
    say(f"{len(dropped)} in all, {freed / 1e6:.1f} MB" + (" (dry run)" if dry_run else ""))


@app.command()
def erase(
    user: Annotated[
        list[str] | None, typer.Option(help="The user's id as the lake has it; repeatable.")
    ] = None,
    users_file: Annotated[
        Path | None, typer.Option(help="Text file of more ids, one a line.")
    ] = None,
    why: Annotated[str, typer.Option(help="Who asked for it; kept in the audit.")] = "on request",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    in_advance: Annotated[
        bool, typer.Option("--in-advance", help="Keep ids that nothing holds out of later files.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Erase all who were ever erased again: after a backup was put back, or when the "
            "list or the ledger lost some. No ids are needed.",
        ),
    ] = False,
    forget_lost: Annotated[
        bool,
        typer.Option(
            "--forget-lost", help="As --again, and give up erasures that only the lake knows of."
        ),
    ] = False,
    config: ConfigPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Erase users: lake, its old versions, quarantine, records, pages; later files bring none back.

    The audit and the list that keeps them out, on disk and in the ledger, know them by keyed
    hashes. The source's own files, a DVC remote and backups are not rewritten. Killed in between,
    say it again.

    Exit code 3: nothing holds one of the ids (lake, quarantine, records); the others are erased.
    Such an id is told, with ids that differ in letter case, blanks, leading zeros or .0 alone.
    """
    from driftune.registry.ledger import Ledger
    from driftune.retention.erase import apply_again, read_users, would_erase
    from driftune.retention.erase import erase as erase_users

    settings = load(config)
    users = [*(user or []), *(read_users(users_file) if users_file is not None else [])]
    if (again or forget_lost) and (users or in_advance or dry_run):
        raise ConfigError("--again and --forget-lost take no users, --in-advance or --dry-run")
    with Ledger(settings) as ledger:
        if again or forget_lost:
            found = apply_again(settings, ledger, why, forget_lost=forget_lost)
        elif dry_run:
            found = would_erase(settings, ledger, users, in_advance=in_advance)
        else:
            found = erase_users(settings, ledger, users, why, in_advance=in_advance)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "dry_run": dry_run}))
    else:
        _tell(found, dry_run, again=again or forget_lost)
    _tell_unknown(found)


def _tell(found: "Erased", dry_run: bool, *, again: bool) -> None:
    """Print what was erased, or would be."""
    if again and not found.users:
        say("erased again: nothing held rows of users who were erased; list and ledger agree")
    for name, day in found.before.items():
        say(f"{name!r}: was erased on {day}; nothing has held it since")
    if not found.users:
        return
    said = "would be erased" if dry_run else "erased again" if again else "erased"
    say(
        f"{said} of {_counted(len(found.users))}: {found.rows:,} rows of {len(found.days)} days, "
        f"{found.old_files} files of old versions, {found.encoded} encoded days, "
        f"{found.quarantined} quarantined rows, {found.records} records, "
        f"{found.vocabulary} entries of the vocabulary"
    )
    for name in found.elsewhere:
        say(f"still named in {name}: not rewritten; see to it yourself")
    if not dry_run:
        say(
            "the source's files, the DVC remote and backups are not Driftune's to rewrite; rows of "
            "these users in them stay out of the lake"
        )


def _tell_unknown(found: "Erased") -> None:
    """Name the ids that nothing holds, each in one line, and end with their exit code."""
    from driftune.retention.asked import told

    for name, alike in found.unknown.items():
        say(told(name, alike), err=True)
    if found.unknown:
        raise typer.Exit(UNKNOWN)


def _counted(users: int) -> str:
    return "1 user" if users == 1 else f"{users} users"
