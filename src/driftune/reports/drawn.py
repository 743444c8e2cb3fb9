"""What the review site shows already, so that a refresh also draws what a killed one has left."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from driftune.files import read_json, write_text
from driftune.reports.decided import Stamp
from driftune.reports.history import History

_NAME = ".drawn"


@dataclass(frozen=True)
class Drawn:
    """The days' stamps and the newest switch that the pages were last drawn from."""

    stamps: dict[str, Stamp]
    switch: int

    @classmethod
    def of(cls, history: History) -> "Drawn":
        """What pages are drawn from now."""
        return cls(history.stamps, max((row.id for row in history.switches), default=0))

    @classmethod
    def read(cls, home: Path) -> "Drawn | None":
        """What the site's folder says; None when it says nothing that can be read."""
        try:
            found = read_json(home / _NAME)
            stamps = {day: (count, times) for day, (count, times) in found["stamps"].items()}
            return cls(stamps, int(found["switch"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, home: Path) -> None:
        """Keep it in the site's folder; call it when the pages are there."""
        text = json.dumps({"stamps": self.stamps, "switch": self.switch}, sort_keys=True)
        if self != Drawn.read(home):
            write_text(home / _NAME, text)

    def days_since(self, past: "Drawn") -> list[date]:
        """The days whose decisions have changed since ``past``."""
        days = {*self.stamps, *past.stamps}
        changed = (day for day in days if self.stamps.get(day) != past.stamps.get(day))
        return [date.fromisoformat(day) for day in sorted(changed)]
