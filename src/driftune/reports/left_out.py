"""What was left out of delivered lists when they became rows, as a day's page counts it."""

from typing import TypedDict

from driftune.quality.record import DayQuality

# What the rules of source.explode count that never became a row, or a click.
COUNTED = {
    "list_empty": "delivered rows left out, whose lists have no element",
    "list_click_outside": "delivered rows whose click is none of their elements",
}


class LeftOut(TypedDict):
    """Something in delivered lists that made no row, or no click, and how often."""

    count: int
    what: str


def left_out(quality: DayQuality) -> list[LeftOut]:
    """What was left out of the lists of a day, of what its rules count; nothing without lists."""
    counted = {check["rule"]: check["unexpected"] for check in quality.checks}
    return [
        {"count": int(count), "what": what}
        for rule, what in COUNTED.items()
        if (count := counted.get(rule))
    ]
