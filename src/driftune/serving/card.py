"""The encoder's card, as a bundle has it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

# As features.encoder has it.
CLIP = 5.0


@dataclass(frozen=True)
class Card:
    """A fitted encoder but for its vocabulary: see ``features.encoder.Encoder``.

    ``stated``: columns of numbers that are another value when rows are scored; ``counted``: those
    that counters fill.
    """

    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    buckets: int
    numbers: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    stated: tuple[tuple[int, float], ...]
    counted: frozenset[int]
    debias: Mapping[str, float]
    clip: float = CLIP

    @cached_property
    def raw(self) -> dict[int, str]:
        """The roles and features that are numbers themselves, by their columns."""
        return {
            number: name.removeprefix("log_")
            for number, name in enumerate(self.numbers)
            if number not in self.counted
        }


def read_card(data: bytes, counted: Iterable[int]) -> Card:
    """Read the card from its file's bytes.

    Raises:
        ValueError, KeyError: when it is none.
    """
    said = json.loads(data)
    card = Card(
        fields=tuple(said["fields"]),
        sizes=tuple(said["sizes"]),
        buckets=int(said["buckets"]),
        numbers=tuple(said["numbers"]),
        means=tuple(said["means"]),
        scales=tuple(said["scales"]),
        stated=(),
        counted=frozenset(counted),
        debias=said["features"].get("debias", {}),
    )
    stated = [_stated(card, *each) for each in card.debias.items()]
    return replace(card, stated=tuple(stated))


def _stated(card: Card, role: str, value: float) -> tuple[int, float]:
    number = card.numbers.index(f"log_{role}")
    raw = math.copysign(math.log1p(abs(value)), value)
    scaled = (raw - card.means[number]) / card.scales[number]
    return number, max(-card.clip, min(card.clip, scaled))
