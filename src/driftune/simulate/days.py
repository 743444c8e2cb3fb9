"""Drawing one day: requests by the hour, what the policy shows, who clicks and orders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftune.simulate.events import mood_on
from driftune.simulate.policy import DEPTHS, draw_depth, draw_slates, flat_positions, item_shares
from driftune.simulate.response import (
    Impressions,
    Levels,
    calibrate,
    probability,
    user_shares,
    utilities,
)
from driftune.simulate.settings import SimulationConfig
from driftune.simulate.world import Floats, Ints, World, build_world

# Monday to Sunday; the mean is 1.
WEEKDAY = (0.88, 0.90, 0.94, 0.98, 1.07, 1.13, 1.10)
TRUTH = ("click_probability", "order_probability")
DAY_MS = 24 * 3_600_000
HOURS_MS = np.arange(25) * 3_600_000.0
DEPTH = sum(DEPTHS) / 2


@dataclass(frozen=True)
class Simulator:
    """A built world, ready to draw any of its days in any order."""

    config: SimulationConfig
    world: World
    levels: Levels
    slice_rows: int = 1 << 20

    @classmethod
    def build(cls, config: SimulationConfig) -> "Simulator":
        """Build the world of a configuration and calibrate its click and order rates."""
        world = build_world(config)
        return cls(config, world, calibrate(config, world))

    def draw(self, day: date) -> pa.Table:
        """Draw the impressions of a day, sorted by event time."""
        return self.draw_with_truth(day)[0]

    def draw_with_truth(self, day: date) -> tuple[pa.Table, pa.Table]:
        """Draw a day, and its true probabilities: of a click, and of an order once clicked.

        Row for row in the same order. Each (seed, day, domain) has its own random stream, so that
        neither other days nor an event in another domain changes a row's user, item, time or
        labels.
        """
        tables, truths = zip(*self.slices(day), strict=True)
        return pa.concat_tables(tables), pa.concat_tables(truths)

    def slices(self, day: date) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Draw a day as ``draw_with_truth`` does, from morning to night in slices of its hours.

        A day of up to about ``slice_rows`` rows is one slice; a larger one is cut at times that
        hold about that many rows each, so that memory does not grow with its volume.
        """
        visits = [self._visits(domain, day) for domain in range(len(self.config.domains))]
        total = sum(visit.requests for visit in visits)
        edges = _slice_edges(visits, max(1, -(-total // max(1, round(self.slice_rows / DEPTH)))))
        counts = [visit.counts(edges) for visit in visits]
        digits = max(5, len(str(total - 1)))
        begun = 0
        for number in range(len(edges) - 1):
            parts = [
                self._draw_domain(domain, day, *visit.times(edges, counts[domain], number))
                for domain, visit in enumerate(visits)
                if counts[domain][number]
            ]
            if not parts:
                continue
            joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            order = np.argsort(joined["request_time"], kind="stable")
            depth = joined.pop("depth")
            starts = np.cumsum(depth) - depth
            rows = np.repeat(starts[order], depth[order]) + flat_positions(depth[order])
            time = np.repeat(joined.pop("request_time")[order], depth[order])
            request = np.repeat(np.arange(order.size), depth[order])
            truth = {name: joined.pop(name)[rows].astype(np.float32) for name in TRUTH}
            names = _numbered(f"{day:%y%m%d}-", begun, begun + order.size, digits)
            begun += order.size
            drawn = {name: joined[name][rows] for name in joined}
            yield self._table(day, _named(request, names), time, drawn), pa.table(truth)

    def _visits(self, domain: int, day: date) -> "_Visits":
        """How many requests the domain has on the day, and when."""
        config = self.config
        rng = np.random.default_rng([config.seed, day.toordinal(), domain])
        volume = config.rows_per_domain * config.volumes[domain % len(config.volumes)]
        volume *= WEEKDAY[day.weekday()] * np.exp(rng.normal(0, config.volume_noise))
        requests = max(1, round(volume / DEPTH))
        return _Visits(rng, requests, _cumulative(config.hours(domain)))

    def _draw_domain(
        self, domain: int, day: date, rng: np.random.Generator, time: Ints
    ) -> dict[str, np.ndarray]:
        config, world = self.config, self.world
        requests = time.size
        _, region, _ = config.parts(domain)
        users = rng.choice(config.users, requests, p=user_shares(world, region))
        depth = draw_depth(rng, requests)
        mood = mood_on(config, world, domain, day)
        items, propensity = draw_slates(rng, item_shares(world, mood.shown, mood.shown_lift), depth)
        shown = Impressions(
            user=np.repeat(users, depth),
            item=items,
            position=flat_positions(depth),
            hour=np.repeat(time // 3_600_000, depth),
        )
        click_logits, order_logits = utilities(
            world, mood.liked, shown, mood.liked_lift, mood.twist
        )
        clicks = probability(click_logits + self.levels.click[domain])
        orders = probability(order_logits + self.levels.order[domain])
        click = rng.random(items.size) < clicks
        order = rng.random(items.size) < orders
        return {
            "request_time": time,
            "depth": depth,
            "user": shown.user,
            "item": items,
            "position": shown.position,
            "domain": np.full(items.size, domain),
            "click": click,
            "ordered": click & order,
            "propensity": propensity,
            **dict(zip(TRUTH, (clicks, orders), strict=True)),
        }

    def _table(
        self, day: date, request: pa.Array, time: Ints, rows: dict[str, np.ndarray]
    ) -> pa.Table:
        config, world = self.config, self.world
        places = np.array([config.parts(domain) for domain in range(len(config.domains))])
        scene, region, period = places[rows["domain"]].T
        midnight = np.datetime64(day, "us")
        item = rows["item"]
        periods = pa.array(list(config.periods), pa.string())
        columns = {
            "request_id": request,
            "user_id": _named(rows["user"], _numbered("u", 0, config.users, 5)),
            "item_id": _named(item, _numbered("i", 0, config.items, 4)),
            "event_time": pa.array(midnight + (time * 1000).astype("timedelta64[us]")),
            "scene": _named(scene, pa.array(config.scenes)),
            "region": _named(region, pa.array(config.regions)),
            **({"period": _named(period, periods)} if config.periods else {}),
            "position": pa.array((rows["position"] + 1).astype(np.int8)),
            "category": _named(world.item_category[item], pa.array(config.categories)),
            "price": pa.array(world.item_price[item]),
            "restaurant_id": _named(
                world.item_restaurant[item], _numbered("r", 0, config.restaurants, 4)
            ),
            "click": pa.array(rows["click"].astype(np.int8)),
            "ordered": pa.array(rows["ordered"].astype(np.int8)),
            "propensity": pa.array(rows["propensity"].astype(np.float32)),
        }
        return pa.table(columns)


def hour_shares() -> Floats:
    """Return the share (24,) of a day's requests by hour: peaks at lunch and at dinner."""
    hours = np.arange(24) + 0.5
    lunch = np.exp(-0.5 * ((hours - 12.5) / 1.4) ** 2)
    dinner = np.exp(-0.5 * ((hours - 19.3) / 1.8) ** 2)
    daytime = np.where((hours > 6) & (hours < 23), 0.22, 0.02)
    shares = daytime + 0.8 * lunch + dinner
    normed: Floats = shares / shares.sum()
    return normed


@dataclass(frozen=True)
class _Visits:
    """The requests of a domain on a day: how many, and the share (25,) of them by each hour."""

    rng: np.random.Generator
    requests: int
    by_hour: Floats

    def counts(self, edges: Ints) -> Ints:
        """How many (S,) fall between ``edges`` (S + 1,), in milliseconds since midnight."""
        if len(edges) == 2:
            return np.array([self.requests])
        return self.rng.multinomial(self.requests, np.diff(self._shares(edges)))

    def times(self, edges: Ints, counts: Ints, number: int) -> tuple[np.random.Generator, Ints]:
        """The stream of a slice, and its requests' times in milliseconds since midnight."""
        rng = self.rng if len(edges) == 2 else self.rng.spawn(1)[0]
        low, high = self._shares(edges[number : number + 2])
        drawn = low + (high - low) * rng.random(counts[number])
        times = np.interp(drawn, self.by_hour, HOURS_MS).astype(np.int64)
        return rng, np.clip(times, edges[number], edges[number + 1] - 1)

    def _shares(self, edges: Ints) -> Floats:
        return np.interp(edges, HOURS_MS, self.by_hour)


def _slice_edges(visits: Sequence[_Visits], slices: int) -> Ints:
    """Times (slices + 1,) in milliseconds since midnight, as many requests between each two."""
    together = np.sum([visit.requests * visit.by_hour for visit in visits], axis=0)
    inner = np.interp(np.arange(1, slices) / slices * together[-1], together, HOURS_MS)
    edges: Ints = np.r_[0, np.unique(inner.astype(np.int64)), DAY_MS]
    return edges


def _cumulative(span: tuple[int, int]) -> Floats:
    """The share (25,) of a day's requests by each hour, as ``hour_shares`` has it in ``span``."""
    shares = hour_shares()
    if span != (0, 24):
        hours = np.arange(24)
        shares = np.where((span[0] <= hours) & (hours < span[1]), shares, 0.0)
        shares /= shares.sum()
    return np.concatenate([[0.0], np.cumsum(shares)])


def _numbered(prefix: str, first: int, end: int, digits: int) -> pa.Array:
    numbers = pa.array(np.arange(first, end)).cast(pa.string())
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(numbers, digits, padding="0"), "")


def _named(index: Ints, names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names)
