"""Data Docs: Great Expectations' rendered validation as plain values, for the review site.

GX's own page loads styles and scripts from other servers and does not escape values; what it says
is kept, and the site's templates show it.
"""

from string import Template
from typing import Any

from driftune.io import finite

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


def rendered(result: Any) -> list[dict[str, Any]]:
    """Sections of a validation result as GX's renderers word it.

    A section has ``title`` and ``tables``; a table ``title``, ``head`` and ``rows`` of cells; a
    cell is a list of parts, each with ``text``, ``status`` (passed, broken, warned) or ``table``.
    """
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    page = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    return sections(page.to_json_dict())


def sections(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Plain sections of a rendered document of GX (its JSON form).

    A block that is no table becomes a table of one cell; one without text is skipped.
    """
    found = []
    for section in document.get("sections") or []:
        title = str(section.get("section_name") or "")
        blocks = [_block(block, title) for block in section.get("content_blocks") or []]
        tables = [table for table in blocks if table is not None]
        if tables:
            found.append({"title": title, "tables": tables})
    return finite(found)


def _block(block: Any, section: str) -> dict[str, Any] | None:
    """The table of a block; None when it says no more than the section's title."""
    if isinstance(block, dict) and isinstance(block.get("table"), list):
        return _table(block)
    title = _words(block.get("header")) if isinstance(block, dict) else ""
    parts = _parts({**block, "header": None} if isinstance(block, dict) else block)
    if title == section:
        title = ""
    if not parts and not title:
        return None
    return {"title": title, "head": [], "rows": [[parts]] if parts else []}


def _table(block: dict[str, Any]) -> dict[str, Any]:
    rows = [row if isinstance(row, list) else [row] for row in block["table"]]
    return {
        "title": _words(block.get("header")),
        "head": [_words(cell) for cell in block.get("header_row") or []],
        "rows": [[_parts(cell) for cell in row] for row in rows],
    }


def _words(value: Any) -> str:
    return " ".join(part["text"] for part in _parts(value) if "text" in part)


def _parts(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [part for one in value for part in _parts(one)]
    if not isinstance(value, dict):
        return [{"text": str(value)}]
    if isinstance(value.get("table"), list):
        return [{"table": _table(value)}] if value["table"] else []
    if isinstance(value.get("string_template"), dict):
        return _sentence(value["string_template"])
    return [part for name in _TEXTS for part in _parts(value.get(name))]


def _sentence(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The status that the template's icon shows, and its lines with their values filled in."""
    status = _status(template.get("styling") or {})
    words = {
        name: "" if value is None or name.startswith(_HTML) else str(value)
        for name, value in (template.get("params") or {}).items()
    }
    parts = [{"status": status}] if status else []
    for line in str(template.get("template") or "").splitlines():
        text = " ".join(Template(line).safe_substitute(words).split())
        if text:
            parts.append({"text": text})
    return parts


def _status(styling: dict[str, Any]) -> str | None:
    icon = (styling.get("params") or {}).get("icon") or {}
    return next((_STATUS[name] for name in icon.get("classes") or [] if name in _STATUS), None)
