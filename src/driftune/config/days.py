"""The day in a template of file names: ``{day}``, or ``{day:%Y/%m/%d}`` in any form of strftime."""

import re
from datetime import date, timedelta

_DAY = re.compile(r"\{day(?::([^{}]*))?\}")
_HOURS = re.compile(r"%-?[HIMSfpXczZs]")
_UNKNOWN = re.compile(r"%-?(?![YymbBdjaAGgVUWuwhDFCe%])[^-]?", re.DOTALL)
_ISO = "%Y-%m-%d"
# A leap year and the one after it: forms that do not tell days apart meet within them.
_SPAN = [date(2024, 1, 1) + timedelta(days=n) for n in range(731)]


def with_day(template: str, day: date) -> str:
    """A template with the day filled in."""
    return _DAY.sub(lambda found: day.strftime(found[1] or _ISO), template)


def names_day(template: str) -> bool:
    """Whether a template holds the day, or its form."""
    return _DAY.search(template) is not None


def checked_template(template: str, *, each: bool = True) -> str:
    """A template that gives each day a name of its own; without ``each``, that names the day, its
    month or the like.

    Raises:
        ValueError: for one that does not.
    """
    if not names_day(template):
        raise ValueError("must contain {day}, or its form, such as {day:%Y/%m/%d}")
    for form in _DAY.findall(template):
        if hours := _HOURS.search(form):
            raise ValueError(f"{hours[0]} is no part of a day; write * for hours and minutes")
        if unknown := _UNKNOWN.search(form):
            raise ValueError(f"{unknown[0]} is no part of a day; there are %Y %y %m %b %B %d %j")
    if each and len({with_day(template, day) for day in _SPAN}) < len(_SPAN):
        raise ValueError("gives several days one name; write year, month and day: {day:%Y%m%d}")
    return template
