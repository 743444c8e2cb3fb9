"""What every reader makes of a delivered file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from driftune.errors import SourceError
from driftune.lake.duck import first_line
from driftune.lake.source import SourceFile

# DuckDB names the second of two columns that differ only in case like this.
_NUMBERED = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Part:
    """A delivered file as a relation.

    ``relation``: SQL over its ``rows`` with the delivered ``columns`` (and their DuckDB types) and
    ``_driftune_row`` (1 … in the order of the file). ``unreadable``: how many lines could not be
    read as rows; they lie in the table ``unreadable``. ``derived``: columns of ``relation`` that
    hold what the roles make of the texts (see ``lake.derived``).
    """

    file: SourceFile
    relation: str
    columns: dict[str, str]
    rows: int
    unreadable: int = 0
    derived: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether its file says no types: every scalar is the text that was written."""
        return self.file.format != "parquet"


def empty_part(file: SourceFile) -> Part:
    """A file that holds nothing: no rows, and none of the columns that others have."""
    return Part(file, "(SELECT 0 AS _driftune_row WHERE false)", {}, 0)


def check_names(file: SourceFile, names: Sequence[str]) -> None:
    """See that a file's columns have different names, also where case does not count.

    Raises:
        SourceError: for two columns of one name; no query could tell them apart.
    """
    if own := [name for name in names if name.lower().startswith("_driftune_")]:
        raise SourceError(
            f"{file.uri}: has the column '{_line(own[0])}'; names that begin with _driftune_ are "
            "taken; deliver it under another one"
        )
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.lower())
        seen[name.lower()] = name
        if other is not None:
            both = f"'{other}' and '{name}'" if other != name else f"'{name}' twice"
            raise SourceError(
                f"{file.uri}: has the columns {_line(both)}; names that differ only in case are "
                "one; deliver it with one spelling"
            )


def may_be_renamed(names: Sequence[str]) -> bool:
    """Whether a column may have its name from DuckDB, as the second of two of one name."""
    lower = {name.lower() for name in names}
    return any(_NUMBERED.sub("", name.lower()) in lower - {name.lower()} for name in names)


def broken_off(file: SourceFile, error: Exception) -> SourceError:
    """The error for a file that cannot be read to its end."""
    return SourceError(
        f"{file.uri}: breaks off or is damaged ({_line(first_line(error))}); deliver it again"
    )


def not_of_format(file: SourceFile, error: Exception) -> SourceError:
    """The error for a file that is not of the format that its name or the configuration says."""
    return SourceError(
        f"{file.uri}: cannot be read as {file.format} ({_line(first_line(error))}); "
        "deliver the file again or set source.format"
    )


def _line(text: str) -> str:
    return " ".join(text.split())
