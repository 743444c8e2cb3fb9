"""The releases of a day's quarantine, as its page tells them."""

import logging
from datetime import date
from typing import TypedDict

from driftune.config import Config
from driftune.errors import DriftuneError
from driftune.quality.shown import IN_FORCE, LAPSED, PENDING, releases

log = logging.getLogger("driftune")


class Chip(TypedDict):
    """How an outcome is shown: colour, mark and word."""

    style: str
    mark: str
    label: str


STATES: dict[str, Chip] = {
    IN_FORCE: {"style": "v-ok", "mark": "✓", "label": "in force"},
    PENDING: {"style": "v-warning", "mark": "!", "label": "pending"},
    LAPSED: {"style": "v-none", "mark": "·", "label": "of another delivery"},
}
HINTS = {
    PENDING: "No run under it has ended yet: the next run or release of the day ends it.",
    LAPSED: "The day was delivered anew since, and judged without it.",
}


class ReleaseView(TypedDict):
    """A release: when, by whom, why, of what (``names``), and where it stands."""

    at: str
    by: str
    why: str
    names: list[str]
    chip: Chip
    hint: str | None


def releases_view(config: Config, day: date) -> list[ReleaseView]:
    """What was released of the day, newest first; nothing where its record is damaged."""
    try:
        found = releases(config, day)
    except DriftuneError as error:
        log.warning("%s", error)
        return []
    return [
        {
            "at": entry["at"],
            "by": entry["by"],
            "why": entry["why"],
            "names": [*entry["reasons"], *entry["domains"]],
            "chip": STATES[entry["state"]],
            "hint": HINTS.get(entry["state"]),
        }
        for entry in reversed(found)
    ]
