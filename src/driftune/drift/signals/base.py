"""What a drift signal is: how it is compared, what it says, and from which effect on it matters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NotRequired, TypedDict

from driftune.config.drift import MinEffect
from driftune.drift.compare import Windows
from driftune.drift.readings import Reading

Kind = Literal["traffic", "interest", "performance"]
# Rows that a sentence names.
MOVERS = 3

Move = TypedDict("Move", {"name": str, "from": float, "to": float, "weight": NotRequired[float]})
"""A category, hour or kind: what it was in the reference (``from``) and on the day (``to``);
``weight``: how much it counts among the others."""

Facts = TypedDict(
    "Facts",
    {
        "rows": NotRequired[list[Move]],
        "from": NotRequired[float | None],
        "to": NotRequired[float | None],
    },
)
"""What a signal was and is: one figure ``from`` and ``to``, or ``rows`` of them."""


@dataclass(frozen=True)
class Signal(ABC):
    """One way in which a domain's day may differ from its reference.

    ``kind``: ``traffic`` is what was shown, ``interest`` what people did with it, ``performance``
    how well the champion foresaw it; only performance says that the champion is being hurt.
    ``label`` names it in sentences, ``unit`` is that of its distance, ``measure`` says what the
    rows of its facts show. ``of_champion``: it compares the champion's predictions, so that days
    on which the counters were young do not count. ``needs``: the role without which there is no
    such signal.
    """

    name: str
    label: str
    kind: Kind
    unit: str
    measure: str = ""
    of_champion: bool = False
    needs: Literal["category", "price"] | None = None

    # Evidently's test of it, where Evidently measures its distance.
    evidently: ClassVar[Literal["jensenshannon", "wasserstein"] | None] = None

    @abstractmethod
    def reading(self, windows: Windows) -> Reading | None:
        """Compare the day with its reference, and reference days with each other.

        None when either side has nothing to compare.
        """

    def readings(self, many: Sequence[Windows]) -> list[Reading | None]:
        """The readings of many domains; none depends on the others."""
        return [self.reading(windows) for windows in many]

    @abstractmethod
    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """What it was in the reference and on the day; ``names`` are those of category cells.

        None where there is nothing to tell.
        """

    def threshold(self, limits: MinEffect) -> float:
        """What it must move by, beyond the usual, to matter."""
        return limits.distance

    def say(self, facts: Facts) -> str:
        """The moved signal in words: "categories clicked: noodles +9 points, coffee −6 points"."""
        rows = facts.get("rows")
        if rows is not None:
            moves = ", ".join(self.say_move(row) for row in self.largest(rows))
            return f"{self.label}: {moves}" if moves else self.label
        before, after = facts.get("from"), facts.get("to")
        if before is None or after is None:
            return self.label
        return self.say_figure(before, after)

    def say_figure(self, before: float, after: float) -> str:
        """The words of a signal that is one figure."""
        return f"{self.label} {before:.1%} → {after:.1%}"

    def say_move(self, row: Move) -> str:
        """The words of one row."""
        points = 100 * (row["to"] - row["from"])
        size = f"{abs(points):.0f}" if abs(points) >= 0.95 else f"{abs(points):.1f}"
        return f"{row['name']} {'+' if points >= 0 else '−'}{size} points"

    def moved_by(self, row: Move) -> float | None:
        """How much a row moved, to rank it among the others; None: it is not named."""
        return abs(row["to"] - row["from"])

    def largest(self, rows: Sequence[Move]) -> list[Move]:
        """The rows that moved most."""
        sized = [(size, row) for row in rows if (size := self.moved_by(row)) is not None]
        order = sorted(range(len(sized)), key=lambda place: -sized[place][0])
        return [sized[place][1] for place in order[:MOVERS] if sized[place][0] > 0]

    def show_figure(self, value: float) -> str:
        """A row's figure on a page."""
        return f"{value:.1%}"
