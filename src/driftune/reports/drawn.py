"""What the review site shows already, so that a refresh also draws what a killed one has left."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from driftune.io import read_json, write_text
from driftune.registry.decision_queries import Stamp
from driftune.reports.history import History

_NAME = ".drawn"


@dataclass(frozen=True)
class Drawn:
    """The days' stamps, the newest switch and the domains (keys) that the pages were last drawn
    from."""

    stamps: dict[str, Stamp]
    switch: int
    domains: list[str]

    @classmethod
    def of(cls, history: History) -> "Drawn":
        """What pages are drawn from now."""
        switch = max((row.id for row in history.switches), default=0)
        return cls(history.stamps, switch, sorted(history.domains))

    @classmethod
    def read(cls, home: Path) -> "Drawn | None":
        """What the site's folder says; None when it says nothing that can be read."""
        try:
            found = read_json(home / _NAME)
            stamps = {day: (count, times) for day, (count, times) in found["stamps"].items()}
            return cls(stamps, int(found["switch"]), [*found["domains"]])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, home: Path) -> None:
        """Keep it in the site's folder; call it when the pages are there."""
        if self != Drawn.read(home):
            write_text(home / _NAME, json.dumps(asdict(self), sort_keys=True))

    def days_since(self, past: "Drawn", history: History) -> list[date]:
        """The days that show anything that has changed since ``past``: decisions, or the link to
        the page of a domain that had none."""
        days = {*self.stamps, *past.stamps}
        changed = {day for day in days if self.stamps.get(day) != past.stamps.get(day)}
        new = {*self.domains} - {*past.domains}
        changed |= {
            entry.text
            for entry in history.recorded
            if new and entry.quality and any(row["key"] in new for row in entry.quality.domains)
        }
        return [date.fromisoformat(day) for day in sorted(changed)]
