"""Data Docs: Great Expectations' rendered validation as plain values, for the review site.

GX's own page loads styles and scripts from other servers and does not escape values; what it says
is kept, and the site's templates show it.
"""

from string import Template
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

from driftune.io import Json, JsonObject, finite

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
    )


class DocPart(TypedDict):
    """One of: a text, a status (passed, broken, warned), a table."""

    text: NotRequired[str]
    status: NotRequired[str]
    table: NotRequired["DocTable"]


class DocTable(TypedDict):
    """A table; a cell is a list of parts."""

    title: str
    head: list[str]
    rows: list[list[list[DocPart]]]


class DocSection(TypedDict):
    """A section of the page."""

    title: str
    tables: list[DocTable]


_STATUS = {"text-success": "passed", "text-danger": "broken", "text-warning": "warned"}
# Where GX's blocks other than tables and sentences keep their text, in reading order.
_TEXTS = (
    "header",
    "subheader",
    "text",
    "markdown",
    "bullet_list",
    "value_list",
    "content_blocks",
    "collapse",
)
# Parameters that hold HTML, not text.
_HTML = "html_"


def rendered(result: "ExpectationSuiteValidationResult") -> list[DocSection]:
    """Sections of a validation result as GX's renderers word it."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    page = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    return sections(cast(JsonObject, page.to_json_dict()))


def sections(document: JsonObject) -> list[DocSection]:
    """Plain sections of a rendered document of GX (its JSON form).

    A block that is no table becomes a table of one cell; one without text is skipped.
    """
    found: list[DocSection] = []
    for section in _objects(document.get("sections")):
        title = str(section.get("section_name") or "")
        blocks = [_block(block, title) for block in _list(section.get("content_blocks"))]
        tables = [table for table in blocks if table is not None]
        if tables:
            found.append({"title": title, "tables": tables})
    plain: list[DocSection] = finite(found)
    return plain


def _block(block: Json, section: str) -> DocTable | None:
    """The table of a block; None when it says no more than the section's title."""
    if isinstance(block, dict) and (rows := _table_rows(block)) is not None:
        return _table(block, rows)
    title = _words(block.get("header")) if isinstance(block, dict) else ""
    parts = _parts({**block, "header": None} if isinstance(block, dict) else block)
    if title == section:
        title = ""
    if not parts and not title:
        return None
    return {"title": title, "head": [], "rows": [[parts]] if parts else []}


def _table_rows(block: JsonObject) -> list[Json] | None:
    rows = block.get("table")
    return rows if isinstance(rows, list) else None


def _table(block: JsonObject, listed: list[Json]) -> DocTable:
    rows = [row if isinstance(row, list) else [row] for row in listed]
    return {
        "title": _words(block.get("header")),
        "head": [_words(cell) for cell in _list(block.get("header_row"))],
        "rows": [[_parts(cell) for cell in row] for row in rows],
    }


def _words(value: Json) -> str:
    return " ".join(part["text"] for part in _parts(value) if "text" in part)


def _parts(value: Json) -> list[DocPart]:
    if value is None:
        return []
    if isinstance(value, list):
        return [part for one in value for part in _parts(one)]
    if not isinstance(value, dict):
        return [{"text": str(value)}]
    if (rows := _table_rows(value)) is not None:
        return [{"table": _table(value, rows)}] if rows else []
    template = value.get("string_template")
    if isinstance(template, dict):
        return _sentence(template)
    return [part for name in _TEXTS for part in _parts(value.get(name))]


def _sentence(template: JsonObject) -> list[DocPart]:
    """The status that the template's icon shows, and its lines with their values filled in."""
    status = _status(_object(template.get("styling")))
    words = {
        name: "" if value is None or name.startswith(_HTML) else str(value)
        for name, value in _object(template.get("params")).items()
    }
    parts: list[DocPart] = [{"status": status}] if status else []
    for line in str(template.get("template") or "").splitlines():
        text = " ".join(Template(line).safe_substitute(words).split())
        if text:
            parts.append({"text": text})
    return parts


def _status(styling: JsonObject) -> str | None:
    icon = _object(_object(styling.get("params")).get("icon"))
    classes = [str(name) for name in _list(icon.get("classes"))]
    return next((_STATUS[name] for name in classes if name in _STATUS), None)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [part for part in _list(value) if isinstance(part, dict)]
