"""A staged day: what validation judges and the commit takes."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.lake.evolution import Evolution
from driftune.lake.side_tables import Matched
from driftune.lake.source import Fetched
from driftune.lake.store import store_of
from driftune.lake.suppressed import Suppressed
from driftune.quality.released import Release
from driftune.quality.rules import RowRule


@dataclass(frozen=True)
class Staged:
    """A staged day: ``staged`` (canonical) beside ``raw`` (as delivered) in ``database``, and a
    ``tally`` of the staged rows.

    The first two are views over the fetched files, which must stay until the day is committed.
    They lack the rows of the users whom the list ``erased`` names. ``content_hash`` is that of the
    delivery, ``released`` what was let out of its quarantine, ``reach`` the files and folders that
    DuckDB may open for the day, ``matched`` what is known of its side tables.
    """

    day: date
    database: Path
    rules: tuple[RowRule, ...]
    content_hash: str
    rows: int
    fetched: Fetched
    evolution: Evolution
    released: Release
    erased: Suppressed
    reach: tuple[Path, ...]
    matched: tuple[Matched, ...] = ()

    @property
    def has_conversions(self) -> bool:
        """Whether the log has a label of conversions, which is then judged by a rule."""
        return any(rule.name == "convert_label" for rule in self.rules)


def within_reach(config: Config, fetched: Fetched, database: Path) -> tuple[Path, ...]:
    """What DuckDB may open to take a day in: its files, the folder of the staged day, the lake, the
    encoder, and where its quarantine goes."""
    workspace = Workspace(config)
    files = [file.path for file in fetched.every]
    quarantine = workspace.quarantine(fetched.day).parent
    return (*files, database.parent, store_of(config).place, workspace.model, quarantine)
