"""Faults to plant in a day of logs: what goes wrong in feeds, with what a report should name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

Frame: TypeAlias = pd.DataFrame
DOMAIN = {"scene": "home", "region": "north"}
NAME = "home · north"


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    ``plant`` takes the day, the day before, the rows that are hit and a generator. ``names``: what
    a report may name, a column, a domain or (of the whole day) a rule. ``critical``: the day or the
    domain must not enter the lake. ``rated``: it hits a share of the rows.
    """

    kind: str
    plant: Callable[[Frame, Frame, np.ndarray, np.random.Generator], Frame]
    names: tuple[str, ...]
    critical: bool = False
    rated: bool = True
    rates: tuple[float, ...] = field(default=(0.01, 0.1))


def put(column: str, value: object) -> Callable[..., Frame]:
    """A fault that writes one value into a column of the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        kind = object if value is None or isinstance(value, str) else day[column].dtype
        values = day[column].astype(object if kind is object else kind).copy()
        values[hit] = value
        return day.assign(**{column: values})

    return plant


def text(column: str, change: Callable[[str], str]) -> Callable[..., Frame]:
    """A fault that changes the text of a column in the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day[column].astype(object).copy()
        values[hit] = values[hit].map(change)
        return day.assign(**{column: values})

    return plant


def scaled(column: str, factor: float) -> Callable[..., Frame]:
    """A fault that multiplies a number in the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day[column].astype(float).copy()
        values[hit] *= factor
        return day.assign(**{column: values})

    return plant


def swapped(one: str, other: str) -> Callable[..., Frame]:
    """A fault that exchanges two columns in the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        changed = day.astype({one: object, other: object})
        changed.loc[hit, one], changed.loc[hit, other] = day.loc[hit, other], day.loc[hit, one]
        return changed

    return plant


def shuffled(column: str) -> Callable[..., Frame]:
    """A fault that gives the rows that are hit one another's values."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day[column].astype(object).copy()
        values[hit] = rng.permutation(values[hit].to_numpy())
        return day.assign(**{column: values})

    return plant


def later(delta: str) -> Callable[..., Frame]:
    """A fault that moves the time of the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day["event_time"].copy()
        values[hit] += pd.Timedelta(delta)
        return day.assign(event_time=values)

    return plant


