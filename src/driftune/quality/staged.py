"""A staged day: what validation judges and the commit takes."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from driftune.lake.evolution import Evolution
from driftune.lake.source import Fetched
from driftune.lake.suppressed import Suppressed
from driftune.quality.released import Release
from driftune.quality.rules import RowRule


@dataclass(frozen=True)
class Staged:
    """A staged day: ``staged`` (canonical) beside ``raw`` (as delivered) in ``database``, and a
    ``tally`` of the staged rows.

    The first two are views over the fetched files, which must stay until the day is committed.
    They lack the rows of the users whom the list ``erased`` names. ``content_hash`` is that of the
    delivery, ``released`` what was let out of its quarantine.
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
