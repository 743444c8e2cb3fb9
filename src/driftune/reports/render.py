"""Jinja2 for the review site: strict, escaping, with the formats that all pages share."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias, TypeGuard, TypeVar

from driftune.content_policy import SITE, in_page
from driftune.reports.figures import draw, in_script
from driftune.visible import visible

NOTHING = "–"
# What a template shows by name: plain values, lists and dicts of them.
View = Mapping[str, object]
# What a format may be given.
Value: TypeAlias = float | str | None
Shown = TypeVar("Shown")


class Renderer:
    """Renders the package's templates from plain values."""

    def __init__(self) -> None:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup

        def shown(value: Shown) -> Shown | str:
            plain = isinstance(value, str) and not isinstance(value, Markup)
            return visible(str(value)) if plain else value

        class Views(Environment):
            """Looks for a key first: views are dicts, and a failed ``getattr`` is slow."""

            def getattr(self, obj: object, attribute: str) -> object:
                if isinstance(obj, dict) and attribute in obj:
                    return obj[attribute]
                return super().getattr(obj, attribute)

        self.environment = Views(
            loader=PackageLoader("driftune.reports"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=shown,
        )
        self.environment.filters |= {
            "number": number,
            "decimal": decimal,
            "signed": signed,
            "share": share,
            "moment": moment,
            "short": short,
            "month": month,
            "visible": visible,
            "lines": lambda text: Markup.escape(visible(text, keep="\n\t")),
        }
        self.environment.globals |= {
            "policy": in_page(SITE),
            "draw": lambda spec: Markup(draw(spec)),
            "in_script": lambda value: Markup(in_script(value)),
        }

    def render(self, template: str, view: View) -> str:
        """The page's text."""
        return self.environment.get_template(template).render(view)


def _usable(value: Value) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: Value) -> str:
    """A count with thousands separated; a dash when it is missing."""
    return f"{value:,.0f}" if _usable(value) else NOTHING


def decimal(value: Value, digits: int = 4) -> str:
    """A number with fixed digits; a dash when it is missing or not finite."""
    return f"{value:.{digits}f}" if _usable(value) else NOTHING


def signed(value: Value, digits: int = 4) -> str:
    """A difference with its sign; a dash when it is missing or not finite."""
    return f"{value:+.{digits}f}" if _usable(value) else NOTHING


def share(value: Value, digits: int = 1) -> str:
    """A share of 1 as a percentage; a dash when it is missing."""
    return f"{value:.{digits}%}" if _usable(value) else NOTHING


def moment(value: Value) -> str:
    """Seconds since 1970 as a time in UTC."""
    if not _usable(value):
        return NOTHING
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")


def month(text: str) -> str:
    """A month, 2026-03, as people write it."""
    return f"{datetime.strptime(text, '%Y-%m'):%B %Y}"


def short(text: str, length: int = 60) -> str:
    """The text cut to a length, the cut shown by an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
