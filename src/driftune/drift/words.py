"""What moved, as figures from the reference to the day, and in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from driftune.drift.cells import LOGITS, logit_values, price_values
from driftune.drift.compare import Windows
from driftune.drift.distances import cell_labels
from driftune.drift.signals import SIGNALS
from driftune.drift.statistics import binned_auc

MOVERS = 3
# A ratio of clicks to predicted clicks is said of groups with that many expected on both sides.
EXPECTED = 5.0
Move = dict[str, Any]


def facts(windows: Windows, names: Mapping[int, str]) -> dict[str, Any]:
    """Per signal what it was in the reference (``from``) and on the day (``to``).

    ``rows`` of a signal, one per category, hour or kind, each with ``name``, ``from`` and ``to``;
    signals that are one figure have ``from`` and ``to`` themselves.
    """
    found: dict[str, Any] = {}
    for signal in ("category_shown", "category_clicked", "hour", "taste"):
        now, then = windows.pair(signal)
        labels = cell_labels(windows, names, signal, len(now))
        found[signal] = {"rows": _rows(labels, _shares(then), _shares(now))}
    for signal in ("novelty", "click_rate"):
        now, then = windows.pair(signal)
        found[signal] = {"from": float(_shares(then)[1]), "to": float(_shares(now)[1])}
    for signal in ("price_shown", "price_clicked"):
        now, then = windows.pair(signal)
        found[signal] = {"from": _mean(then, price_values()), "to": _mean(now, price_values())}
    chances = 1 / (1 + np.exp(-logit_values()))
    now, then = windows.pair("prediction")
    if now.sum() and then.sum():
        found["prediction"] = {"from": _mean(then, chances), "to": _mean(now, chances)}
    found["category_rate"] = {"rows": _rates(windows, names)}
    found["calibration"] = {"rows": _ratios(windows, names)}
    areas = [_area(ranked) for ranked in windows.rankings()]
    if None not in areas:
        found["auc"] = {"from": areas[0], "to": areas[1]}
    return found


def say(signal: str, told: Mapping[str, Any]) -> str:
    """A moved signal in words: "categories clicked: noodles +9 points, coffee −6 points"."""
    label = SIGNALS[signal].label
    figures = told.get(signal) or {}
    rows = figures.get("rows")
    if rows is not None:
        if signal == "taste":
            return label
        moves = "; ".join(_move(signal, row) for row in _largest(signal, rows))
        return f"{label}: {moves.replace('; ', ', ')}" if moves else label
    if "from" not in figures or None in (figures["from"], figures["to"]):
        return label
    before, after = figures["from"], figures["to"]
    if signal == "auc":
        return f"{label} {before:.3f} → {after:.3f}"
    if signal in ("price_shown", "price_clicked"):
        return f"{label}: mean {before:.3g} → {after:.3g}"
    if signal == "prediction":
        return f"{label}: mean {before:.1%} → {after:.1%}"
    return f"{label} {before:.1%} → {after:.1%}"


def _move(signal: str, row: Move) -> str:
    name = row["name"] if signal != "hour" else f"{row['name']}:00"
    if signal == "calibration":
        return f"{name} ×{row['to'] / row['from']:.2f}"
    if signal == "category_rate":
        return f"{name} {row['from']:.1%} → {row['to']:.1%}"
    points = 100 * (row["to"] - row["from"])
    size = f"{abs(points):.0f}" if abs(points) >= 0.95 else f"{abs(points):.1f}"
    return f"{name} {'+' if points >= 0 else '−'}{size} points"


def _largest(signal: str, rows: Sequence[Move]) -> list[Move]:
    """The rows that moved most, those that carry the most rows first where that is known."""
    if signal == "calibration":
        rows = [row for row in rows if row["from"] and row["to"]]
        size = [row["weight"] * abs(np.log(row["to"] / row["from"])) for row in rows]
    elif signal == "category_rate":
        size = [row["weight"] * abs(row["to"] - row["from"]) for row in rows]
    else:
        size = [abs(row["to"] - row["from"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: -size[place])
    return [rows[place] for place in order[:MOVERS] if size[place] > 0]


def _rows(labels: Sequence[str], then: np.ndarray, now: np.ndarray) -> list[Move]:
    return [
        {"name": label, "from": float(before), "to": float(after)}
        for label, before, after in zip(labels, then, now, strict=True)
        if before or after
    ]


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / max(counts.sum(), 1.0))


def _mean(counts: np.ndarray, values: np.ndarray) -> float | None:
    return float(counts @ values / counts.sum()) if counts.sum() else None


def _area(ranked: np.ndarray) -> float | None:
    area, _ = binned_auc(ranked[:LOGITS], ranked[LOGITS:])
    return float(area) if np.isfinite(area) else None


def _rates(windows: Windows, names: Mapping[int, str]) -> list[Move]:
    """Click rates per category; ``weight`` is the share of the day's impressions."""
    now, then = (counts.reshape(-1, 2) for counts in windows.pair("category_rate"))
    shown = now.sum(axis=1) / max(now.sum(), 1.0)
    return [
        {
            "name": name,
            "from": float(then[place, 1] / then[place].sum()),
            "to": float(now[place, 1] / now[place].sum()),
            "weight": float(shown[place]),
        }
        for place, name in enumerate(windows.group_names(names))
        if min(now[place].sum(), then[place].sum()) > 0
    ]


def _ratios(windows: Windows, names: Mapping[int, str]) -> list[Move]:
    """Clicks against predicted clicks per category, the common ratio left out."""
    sides = []
    for clicked, expected in windows.expectations():
        common = clicked.sum() / max(expected.sum(), 1e-9)
        sides.append((clicked, expected * max(common, 1e-9)))
    (clicked, expected), (clicked_then, expected_then) = sides
    return [
        {
            "name": name,
            "from": float(clicked_then[place] / expected_then[place]),
            "to": float(clicked[place] / expected[place]),
            "weight": float(np.sqrt(expected[place])),
        }
        for place, name in enumerate(windows.group_names(names))
        if min(expected[place], expected_then[place]) >= EXPECTED
    ]
