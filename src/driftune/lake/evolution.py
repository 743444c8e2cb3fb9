"""How a day's columns differ from those of the days before it."""

from dataclasses import dataclass

from driftune.lake.duck import identifier
from driftune.lake.kept import Kept


@dataclass(frozen=True)
class Change:
    """What is different, as a check of the day: ``rows`` have it."""

    rule: str
    sentence: str
    rows: int

    @classmethod
    def of(cls, rule: str, sentence: str, rows: int) -> "Change":
        """A change whose sentence is one line, whatever the names and values in it."""
        return cls(rule, " ".join(sentence.split()), rows)


@dataclass(frozen=True)
class Evolution:
    """Changes of a day's columns, the casts by which values read as they did before, and the
    columns that the lake keeps though no role names them."""

    types: dict[str, str]
    casts: dict[str, str]
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...] = ()

    def relation(self, view: str = "raw") -> str:
        """The view ``raw``, or another one of its columns, with the casts."""
        if not self.casts:
            return f"{view} AS raw"
        replaced = ", ".join(
            f"{_cast(identifier(name), kind)} AS {identifier(name)}"
            for name, kind in self.casts.items()
        )
        return f"(SELECT * REPLACE ({replaced}) FROM {view}) AS raw"


def _cast(column: str, kind: str) -> str:
    """A value as it read before; of text, what is no UUID keeps its writing."""
    if kind == "UUID":
        return f"coalesce(TRY_CAST({column} AS UUID)::VARCHAR, {column}::VARCHAR)"
    return f"TRY_CAST({column} AS {kind})"
