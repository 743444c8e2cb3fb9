"""A Data Docs page's view: what Great Expectations found on a day, section by section."""

import logging
from datetime import date
from pathlib import Path
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import read_json
from driftune.quality.docs import DocPart, DocSection, DocTable
from driftune.reports.states import outcome_view

ROOT = "../"
log = logging.getLogger("driftune")


class PartView(TypedDict, total=False):
    """One of: a text, the mark of an outcome, a table."""

    text: str
    status: dict[str, str]
    table: "TableView"


class RowView(TypedDict):
    """A table's row; ``judged``: whether it has any outcome."""

    judged: bool
    intact: bool
    cells: list[list[PartView]]


class TableView(TypedDict):
    """A table of a section."""

    title: str
    head: list[str]
    rows: list[RowView]


class SectionView(TypedDict):
    """A section with the number of its expectations, and of the broken ones."""

    id: str
    title: str
    tables: list[TableView]
    expectations: int
    broken: int
    intact: bool


class DocsView(TypedDict):
    """The Data Docs page of a day."""

    root: str
    day: str
    sections: list[SectionView] | None
    expectations: int
    broken: int


def docs_view(config: Config, day: date, *, redelivery: bool = False) -> DocsView | None:
    """The Data Docs of a day or of its refused redelivery; None when there is no record of them.

    ``sections`` is None when the record is damaged. ``intact`` sections and rows are those whose
    expectations all passed; one without any expectation is not ``intact``.
    """
    path = Workspace(config).docs_record(day, redelivery=redelivery)
    if not path.exists():
        return None
    sections: list[SectionView] | None = None
    try:
        sections = [_section(n, section) for n, section in enumerate(read_json(path), 1)]
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s: its Data Docs cannot be read: %s", day, error)
    return {
        "root": ROOT,
        "day": day.isoformat(),
        "sections": sections,
        "expectations": sum(section["expectations"] for section in sections or []),
        "broken": sum(section["broken"] for section in sections or []),
    }


def docs_path(day: date, *, redelivery: bool = False) -> str:
    """Where the page lies in the site."""
    return str(Path("data_docs") / f"{day}{'.refused' if redelivery else ''}.html")


def _section(number: int, section: DocSection) -> SectionView:
    tables = [_table(table) for table in section["tables"]]
    outcomes = [row["intact"] for table in tables for row in table["rows"] if row["judged"]]
    broken = outcomes.count(False)
    return {
        "id": f"section-{number}",
        "title": str(section["title"]),
        "tables": tables,
        "expectations": len(outcomes),
        "broken": broken,
        "intact": bool(outcomes) and not broken,
    }


def _table(table: DocTable) -> TableView:
    return {
        "title": str(table["title"]),
        "head": [str(name) for name in table["head"]],
        "rows": [_row(row) for row in table["rows"]],
    }


def _row(cells: list[list[DocPart]]) -> RowView:
    statuses = [part["status"] for cell in cells for part in cell if "status" in part]
    return {
        "judged": bool(statuses),
        "intact": bool(statuses) and all(status == "passed" for status in statuses),
        "cells": [[_part(part) for part in cell] for cell in cells],
    }


def _part(part: DocPart) -> PartView:
    if "status" in part:
        return {"status": outcome_view(part["status"])}
    if "table" in part:
        return {"table": _table(part["table"])}
    return {"text": str(part["text"])}
