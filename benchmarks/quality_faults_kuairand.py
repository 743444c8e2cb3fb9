"""Faults to plant in days of KuaiRand-Pure, whose columns have other names, types and nulls."""

from collections.abc import Callable

import numpy as np

from benchmarks.quality_faults import (
    Fault,
    Frame,
    joined_wrong,
    newcomers,
    put,
    scaled,
    shuffled,
    swapped,
    text,
    twice,
    whole,
)

HOUR = 3_600_000
# Local time of the service: Asia/Shanghai.
ZONE = 8 * HOUR
TAB, NAME = 0, "tab 0"


def later(hours: int) -> Callable[..., Frame]:
    """A fault that moves the time of the rows that are hit."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        return day.assign(time_ms=day["time_ms"] + hours * HOUR * hit)

    return plant


def without_hours(first: int, end: int) -> Callable[..., Frame]:
    """A fault that loses the hours from one to another."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        hour = (day["time_ms"] + ZONE) // HOUR % 24
        return day[(hour < first) | (hour >= end)].reset_index(drop=True)

    return plant


def thinned(keep: float) -> Callable[..., Frame]:
    """A fault that loses rows of one tab."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        kept = (day["tab"] != TAB) | (rng.random(len(day)) < keep)
        return day[kept].reset_index(drop=True)

    return plant


def tab_put(**values: float) -> Callable[..., Frame]:
    """A fault that writes values into all rows of one tab."""

    def plant(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
        changed, own = day.copy(), day["tab"] == TAB
        for column, value in values.items():
            changed.loc[own, column] = value
        return changed

    return plant


def stale(day: Frame, before: Frame, hit: np.ndarray, rng: np.random.Generator) -> Frame:
    """The day before again, under today's date."""
    return before.assign(time_ms=before["time_ms"] + 24 * HOUR)


KUAIRAND = (
    Fault("user null", put("user_id", None), ("user_id",)),
    Fault("video null", put("video_id", None), ("video_id",)),
    Fault("time null", put("time_ms", None), ("time_ms",)),
    Fault("tab null", put("tab", None), ("tab",)),
    Fault("click 7", put("is_click", 7), ("is_click",)),
    Fault("click null", put("is_click", None), ("is_click",)),
    Fault("category null", put("category", None), ("category",)),
    Fault("author null", put("author_id", None), ("author_id",)),
    Fault("duration null", put("duration_ms", None), ("duration_ms",)),
    Fault("duration as text", put("duration_ms", "long"), ("duration_ms",)),
    Fault("duration infinite", scaled("duration_ms", np.inf), ("duration_ms",)),
    Fault("duration negative", scaled("duration_ms", -1), ("duration_ms",)),
    Fault("duration zero", put("duration_ms", 0), ("duration_ms",)),
    Fault("duration in seconds", scaled("duration_ms", 0.001), ("duration_ms",)),
    Fault("time of yesterday", later(-24), ("time_ms",)),
    Fault("time 1970", put("time_ms", 0), ("time_ms",)),
    Fault("times six hours late", later(6), ("time_ms",)),
    Fault("exact copies", twice, ("repeated", "whole row")),
    Fault("category unknown", put("category", "hovercraft"), ("category",)),
    Fault("degree in capitals", text("user_active_degree", str.upper), ("user_active_degree",)),
    Fault("type with a blank", text("video_type", "{} ".format), ("video_type",)),
    Fault("category moved rows", shuffled("category"), ("category",)),
    Fault("author moved rows", shuffled("author_id"), ("author_id",)),
    Fault("duration moved rows", shuffled("duration_ms"), ("duration_ms",)),
    Fault("degree moved rows", shuffled("user_active_degree"), ("user_active_degree",)),
    Fault("one user for many", put("user_id", 17), ("user_id",)),
    Fault("one video for many", put("video_id", 17), ("video_id",)),
    Fault("user and video swapped", swapped("user_id", "video_id"), ("user_id", "video_id")),
    Fault(
        "category and type swapped", swapped("category", "video_type"), ("category", "video_type")
    ),
    Fault("users unheard of", newcomers(lambda n: 90_000 + n), ("user_id",)),
    whole("hours missing", without_hours(12, 15), "hours_missing", "time_ms"),
    whole("evening missing", without_hours(18, 24), "last_impression", "hours_missing"),
    whole("time zone wrong", later(8), "time_ms"),
    whole("yesterday's file", lambda day, before, hit, rng: before, "time_ms", critical=True),
    whole("yesterday's rows, today's date", stale, "stale_day", critical=True),
    whole("tab gone", thinned(0.0), NAME, critical=True),
    whole("tab at a twentieth", thinned(0.05), NAME, critical=True),
    whole("tab at a half", thinned(0.5), NAME),
    whole("no clicks in a tab", tab_put(is_click=0, long_view=0), NAME, critical=True),
    whole("all clicks in a tab", tab_put(is_click=1), NAME, critical=True),
    whole("bad labels in a tab", tab_put(is_click=9), NAME, critical=True),
    whole("no clicks", put("is_click", 0), "tab 1", "click_rate", critical=True),
    whole("category constant", put("category", "9"), "category"),
    whole("durations gone", put("duration_ms", None), "duration_ms"),
    whole("durations in seconds", scaled("duration_ms", 0.001), "duration_ms"),
    whole("durations 10% up", scaled("duration_ms", 1.1), "duration_ms"),
    whole("durations of other videos", joined_wrong("duration_ms", "video_id"), "duration_ms"),
    whole("authors of other videos", joined_wrong("author_id", "video_id"), "author_id"),
    whole(
        "degrees of other users",
        joined_wrong("user_active_degree", "user_id"),
        "user_active_degree",
    ),
)
