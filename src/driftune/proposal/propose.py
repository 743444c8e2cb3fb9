"""Propose: from files of logs to a params.yaml that reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from driftune.config.explode import Explode
from driftune.errors import ConfigError, SourceError
from driftune.proposal.columns import Column, columns_of, sampled
from driftune.proposal.files import DailyFiles, daily_files, log_files, shared_template
from driftune.proposal.lists import explode_sample, find_lists
from driftune.proposal.roles import Guess, Value, guess_roles
from driftune.proposal.split import days_of
from driftune.proposal.text import NEEDED, params_text
from driftune.proposal.times import TimeWriting, time_value, times_of


@dataclass(frozen=True)
class Proposal:
    """What files of logs are, what their columns may mean, and how these write times."""

    files: DailyFiles
    explode: Explode | None
    lists: str
    columns: tuple[Column, ...]
    guesses: tuple[Guess, ...]
    times: Mapping[str, TimeWriting | None]

    @property
    def questions(self) -> list[Guess]:
        """What could not be told."""
        return [guess for guess in self.guesses if guess.sure == "question"]

    @property
    def lacking(self) -> list[Guess]:
        """The roles that no column gives and every configuration needs."""
        return [g for g in self.guesses if g.value is None and g.role in NEEDED]

    def text(self, timezone: str = "UTC") -> str:
        """The params.yaml."""
        return params_text(self.files, self.explode, self.guesses, self.columns, timezone)

    def answered(self, answers: Mapping[str, str]) -> "Proposal":
        """The same with columns for some roles.

        Raises:
            ConfigError: for a role or a column that is not there.
        """
        roles, columns = [guess.role for guess in self.guesses], {c.name: c for c in self.columns}
        for role, name in answers.items():
            if role not in roles:
                raise ConfigError(f"--answer {role}=…: there is no such role; {', '.join(roles)}")
            if name not in columns:
                raise ConfigError(f"--answer {role}={name}: no such column; {', '.join(columns)}")
        guesses = [
            _answer(guess, column, self.times.get(column.name)) if column else guess
            for guess in self.guesses
            for column in [columns.get(answers.get(guess.role, ""))]
        ]
        return replace(self, guesses=tuple(guesses))


def propose(
    given: Sequence[Path], root: Path, timezone: str = "UTC", time: str | None = None
) -> Proposal:
    """Look at files of logs; ``root`` is the folder that params.yaml will lie in.

    Of files that hold many days, ``time`` is the column that says a row's day in ``timezone``, by
    default the one that reads as a time best.

    Raises:
        SourceError: when there are none, their names write no day, or one cannot be read.
    """
    files = _by_day(given, root, timezone, time)
    days = list(files.days)
    looked = sorted({days[0], days[len(days) // 2], days[-1]})
    with sampled(list(dict.fromkeys(files.days[day][0] for day in looked))) as con:
        columns = columns_of(con)
        times = times_of(con, columns, {})
        found = find_lists(con, columns, times)
        explode, why = found if found else (None, "")
        if explode is not None:
            explode_sample(con, explode, str(files.days[days[0]][0]))
            columns = columns_of(con, [column.name for column in columns if column.is_field])
            kept = {name: each for name, each in times.items() if name not in explode.made}
            times = times_of(con, columns, kept)
        guesses = guess_roles(con, columns, len(looked), times, explode)
    return Proposal(files, explode, why, tuple(columns), tuple(guesses), times)


def _by_day(given: Sequence[Path], root: Path, timezone: str, time: str | None) -> DailyFiles:
    """Files by the day of their names; where none writes one, by the times of their rows."""
    files = log_files(given)
    template = shared_template(files, root)
    if template is None:
        return daily_files(given, root)
    try:
        days = days_of(files, time, timezone)
    except SourceError:
        days = []
    # Without a time nothing says the day, which is what is to be said.
    return (
        DailyFiles(template, {day: tuple(files) for day in days}, True)
        if days
        else (daily_files(given, root))
    )


def _answer(guess: Guess, column: Column, writing: TimeWriting | None) -> Guess:
    """A guess that was told its column."""
    value: Value = time_value(column, writing) if guess.role == "time" else column.role
    return replace(guess, value=value, sure="sure", why="as answered", others=())
