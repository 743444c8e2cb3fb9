"""Lists in the logs: a delivered row that holds a whole list becomes a row for each element."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from driftune.config.base import Section

# The columns that are made beside those of ``Explode.columns``.
LIST_ID, PLACE, CLICKED = MADE = ("list_id", "list_place", "list_clicked")


class Clicked(Section):
    """Where a list's clicks stand when its elements do not have a label of their own.

    One of ``suffix``, ``at`` and ``ids``. The label is the column `list_clicked`.
    """

    suffix: str | None = Field(None, min_length=1)
    """The sign between id and label in an element such as `N123-1`: `-`."""
    at: str | None = None
    """The column with the place of the clicked element, or a list of places."""
    first: int = Field(1, ge=0, le=1)
    """The first place, as `at` counts: 1 or 0."""
    ids: str | None = None
    """The column with the clicked ids: one value, a list, or a text with `separator`."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        given = [name for name in ("suffix", "at", "ids") if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "says nothing"
            raise ValueError(f"{found}; give one of suffix, at and ids")
        return self


class Explode(Section):
    """Lists of a delivered row, side by side, whose elements become rows.

    The list is the role ``request`` (column `list_id`) and the element's place, from 1, the role
    ``position`` (`list_place`), where ``columns`` does not say otherwise.
    """

    columns: dict[str, str] = Field(min_length=1)
    """Columns of the rows that are made, and for each the list: the name of its column, or a path
    such as `shown.items.price`, through structs, to a field of its elements. Lists of several
    columns are taken side by side; the one that the role ``item`` names is what was shown."""
    separator: str | dict[str, str] | None = None
    """What stands between the elements of a text, for all or by column; null: texts are JSON
    arrays. Blanks around an element do not count."""
    clicked: Clicked | None = None
    """Where the clicks stand; null: a column of the elements is the label."""

    @field_validator("columns", mode="before")
    @classmethod
    def _named_alike(cls, given: Mapping[str, str] | list[str]) -> Mapping[str, str]:
        return {name: name for name in given} if isinstance(given, list) else given

    @field_validator("columns")
    @classmethod
    def _has_names(cls, columns: dict[str, str]) -> dict[str, str]:
        seen: set[str] = set()
        for name, path in columns.items():
            if name.lower() in {*MADE, *seen} or name.startswith("_driftune"):
                raise ValueError(f"{name!r} is taken; call it otherwise")
            if not name or not all(path.split(".")):
                raise ValueError(f"{name!r}: {path!r} is no column or path such as shown.item")
            seen.add(name.lower())
        return columns

    @field_validator("separator")
    @classmethod
    def _is_filled(cls, given: str | dict[str, str] | None) -> str | dict[str, str] | None:
        if "" in ([given] if isinstance(given, str) else list((given or {}).values())):
            raise ValueError("is empty; give the sign between elements, or null")
        return given

    @model_validator(mode="after")
    def _separates_lists(self) -> Self:
        if isinstance(self.separator, dict):
            for name in self.separator:
                if name not in self.sources:
                    there = ", ".join(self.sources)
                    raise ValueError(f"separator: {name!r} is none of its lists; there are {there}")
        return self

    @property
    def sources(self) -> dict[str, str]:
        """The columns or paths that it reads, with the params.yaml key that names each."""
        found = {path: f"source.explode.columns.{name}" for name, path in self.columns.items()}
        for name in ("at", "ids"):
            if self.clicked is not None and (path := getattr(self.clicked, name)) is not None:
                found[path] = f"source.explode.clicked.{name}"
        return found

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that it makes."""
        clicked = (CLICKED,) if self.clicked else ()
        return (*self.columns, LIST_ID, PLACE, *clicked)

    def separator_of(self, path: str) -> str | None:
        """What separates the elements of a text."""
        return self.separator.get(path) if isinstance(self.separator, dict) else self.separator