def twice(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """Rows delivered twice."""
    return pd.concat([day, day[hit]], ignore_index=True)


def again(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """Impressions logged again with another price, so that they are no exact copies."""
    return pd.concat([day, day[hit].assign(price=day.loc[hit, "price"] + 0.5)], ignore_index=True)


def newcomers(name: Callable[[int], object]) -> Callable[..., Frame]:
    """A fault of users that nobody has seen before, each once, with ids like all others."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day["user_id"].astype(object).copy()
        values[hit] = [name(n) for n in rng.permutation(hit.sum())]
        return day.assign(user_id=values)

    return plant


def joined_wrong(column: str, key: str) -> Callable[..., Frame]:
    """A fault that gives every item (or user) the value of another, the same in all its rows."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        values = day.groupby(key)[column].first()
        moved = dict(zip(values.index, rng.permutation(values.to_numpy()), strict=True))
        return day.assign(**{column: day[key].map(moved)})

    return plant


def without_hours(first: int, end: int) -> Callable[..., Frame]:
    """A fault that loses the hours from one to another."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        hour = day["event_time"].dt.hour
        return day[(hour < first) | (hour >= end)].reset_index(drop=True)

    return plant


def in_domain(day: Frame) -> np.ndarray:
    """The rows of the domain that domain faults hit."""
    return ((day["scene"] == DOMAIN["scene"]) & (day["region"] == DOMAIN["region"])).to_numpy()


def thinned(keep: float) -> Callable[..., Frame]:
    """A fault that loses rows of one domain; above 1 it gets more, with requests of their own."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        own = in_domain(day)
        if keep <= 1:
            return day[~own | (rng.random(len(day)) < keep)].reset_index(drop=True)
        more = day[own].assign(request_id="x" + day.loc[own, "request_id"].astype(str))
        return pd.concat([day, more], ignore_index=True)

    return plant


def domain_put(**values: float) -> Callable[..., Frame]:
    """A fault that writes values into all rows of one domain."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        changed, own = day.copy(), in_domain(day)
        for column, value in values.items():
            changed.loc[own, column] = value
        return changed

    return plant


def domain_cents(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """One domain's prices in cents."""
    return scaled("price", 100)(day, before, in_domain(day), rng)


def inverted(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """Clicks are logged as none and the other way round."""
    return day.assign(click=1 - day["click"], ordered=0)


def stale(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """The day before again, under today's date."""
    names = before["request_id"].astype(str)
    return before.assign(
        event_time=before["event_time"] + pd.Timedelta("1D"), request_id="again-" + names
    )


def whole(kind: str, plant: Callable[..., Frame], *names: str, critical: bool = False) -> Fault:
    """A fault of the whole day or of a whole domain."""
    return Fault(kind, plant, names, critical, rated=False, rates=(1.0,))


FAULTS = (
    Fault("user null", put("user_id", None), ("user_id",)),
    Fault("user empty", put("user_id", ""), ("user_id",)),
    Fault("item null", put("item_id", None), ("item_id",)),
    Fault("category null", put("category", None), ("category",)),
    Fault("price null", put("price", np.nan), ("price",)),
    Fault("restaurant null", put("restaurant_id", None), ("restaurant_id",)),
    Fault("request null", put("request_id", None), ("request_id",)),
    Fault("time null", put("event_time", pd.NaT), ("event_time",)),
    Fault("domain null", put("region", None), ("region",)),
    Fault("click 7", put("click", 7), ("click",)),
    Fault("click null", put("click", None), ("click",)),
    Fault("order without click", put("ordered", 1), ("ordered",)),
    Fault("price as text", put("price", "cheap"), ("price",)),
    Fault("price infinite", put("price", np.inf), ("price",)),
    Fault("price negative", scaled("price", -1), ("price",)),
    Fault("price zero", put("price", 0.0), ("price",)),
    Fault("price in cents", scaled("price", 100), ("price",)),
    Fault("price in another currency", scaled("price", 7.8), ("price",)),
    Fault("propensity above 1", put("propensity", 1.7), ("propensity",)),
    Fault("propensity in percent", scaled("propensity", 100), ("propensity",)),
    Fault("position 999", scaled("position", 333), ("position",)),
    Fault("time of yesterday", later("-1D"), ("event_time",)),
    Fault("time 1970", put("event_time", pd.Timestamp(0)), ("event_time",)),
    Fault("exact copies", twice, ("whole row", "repeated")),
    Fault("logged again", again, ("repeated",)),
    Fault("category unknown", put("category", "hovercraft"), ("category",)),
    Fault("category in capitals", text("category", str.upper), ("category",)),
    Fault("category with a blank", text("category", "{} ".format), ("category",)),
    Fault("category moved rows", shuffled("category"), ("category",)),
    Fault("price moved rows", shuffled("price"), ("price",)),
    Fault("restaurant moved rows", shuffled("restaurant_id"), ("restaurant_id",)),
    Fault("domain unknown", put("region", "moon"), ("region",)),
    Fault("one user for many", put("user_id", "u00017"), ("user_id",)),
    Fault("one item for many", put("item_id", "i0017"), ("item_id",)),
    Fault("user ids of another form", text("user_id", "acc:{}".format), ("user_id",)),
    Fault("user and item swapped", swapped("user_id", "item_id"), ("user_id", "item_id")),
    Fault(
        "category and restaurant swapped",
        swapped("category", "restaurant_id"),
        ("category", "restaurant_id"),
    ),
    Fault("users unheard of", newcomers(lambda n: f"u{90000 + n:05d}"), ("user_id",)),
    Fault("times three hours late", later("3h"), ("event_time",)),
    whole("hours missing", without_hours(12, 15), "hours_missing", "event_time"),
    whole("evening missing", without_hours(18, 24), "last_impression", "hours_missing"),
    whole("one hour missing", without_hours(19, 20), "hours_missing", "event_time"),
    whole("time zone wrong", later("2h"), "event_time"),
    whole("file delivered twice", twice, "whole row", critical=True),
    whole("yesterday's file", lambda day, before, hit, rng: before, "event_time", critical=True),
    whole("yesterday's rows, today's date", stale, "stale_day", critical=True),
    whole("domain gone", thinned(0.0), NAME, critical=True),
    whole("domain at a twentieth", thinned(0.05), NAME, critical=True),
    whole("domain at a half", thinned(0.5), NAME),
    whole("domain doubled", thinned(2.0), NAME),
    whole("no clicks in a domain", domain_put(click=0, ordered=0), NAME, critical=True),
    whole("all clicks in a domain", domain_put(click=1), NAME, critical=True),
    whole("no orders in a domain", domain_put(ordered=0), NAME),
    whole("bad labels in a domain", domain_put(click=9), NAME, critical=True),
    whole("prices of a domain in cents", domain_cents, "price"),
    whole("labels inverted", inverted, "home", "search", "domains_refused", critical=True),
    whole("no clicks", put("click", 0), "home", "search", "click_rate", critical=True),
    whole("category constant", put("category", "noodles"), "category"),
    whole("price gone", put("price", np.nan), "price"),
    whole("prices in cents", scaled("price", 100), "price"),
    whole("prices 10% up", scaled("price", 1.1), "price"),
    whole("prices of other items", joined_wrong("price", "item_id"), "price"),
    whole("categories of other items", joined_wrong("category", "item_id"), "category"),
)
