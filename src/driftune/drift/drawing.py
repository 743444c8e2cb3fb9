"""Drawing: the profiles of domains on days, drawn together; what fails for one stops no other.

A full disk is no domain's fault and ends the drawing: domains that are decided without the others
of their day are held to other limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from driftune.drift.profiles import Profile, Profiler
from driftune.lake.duck import is_out_of_room


@dataclass(frozen=True)
class Drawing:
    """Profiles by domain key and day; ``faults``: the error of each domain that has one."""

    profiler: Profiler
    profiles: dict[tuple[str, date], Profile] = field(default_factory=dict)
    faults: dict[str, Exception] = field(default_factory=dict)

    def draw(self, wanted: Mapping[date, list[str]]) -> None:
        """Draw the domains (keys) that are wanted of each day and have rows on it.

        Raises:
            Exception: what says that there is no room left.
        """
        for day, keys in sorted(wanted.items()):
            sound = [key for key in keys if key not in self.faults]
            for key, profile in self._of_day(day, sound).items():
                self.profiles[(key, day)] = profile

    def days_of(self, key: str, days: list[date]) -> list[date]:
        """Those of the days on which the domain has rows."""
        return [day for day in days if (key, day) in self.profiles]

    def _of_day(self, day: date, keys: list[str]) -> dict[str, Profile]:
        """The day's profiles: of all keys at once, or of each alone where that fails."""
        if not keys:
            return {}
        try:
            self.profiler.encode(day)
        except Exception as error:
            if is_out_of_room(error):
                raise
            self.faults.update(dict.fromkeys(keys, error))
            return {}
        try:
            return self.profiler.of_day(day, keys)
        except Exception as error:
            if is_out_of_room(error):
                raise
            return self._one_by_one(day, keys)

    def _one_by_one(self, day: date, keys: list[str]) -> dict[str, Profile]:
        found: dict[str, Profile] = {}
        for key in keys:
            alone = replace(self.profiler, bank=self.profiler.bank.alone(key))
            try:
                found |= alone.of_day(day, [key])
            except Exception as error:
                if is_out_of_room(error):
                    raise
                self.faults[key] = error
        return found
