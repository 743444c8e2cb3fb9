"""Charts as Plotly figures. A spec is plain values; drawing one is left to when it is needed.

Figures are plain JSON: plotly.js in the page draws them, Plotly's own classes are not needed.

Colours are CSS variables that the page's script resolves, so charts follow the page's theme.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from driftune.io import JsonObject
from driftune.reports.timelines import TimelinesSpec, timelines
from driftune.visible import plotly_text as plain

SERIES = 6
# Each highlighted line has a marker of its own, so that colour alone tells nothing apart.
_SYMBOLS = (
    ("circle", "●"),
    ("square", "■"),
    ("diamond", "◆"),
    ("triangle-up", "▲"),
    ("triangle-down", "▼"),
    ("star", "★"),
)

_HATCH = {"size": 6, "solidity": 0.2, "fillmode": "overlay", "fgopacity": 0.45}


class IntervalRow(TypedDict):
    """A difference with its interval; None where it has none."""

    label: str
    estimate: float | None
    low: float | None
    high: float | None


class IntervalsSpec(TypedDict):
    """A chart of differences with their intervals."""

    kind: Literal["intervals"]
    height: int
    rows: Sequence[IntervalRow]


class LegendEntry(TypedDict):
    """A line's name, marker and colour."""

    name: str
    glyph: str
    color: str


class ScoreLine(TypedDict):
    """A domain's drift scores by day; ``place`` among the highlighted ones, None of the others."""

    name: str
    scores: list[float | None]
    place: int | None


class LinesSpec(TypedDict):
    """A chart of drift scores by day."""

    kind: Literal["lines"]
    height: int
    days: list[str]
    series: list[ScoreLine]
    legend: list[LegendEntry]
    others: int


class CurvesSpec(TypedDict):
    """A chart of named curves of (x, y) against the diagonal."""

    kind: Literal["curves"]
    height: int
    x: str
    y: str
    curves: Mapping[str, Sequence[tuple[float, float]]]
    legend: list[LegendEntry]


def lines_spec(days: list[str], series: list[tuple[str, list[float | None]]]) -> LinesSpec | None:
    """Drift scores by day: the domains with the highest scores stand out; None without scores."""
    measured = [
        (name, scores) for name, scores in series if any(score is not None for score in scores)
    ]
    if not measured:
        return None
    ranked = sorted(
        range(len(measured)),
        key=lambda index: -max(score for score in measured[index][1] if score is not None),
    )
    places = {index: place for place, index in enumerate(ranked[:SERIES])}
    return {
        "kind": "lines",
        "height": 320,
        "days": days,
        "series": [
            {"name": name, "scores": scores, "place": places.get(index)}
            for index, (name, scores) in enumerate(measured)
        ],
        "legend": [
            {
                "name": measured[index][0],
                "glyph": _SYMBOLS[place][1],
                "color": f"var(--series-{place + 1})",
            }
            for index, place in places.items()
        ],
        "others": len(measured) - len(places),
    }


def intervals_spec(rows: Sequence[IntervalRow]) -> IntervalsSpec | None:
    """Differences with their intervals; rows without an estimate are left out."""
    usable = [row for row in rows if row["estimate"] is not None]
    if not usable:
        return None
    return {"kind": "intervals", "height": 74 + 44 * len(usable), "rows": usable}


def curves_spec(
    x: str, y: str, curves: Mapping[str, Sequence[tuple[float, float]]]
) -> CurvesSpec | None:
    """Named curves of (x, y) against the diagonal; None without any points."""
    used = {name: points for name, points in curves.items() if points}
    if not used:
        return None
    legend: list[LegendEntry] = [
        {
            "name": name,
            "glyph": _SYMBOLS[place][1],
            "color": f"var(--series-{place + 1})",
        }
        for place, name in enumerate(used)
    ]
    return {"kind": "curves", "height": 320, "x": x, "y": y, "curves": used, "legend": legend}


def draw(spec: LinesSpec | IntervalsSpec | CurvesSpec | TimelinesSpec) -> str:
    """The figure of a spec as JSON that may stand in a script element."""
    if spec["kind"] == "lines":
        data, layout = _lines(spec)
    elif spec["kind"] == "intervals":
        data, layout = _intervals(spec)
    elif spec["kind"] == "curves":
        data, layout = _curves(spec)
    else:
        data, layout = timelines(spec)
    return in_script({"data": [*data], "layout": {"showlegend": False, **layout}})


