"""``driftune init``: a params.yaml from files of logs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import available_timezones

import typer

from driftune.cli.lines import say
from driftune.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftune.proposal.propose import Proposal
    from driftune.proposal.roles import Guess
    from driftune.registry.rows import Finding

app = typer.Typer()


@app.command()
def init(
    files: Annotated[list[Path], typer.Argument(help="Files of some days, or folders of them.")],
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("params.yaml"),
    answer: Annotated[
        list[str] | None, typer.Option(help="A role's column, such as domain=scene; repeat it.")
    ] = None,
    split_to: Annotated[
        Path | None,
        typer.Option(help="An empty folder: files that hold many days are split into it by day."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="IANA zone of the days.")] = "UTC",
    yes: Annotated[bool, typer.Option("--yes", help="Take the best guess where unsure.")] = False,
) -> None:
    """Look at a few days of logs and write a params.yaml for them, each guess with its reason."""
    from driftune.cli.seen import show_roles
    from driftune.config.loading import load_config
    from driftune.deployment.doctor import examine
    from driftune.deployment.roles import see_roles
    from driftune.io import replacing
    from driftune.proposal.propose import propose
    from driftune.proposal.split import UNREADABLE, split_days
    from driftune.proposal.text import reference_days
    from driftune.training.pretrain import has_backbone

    if to.exists():
        raise ConfigError(f"{to}: is there already; give another one with --to")
    if timezone not in available_timezones():
        raise ConfigError(
            f"--timezone {timezone}: is no IANA time zone; write one such as Europe/Berlin"
        )
    answers = _answers(answer or [])
    if split_to is not None:
        found = split_days(files, answers.get("time"), timezone, split_to)
        say(f"{split_to}: {found.rows:,} rows of {found.days:,} days, by {found.column}")
        if found.unreadable:
            say(f"{found.unreadable:,} rows whose time cannot be read: {split_to / UNREADABLE}")
        files = [split_to]
    proposal = propose(files, to.resolve().parent, timezone, answers.get("time")).answered(answers)
    _show(proposal)
    if not yes:
        proposal = _asked(proposal)
    if lacking := proposal.lacking:
        raise _unknown(lacking)
    with replacing(to) as part:
        part.write_text(proposal.text(timezone), encoding="utf-8")
        try:
            load_config(part)
        except ConfigError as error:
            said = str(error).replace(str(part), str(to))
            raise ConfigError(f"{said}; nothing was written") from None
    say(f"{to}: written; it is a proposal: read it")
    config = load_config(to)
    seen = see_roles(config)
    show_roles(seen)
    _show_findings(examine(config, seen=seen), trained=has_backbone(config))
    days = list(proposal.files.days)
    rest = days[reference_days(len(days)) :] or days[-1:]
    say(f"next: driftune replay --from {rest[0]} --to {rest[-1]} -c {to}")


def _answers(given: list[str]) -> dict[str, str]:
    """Answers by role.

    Raises:
        typer.BadParameter: for one that is no ROLE=COLUMN.
    """
    found = {}
    for each in given:
        role, sign, name = each.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"--answer {each}: write ROLE=COLUMN, such as domain=scene")
        found[role] = name
    return found


def _show(proposal: "Proposal") -> None:
    days = list(proposal.files.days)
    say(
        f"{len(days)} day{'s' if len(days) > 1 else ''}, {days[0]} to {days[-1]}: "
        f"{proposal.files.template}"
    )
    if proposal.lists:
        say(f"lists: {proposal.lists}")
    for guess in proposal.guesses:
        if guess.value is not None or guess.sure == "question":
            say(f"{guess.role}: {guess.value or '?'} ({guess.sure}; {guess.why})")


def _show_findings(findings: "Sequence[Finding]", *, trained: bool) -> None:
    """Say what was found; that a model is not ``trained`` yet is nothing to do by hand."""
    for finding in findings:
        if trained or finding["ok"] or "driftune pretrain" not in finding["what"]:
            say(f"{'ok' if finding['ok'] else 'to do'}: {finding['what']}")
    if not trained:
        say("backbone: none yet; the next command pre-trains one first")


def _unknown(guesses: "Sequence[Guess]", remedy: str = "") -> ConfigError:
    """That roles are not known."""
    asked = "; ".join(f"{guess.role}: {guess.why}" for guess in guesses)
    return ConfigError(f"cannot tell {asked}; say --answer {guesses[0].role}=COLUMN{remedy}")


def _asked(proposal: "Proposal") -> "Proposal":
    """The proposal with the questions answered at the terminal.

    Raises:
        ConfigError: where nobody can be asked, or an answer is missing.
    """
    open_ones = proposal.questions
    if not open_ones:
        return proposal
    if not sys.stdin.isatty():
        raise _unknown(open_ones, ", or --yes for the best guess")
    answers = {}
    for guess in open_ones:
        best = guess.value if isinstance(guess.value, str) else ""
        others = f" ({', '.join(guess.others)})" if guess.others else ""
        name = typer.prompt(f"{guess.role}{others}", default=best, show_default=bool(best))
        if name:
            answers[guess.role] = str(name)
    return proposal.answered(answers)
