"""Lines that are no rows: kept as they were delivered, with file, line and reason."""

from typing import NamedTuple

import numpy as np

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake.duck import Connection
from driftune.lake.readers.plain_text import PlainText
from driftune.lake.source import SourceFile

_SHOWN = 60


class TooManyUnreadableError(SourceError):
    """A file more of whose lines are no rows than the configuration tolerates.

    It may still be used where the day has enough other lines, unless it has no ``rows`` at all.
    """

    def __init__(self, message: str, rows: int, unreadable: int) -> None:
        super().__init__(message)
        self.rows, self.unreadable = rows, unreadable


class Unreadable(NamedTuple):
    """Lines of one file: their numbers (from 1), what is wrong with each, and their text."""

    lines: np.ndarray
    problems: np.ndarray
    texts: np.ndarray

    def without_blank(self) -> "Unreadable":
        """The lines that hold a sign."""
        kept = np.array([bool(str(text).strip("\r\n")) for text in self.texts], bool)
        return Unreadable(self.lines[kept], self.problems[kept], self.texts[kept])


def create_unreadable(con: Connection) -> None:
    """Create the empty table ``unreadable``."""
    con.execute(
        "CREATE TABLE unreadable (file VARCHAR, line BIGINT, problem VARCHAR, text VARCHAR)"
    )


def keep_unreadable(con: Connection, file: SourceFile, broken: Unreadable) -> None:
    """Add a file's lines to the table ``unreadable``."""
    con.execute(
        "INSERT INTO unreadable SELECT ?, unnest(?::BIGINT[]), unnest(?::VARCHAR[]), "
        "unnest(?::VARCHAR[])",
        [file.uri, broken.lines.tolist(), broken.problems.tolist(), broken.texts.tolist()],
    )


def check_end(text: PlainText, last: int, problem: str) -> None:
    """See that a file does not end within a row, as one does whose writer was stopped.

    ``last`` is its last line that is no row, and ``problem`` what is wrong with it.

    Raises:
        SourceError: when that is the end of the file, and has no line end.
    """
    if text.open_end and last == text.before + text.lines:
        raise SourceError(
            f"{text.file.uri}: breaks off in its last line, {last}, which {problem} and has no "
            "line end; none of its rows is used; deliver it again"
        )


def too_many(config: Config, rows: int, unreadable: int) -> bool:
    """Whether more lines are no rows than the configuration tolerates, or all are none."""
    tolerated = config.quality.max_rejected_share * (rows + unreadable) if rows else 0
    return unreadable > tolerated


def refusal(
    file: SourceFile, rows: int, unreadable: int, line: int, why: str, text: str
) -> TooManyUnreadableError:
    """The error for a file too many of whose lines are no rows, with the first of them."""
    start = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    message = (
        f"{file.uri}: {unreadable:,} of {rows + unreadable:,} lines are no rows; the first is line "
        f"{line}, which {why}: {' '.join(start.split())!r}; none is used; deliver the file again"
    )
    return TooManyUnreadableError(message, rows, unreadable)
