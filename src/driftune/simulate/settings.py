"""What a simulation is made of: its calendar, its sizes and the interest shifts planted in it."""

from datetime import date, timedelta
from itertools import product
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DOMAIN_JOIN = " · "

Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]


def domain_name(*parts: str) -> str:
    """Return the name of a domain, e.g. ``home · north`` or ``home · north · lunch``."""
    return DOMAIN_JOIN.join(parts)


Kind = Literal[
    "abrupt",
    "gradual",
    "recurring",
    "surge",
    "label_only",
    "traffic_only",
    "shock",
    "creep",
    "segment",
    "price",
    "position",
    "item_age",
]
# The settings that an event of each kind has beside domain, day and size.
NEEDED: dict[str, tuple[str, ...]] = {
    "abrupt": ("favour", "against"),
    "gradual": ("favour", "against", "over"),
    "recurring": ("favour", "against", "every", "length"),
    "surge": ("favour", "length", "items"),
    "label_only": ("favour", "against"),
    "traffic_only": ("favour", "against"),
    "shock": ("favour", "against"),
    "creep": ("favour", "against", "over"),
    "segment": ("favour", "against"),
    "price": (),
    "position": (),
    "item_age": (),
}


class Event(BaseModel):
    """A planted event: from ``day`` on, the domain's taste over categories differs.

    ``size`` scales it; at 1.0 a favoured category gains, and one that is disfavoured loses,
    ``world.SHIFT`` on the logit scale. Kinds: ``abrupt``; ``gradual``, in equal steps ``over`` so
    many days; ``recurring``, for ``length`` days of each ``every``; ``surge``, some ``items`` of
    the favoured categories are shown and liked much more for ``length`` days; ``label_only``,
    tastes change and what is shown does not; ``traffic_only``, the other way round; ``shock``, for
    one day alone; ``creep``, over so many days in steps that cost a model about the same each.

    These leave the domain's tastes over categories, and what is shown, as they are: ``segment``,
    the tastes of one hidden segment of users turn and those of all others turn the other way, so
    that no category gains in the mean; ``price``, users mind high prices less, at size 0.5 not at
    all, and beyond it prefer them; ``position``, clicks fade faster with the position, at size 1
    twice as fast; ``item_age``, new items are liked more and old ones less.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: Name
    day: date
    kind: Kind = "abrupt"
    size: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    favour: Names | None = None
    against: tuple[Name, ...] = ()
    over: int | None = Field(default=None, ge=2)
    every: int | None = Field(default=None, ge=2)
    length: int | None = Field(default=None, ge=1)
    items: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _settings_of_the_kind(self) -> "Event":
        needed = NEEDED[self.kind]
        for name in ("favour", "against", "over", "every", "length", "items"):
            given = bool(getattr(self, name))
            if given != (name in needed):
                verb = "has no" if given else "needs"
                raise ValueError(f"an event of kind {self.kind} {verb} {name}")
        if self.kind == "recurring" and (self.length or 0) >= (self.every or 0):
            raise ValueError(f"length {self.length} must be less than every {self.every}")
        return self

    @model_validator(mode="after")
    def _sides_differ(self) -> "Event":
        both = sorted(set(self.favour or ()) & set(self.against))
        if both:
            raise ValueError(f"categories both favoured and disfavoured: {', '.join(both)}")
        return self


class SimulationConfig(BaseModel):
    """The whole of a simulation; equal settings give equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=7, ge=0)
    start: date
    days: int = Field(gt=0)
    rows_per_domain: int = Field(
        default=3000, gt=0, description="mean impressions per day and domain"
    )
    users: int = Field(default=4000, ge=50)
    items: int = Field(default=600, ge=50)
    scenes: Names = ("home", "search")
    regions: Names = ("north", "harbour", "old town")
    categories: Names = (
        "noodles",
        "burgers",
        "salads",
        "coffee",
        "breakfast",
        "sushi",
        "curry",
        "desserts",
    )
    periods: dict[Name, tuple[int, int]] = Field(
        default={}, description="parts of the day, each from an hour to another; none: no parts"
    )
    volumes: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0,), min_length=1, description="multiples of rows_per_domain, over and over"
    )
    volume_noise: float = Field(default=0.02, ge=0, le=1)
    seasonality: float = Field(
        default=0.0, ge=0, description="how far tastes follow the weekday, on the logit scale"
    )
    taste_noise: float = Field(
        default=0.0, ge=0, description="how far tastes wander from day to day, on the logit scale"
    )
    taste_persistence: float = Field(
        default=0.0,
        ge=0,
        le=0.98,
        description="autocorrelation from day to day of what taste_noise and common_noise draw",
    )
    common_noise: float = Field(
        default=0.0,
        ge=0,
        description="how far tastes wander in all domains alike, on the logit scale",
    )
    segments: int = Field(default=0, ge=0, description="hidden segments of users; 0: none")
    segment_taste: float = Field(
        default=0.0, ge=0, description="how far tastes differ by segment, on the logit scale"
    )
    arrivals: float = Field(
        default=0.0, ge=0, le=0.9, description="share of the items that launch after the first day"
    )
    events: tuple[Event, ...] = ()

    @field_validator("periods")
    @classmethod
    def _hours_in_order(cls, periods: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        for name, (first, end) in periods.items():
            if not 0 <= first < end <= 24:
                raise ValueError(f"period {name}: hours {first} to {end} are not within 0 to 24")
        return periods

    @field_validator("scenes", "regions", "categories")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names must differ")
        return names

    @model_validator(mode="after")
    def _restaurants_cover_categories(self) -> "SimulationConfig":
        if len(self.categories) > self.restaurants:
            raise ValueError(
                f"{len(self.categories)} categories need at least "
                f"{5 * len(self.categories)} items, got {self.items}"
            )
        return self

    @model_validator(mode="after")
    def _events_fit(self) -> "SimulationConfig":
        for event in self.events:
            if event.domain not in self.domains:
                raise ValueError(f"event in unknown domain {event.domain!r}")
            unknown = sorted({*(event.favour or ()), *event.against} - set(self.categories))
            if unknown:
                raise ValueError(f"event names unknown categories: {', '.join(unknown)}")
            if event.kind == "segment" and self.segments < 2:
                raise ValueError(
                    f"an event of kind segment needs segments of 2 or more, got {self.segments}"
                )
            if not self.start < event.day <= self.last:
                raise ValueError(
                    f"event day {event.day} must lie after {self.start} and not after {self.last}"
                )
        return self

    @property
    def restaurants(self) -> int:
        """Number of restaurants; each sells five items on average, all of one category."""
        return self.items // 5

    @property
    def domains(self) -> list[str]:
        """Names of the domains, scene by scene."""
        parts = [self.scenes, self.regions, *([tuple(self.periods)] if self.periods else [])]
        return [domain_name(*names) for names in product(*parts)]

    def parts(self, domain: int) -> tuple[int, int, int]:
        """Scene, region and period of a domain, as indexes."""
        rest, period = divmod(domain, max(1, len(self.periods)))
        return *divmod(rest, len(self.regions)), period

    def hours(self, domain: int) -> tuple[int, int]:
        """The hours of the day in which a domain has impressions: from the first up to the end."""
        spans = list(self.periods.values())
        return spans[self.parts(domain)[2]] if spans else (0, 24)

    @property
    def last(self) -> date:
        """The last simulated day."""
        return self.start + timedelta(days=self.days - 1)

    @property
    def calendar(self) -> list[date]:
        """The simulated days in order."""
        return [self.start + timedelta(days=offset) for offset in range(self.days)]