def in_script(value: Mapping[str, object]) -> str:
    """JSON that may stand in a script element."""
    # "<" would let a name end the script element or open a comment in it.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _lines(spec: LinesSpec) -> tuple[list[JsonObject], JsonObject]:
    traces: list[JsonObject] = []
    # The highlighted lines are drawn last, above the others.
    for one in sorted(spec["series"], key=lambda one: -1 if one["place"] is None else one["place"]):
        place = one["place"]
        color = "var(--quiet-line)" if place is None else f"var(--series-{place + 1})"
        trace: JsonObject = {
            "type": "scatter",
            "mode": "lines" if place is None else "lines+markers",
            "name": plain(one["name"]),
            "x": [*spec["days"]],
            "y": [*one["scores"]],
            "line": {"color": color, "width": 1 if place is None else 2},
            "hovertemplate": "%{y:.2f} (1 triggers)",
        }
        if place is not None:
            trace["marker"] = {"symbol": _SYMBOLS[place][0], "size": 7, "color": color}
        traces.append(trace)
    layout: JsonObject = {
        "margin": {"l": 40, "r": 12, "t": 12, "b": 36},
        "hovermode": "closest",
        "xaxis": {"type": "date", "tickformat": "%m-%d", "showgrid": False},
        "yaxis": {"rangemode": "tozero"},
        "shapes": [_rule("h", 1)],
        "annotations": [
            {
                "text": "threshold",
                "xref": "paper",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11, "color": "var(--muted)"},
            }
        ],
    }
    return traces, layout


def _intervals(spec: IntervalsSpec) -> tuple[list[JsonObject], JsonObject]:
    rows = spec["rows"][::-1]
    places = list(range(len(rows)))
    trace: JsonObject = {
        "type": "scatter",
        "mode": "markers",
        "x": [row["estimate"] for row in rows],
        "y": [*places],
        "customdata": [[row["low"], row["high"]] for row in rows],
        "hovertemplate": "%{x:.4f} (%{customdata[0]:.4f} to %{customdata[1]:.4f})<extra></extra>",
        "marker": {"size": 11, "symbol": "diamond", "color": "var(--series-1)"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(row["high"], row["estimate"]) for row in rows],
            "arrayminus": [_reach(row["estimate"], row["low"]) for row in rows],
            "color": "var(--series-1)",
            "thickness": 2.5,
            "width": 6,
        },
    }
    layout: JsonObject = {
        "margin": {"l": 8, "r": 16, "t": 8, "b": 34},
        "xaxis": {"tickformat": ".3~f", "range": [*_range(rows)], "nticks": 5, "tickangle": 0},
        "yaxis": {
            "tickvals": [*places],
            "ticktext": [plain(row["label"]) for row in rows],
            "automargin": True,
            "range": [-0.6, len(rows) - 0.4],
            "showgrid": False,
        },
        "shapes": [_rule("v", 0)],
    }
    return [trace], layout


def _curves(spec: CurvesSpec) -> tuple[list[JsonObject], JsonObject]:
    traces: list[JsonObject] = []
    for place, (name, points) in enumerate(spec["curves"].items()):
        color = f"var(--series-{place + 1})"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(name),
                "x": [x for x, _ in points],
                "y": [y for _, y in points],
                "line": {"color": color, "width": 2},
                "marker": {"symbol": _SYMBOLS[place][0], "size": 8, "color": color},
                "hovertemplate": "%{x:.3f} → %{y:.3f}",
            }
        )
    most = max(value for points in spec["curves"].values() for point in points for value in point)
    diagonal = _rule("h", 0) | {"xref": "x", "yref": "y", "x0": 0, "x1": most, "y0": 0, "y1": most}
    layout: JsonObject = {
        "margin": {"l": 12, "r": 16, "t": 12, "b": 44},
        "hovermode": "closest",
        "xaxis": {"title": {"text": plain(spec["x"])}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": plain(spec["y"])}, "rangemode": "tozero", "automargin": True},
        "shapes": [diagonal],
    }
    return traces, layout


def _reach(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(high - low, 0.0)


def _range(rows: Sequence[IntervalRow]) -> list[float]:
    known = [(row["low"], row["estimate"], row["high"]) for row in rows]
    ends = [0.0, *(end for row in known for end in row if end is not None)]
    margin = 0.12 * (max(ends) - min(ends)) or 0.01
    return [min(ends) - margin, max(ends) + margin]


def _rule(direction: str, at: float) -> JsonObject:
    """A dashed line across the whole plot."""
    along, across = ("x", "y") if direction == "h" else ("y", "x")
    return {
        "type": "line",
        f"{along}ref": "paper",
        f"{along}0": 0,
        f"{along}1": 1,
        f"{across}0": at,
        f"{across}1": at,
        "line": {"color": "var(--muted)", "width": 1.5, "dash": "dash"},
    }
