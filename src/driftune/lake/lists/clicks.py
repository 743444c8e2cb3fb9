"""Where the clicks of a list stand, as SQL: in its elements, as places, or as ids."""

import re
from typing import Protocol

from driftune.config.explode import PLACE
from driftune.lake.duck import literal
from driftune.lake.lists.paths import ListPath

# Names of lambdas' parameters, which hide columns that are called so.
_M, _E = "_driftune_m", "_driftune_e"


class Clicks(Protocol):
    """The clicks of a list.

    ``source``: the column that says them, if any. ``marks``: SQL of what it says of a row, which
    the row's elements see as ``_driftune_marks``. ``outside``: the condition on a row one of whose
    clicks is no element.
    """

    source: ListPath | None
    marks: str
    outside: str

    def shown(self, element: str) -> str:
        """SQL of what was shown."""

    def label(self, element: str) -> str:
        """SQL of an element's label, null or another text where none can be read."""


class Suffix:
    """The label stands behind the id: `N123-1`."""

    def __init__(self, sign: str, first: ListPath) -> None:
        self.source: ListPath | None = None
        self.marks, self.outside = "NULL", "false"
        # The last sign counts: ids may hold it, too.
        self.pattern = literal(f"(?s)(.*){re.escape(sign)}(.*)")
        self.first = first

    def shown(self, element: str) -> str:
        """What stands before the sign."""
        text = self.first.text(element)
        before = f"nullif(regexp_extract({text}, {self.pattern}, 1), '')"
        return f"CASE WHEN regexp_full_match({text}, {self.pattern}) THEN {before} ELSE {text} END"

    def label(self, element: str) -> str:
        """What stands behind it; null where it is not there."""
        return f"nullif(regexp_extract({self.first.text(element)}, {self.pattern}, 2), '')"


class At:
    """A column holds the places of the clicked elements."""

    def __init__(self, source: ListPath, first: ListPath, start: int) -> None:
        self.source: ListPath | None = source
        self.first = first
        number = f"TRY_CAST({_M} AS DOUBLE)"
        place = f"CASE WHEN {number} = trunc({number}) THEN {number}::BIGINT - {start} + 1 END"
        # What lies before the first place, or is -1, says that there was no click.
        none = f"{_M} IS NULL OR {_M} > 0"
        places = f"list_transform({_filled(source)}, lambda {_M}: {place})"
        self.marks = f"list_filter({places}, lambda {_M}: {none})"
        length = f"coalesce(len({first.sql}), 0)"
        self.outside = f"len(list_filter({self.marks}, lambda {_M}: {_M} > {length})) > 0"

    def shown(self, element: str) -> str:
        """The value itself."""
        return self.first.field(element)

    def label(self, element: str) -> str:
        """1 at a clicked place; null in a list one of whose places is no number."""
        unreadable = f"len(list_filter(_driftune_marks, lambda {_M}: {_M} IS NULL)) > 0"
        clicked = f"coalesce(list_contains(_driftune_marks, {PLACE}), false)"
        return f"CASE WHEN {unreadable} THEN NULL ELSE {clicked}::TINYINT END"


class Ids:
    """A column holds the clicked ids."""

    def __init__(self, source: ListPath, first: ListPath) -> None:
        self.source: ListPath | None = source
        self.first = first
        self.marks = _filled(source)
        elements = f"coalesce(list_transform({first.sql}, lambda {_E}: {first.text(_E)}), [])"
        none = f"lambda {_M}: NOT list_contains({elements}, {_M})"
        self.outside = f"len(list_filter({self.marks}, {none})) > 0"

    def shown(self, element: str) -> str:
        """The value itself."""
        return self.first.field(element)

    def label(self, element: str) -> str:
        """1 for a clicked id."""
        return (
            f"coalesce(list_contains(_driftune_marks, {self.first.text(element)}), false)::TINYINT"
        )


def _filled(source: ListPath) -> str:
    """What a column says, as texts without nulls and empty ones; of a null, an empty list."""
    texts = f"list_transform({source.sql}, lambda {_M}: trim({source.text(_M)}))"
    return f"coalesce(list_filter({texts}, lambda {_M}: {_M} <> ''), [])"
