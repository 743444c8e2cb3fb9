"""Propose: from files of logs to a params.yaml that reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from driftune.config.explode import CLICKED, LIST_ID, PLACE, Explode
from driftune.errors import ConfigError
from driftune.proposal.columns import Column, columns_of, sampled
from driftune.proposal.files import DailyFiles, daily_files
from driftune.proposal.lists import explode_sample, find_lists
from driftune.proposal.roles import Guess, Value, guess_roles
from driftune.proposal.text import params_text


@dataclass(frozen=True)
class Proposal:
    """What files of logs are, and what their columns may mean."""

    files: DailyFiles
    explode: Explode | None
    lists: str
    columns: tuple[Column, ...]
    guesses: tuple[Guess, ...]

    @property
    def questions(self) -> list[Guess]:
        """What could not be told."""
        return [guess for guess in self.guesses if guess.sure == "question"]

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
            _answer(guess, columns[answers[guess.role]]) if guess.role in answers else guess
            for guess in self.guesses
        ]
        return replace(self, guesses=tuple(guesses))


def propose(given: Sequence[Path], root: Path) -> Proposal:
    """Look at files of logs; ``root`` is the folder that params.yaml will lie in.

    Raises:
        SourceError: when there are none, their names write no day, or one cannot be read.
    """
    files = daily_files(given, root)
    days = list(files.days)
    looked = sorted({days[0], days[len(days) // 2], days[-1]})
    with sampled([files.days[day][0] for day in looked]) as con:
        columns = columns_of(con)
        found = find_lists(con, columns)
        explode, why = found if found else (None, "")
        if explode is not None:
            explode_sample(con, explode)
            columns = columns_of(con, [column.name for column in columns if column.is_field])
        guesses = guess_roles(con, columns, len(looked), explode.columns if explode else ())
    if explode is not None:
        guesses = _of_lists(guesses, explode)
    return Proposal(files, explode, why, tuple(columns), tuple(guesses))


def _of_lists(guesses: Sequence[Guess], explode: Explode) -> list[Guess]:
    """The guesses where a list says the request, the place and the click."""
    known = {"request": LIST_ID, "position": PLACE}
    if explode.clicked:
        known["click"] = CLICKED
    return [
        replace(guess, value=known[guess.role], sure="sure", why="made by source.explode")
        if guess.role in known
        else guess
        for guess in guesses
    ]


def _answer(guess: Guess, column: Column) -> Guess:
    """A guess that was told its column."""
    value: Value = column.role
    if guess.role == "time":
        # What is known of how a column writes times holds for that column alone.
        same = isinstance(guess.value, dict) and guess.value.get("column") == column.name
        value = guess.value if same else {"column": column.name}
    return replace(guess, value=value, sure="sure", why="as answered", others=())
