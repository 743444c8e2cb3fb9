"""A Data Docs page's view: what Great Expectations found on a day, section by section."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

from driftune.config import Config
from driftune.files import read_json
from driftune.workspace import Workspace

ROOT = "../"
log = logging.getLogger("driftune")


def docs_view(config: Config, day: date) -> dict[str, Any] | None:
    """The day's Data Docs as plain values; None when the day has no record of them."""
    path = Workspace(config).docs_record(day)
    if not path.exists():
        return None
    try:
        sections = read_json(path)
        statuses = [
            part["status"]
            for section in sections
            for table in section["tables"]
            for row in table["rows"]
            for cell in row
            for part in cell
            if "status" in part
        ]
    except (ValueError, TypeError, KeyError) as error:
        log.warning("%s: its Data Docs cannot be read: %s", day, error)
        sections, statuses = None, []
    return {
        "root": ROOT,
        "day": day.isoformat(),
        "sections": sections,
        "expectations": len(statuses),
        "broken": sum(status != "passed" for status in statuses),
    }


def docs_path(day: date) -> str:
    """Where the page lies in the site."""
    return str(Path("data_docs") / f"{day}.html")
