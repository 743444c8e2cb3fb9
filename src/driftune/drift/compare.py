"""A domain's window of the day and those of its reference days, as signals compare them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.cells import CATEGORIES, FIRST, MOST, NEW, NONE
from driftune.drift.readings import comparable_days, has_weekday

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile


@dataclass(frozen=True)
class Windows:
    """A domain's window of the day and those of its reference days.

    ``settled``: the reference days that the champion's predictions can be compared with: on the
    lake's first days its counters are young. ``lacking``: roles that the log has not; signals that
    need them are left out, and groups of items stand in for categories. ``partitions``: names of
    the declared features that rows are partitioned by.
    """

    key: str
    day: date
    current: "Profile"
    reference: Mapping[date, "Profile"]
    settled: frozenset[date]
    weekday_days: int
    top_categories: int
    min_rows: int
    seed: int
    lacking: frozenset[str] = frozenset()
    partitions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The counts of the day and of its reference that were asked for, by signal."""
        return {}

    @cached_property
    def days(self) -> list[date]:
        """The reference days, in order."""
        return sorted(self.reference)

    def reference_days(self, *, settled: bool) -> list[date]:
        """The reference days, or of them the ``settled`` ones alone."""
        return [day for day in self.days if day in self.settled] if settled else self.days

    def comparable_days(self, *, settled: bool) -> list[date]:
        """The reference days that the day is compared with: of its weekday where they suffice."""
        return comparable_days(self.day, self.reference_days(settled=settled), self.weekday_days)

    def is_matched(self, *, settled: bool = False) -> bool:
        """Whether the day is compared with days of its weekday alone."""
        return has_weekday(self.day, self.reference_days(settled=settled), self.weekday_days)

    @cached_property
    def groups(self) -> tuple[np.ndarray, list[int]]:
        """The group of every category cell, and one cell per group but the last, the rest."""
        shown = sum((self.reference[day].parts["shown"] for day in self.days), np.zeros(CATEGORIES))
        ranked = shown.copy()
        ranked[[NONE, NEW, FIRST + MOST]] = 0
        order = np.argsort(-ranked, kind="stable")[: self.top_categories]
        cells = [*(int(cell) for cell in order if ranked[cell] > 0), NONE, NEW]
        group = np.full(CATEGORIES, len(cells))
        group[cells] = np.arange(len(cells))
        return group, cells

    def by_category(self, profile: "Profile", part: str) -> np.ndarray:
        """A part's counts by group of categories (groups,)."""
        group, cells = self.groups
        return np.bincount(group, profile.parts[part], minlength=len(cells) + 1)

    def by_categories(self, profiles: Sequence["Profile"], part: str) -> np.ndarray:
        """A part's counts by group of categories (profiles, groups)."""
        group, cells = self.groups
        places = np.arange(len(profiles))[:, None] * (len(cells) + 1) + group
        counts = np.concatenate([profile.parts[part] for profile in profiles])
        found = np.bincount(places.ravel(), counts, minlength=len(profiles) * (len(cells) + 1))
        return found.reshape(len(profiles), -1)

    def group_names(self, names: Mapping[int, str]) -> list[str]:
        """The names of the groups of categories, no two alike; ``names``: of category cells."""
        _, cells = self.groups
        unique: list[str] = []
        for name in [*(names.get(cell, self._unnamed(cell)) for cell in cells), "(other)"]:
            new, number = name, len(unique)
            while new in unique:
                new, number = f"{name} ({number})", number + 1
            unique.append(new)
        return unique

    def _unnamed(self, cell: int) -> str:
        return f"group {cell}" if "category" in self.lacking else f"category {cell}"

    @cached_property
    def category_mix(self) -> np.ndarray:
        """Shares (groups,) in the reference of the categories that both sides have shown."""
        then = sum(self.by_category(self.reference[day], "shown") for day in self.days)
        both = np.where(self.by_category(self.current, "shown") > 0, then, 0.0)
        return np.asarray(both / max(both.sum(), 1.0))
