"""Data Docs: Great Expectations' rendered validation as plain values, for the review site.

GX's own page loads styles and scripts from other servers and does not escape values; what it says
is kept, and the site's templates show it.
"""

from string import Template
from typing import Any

from driftune.files import finite

_STATUS = {"text-success": "passed", "text-danger": "broken", "text-warning": "warned"}


def rendered(result: Any) -> list[dict[str, Any]]:
    """Sections of a validation result as GX's renderers word it.

    A section has ``title`` and ``tables``; a table ``title``, ``head`` and ``rows`` of cells; a
    cell is a list of parts, each with ``text``, ``status`` (passed, broken, warned) or ``table``.
    """
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    page = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    return sections(page.to_json_dict())


def sections(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Plain sections of a rendered document of GX (its JSON form)."""
    found = []
    for section in document.get("sections") or []:
        blocks = section.get("content_blocks") or []
        tables = [_table(block) for block in blocks if isinstance(block.get("table"), list)]
        if tables:
            found.append({"title": str(section.get("section_name") or ""), "tables": tables})
    return finite(found)


def _table(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": _words(block.get("header")),
        "head": [_words(cell) for cell in block.get("header_row") or []],
        "rows": [[_parts(cell) for cell in row] for row in block["table"]],
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
        return [{"table": _table(value)}]
    if isinstance(value.get("string_template"), dict):
        return _sentence(value["string_template"])
    return [part for name in ("header", "text", "collapse") for part in _parts(value.get(name))]


def _sentence(template: dict[str, Any]) -> list[dict[str, Any]]:
    params = template.get("params") or {}
    status = _status(template.get("styling") or {})
    if status:
        return [{"status": status}]
    words = {name: "" if value is None else str(value) for name, value in params.items()}
    text = Template(str(template.get("template") or "")).safe_substitute(words)
    text = " ".join(text.split())
    return [{"text": text}] if text else []


def _status(styling: dict[str, Any]) -> str | None:
    """The status that an icon shows."""
    icon = (styling.get("params") or {}).get("icon") or {}
    return next((_STATUS[name] for name in icon.get("classes") or [] if name in _STATUS), None)
