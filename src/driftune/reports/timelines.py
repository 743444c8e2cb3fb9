"""A domain's time lines as one Plotly figure: panels under one another over the same days."""

from datetime import date, timedelta
from typing import Literal, TypedDict

from driftune.io import Json, JsonObject

# For the marks above the first panel, a panel's title, and the gap below a panel, as shares of the
# figure's height.
TOP, TITLE, GAP = 0.05, 0.04, 0.015
MARKS = {"up": ("triangle-up", "var(--series-4)"), "down": ("triangle-down", "var(--series-5)")}
STYLES = (
    {"color": "var(--series-1)", "dash": "solid", "symbol": "circle"},
    {"color": "var(--series-2)", "dash": "dot", "symbol": "square-open"},
)
# With so many days or fewer each has a marker.
FEW = 45


class Line(TypedDict):
    """A line: a value per day, None where there is none."""

    name: str
    values: list[float | None]


class Panel(TypedDict):
    """A panel; ``format`` of a value, ``rule``: where a dashed line goes, ``zero``: whether the
    axis begins there.
    """

    title: str
    format: str
    rule: float | None
    zero: bool
    lines: list[Line]


class Mark(TypedDict):
    """A mark above a day; ``kind``: up or down."""

    day: str
    kind: str
    text: str


class TimelinesSpec(TypedDict):
    """Panels over the same days."""

    kind: Literal["timelines"]
    height: int
    days: list[str]
    panels: list[Panel]
    marks: list[Mark]


def timelines_spec(days: list[str], panels: list[Panel], marks: list[Mark]) -> TimelinesSpec:
    """Panels over the same days.

    Args:
        panels: ``title``, ``format`` of a value, ``lines`` (``name`` and a ``values`` per day),
            ``rule``: where a dashed line goes, or None, ``zero``: whether the axis begins there.
        marks: ``day``, ``up`` or ``down`` as ``kind``, ``text``.
    """
    return {"kind": "timelines", "height": 60 + 150 * len(panels), "days": days, "panels": panels,
            "marks": marks}  # fmt: skip


def timelines(spec: TimelinesSpec) -> tuple[list[JsonObject], JsonObject]:
    """Traces and layout of a figure of time lines."""
    count = len(spec["panels"])
    traces: list[JsonObject] = []
    annotations: list[Json] = []
    shapes: list[Json] = [_line(mark["day"]) for mark in spec["marks"]]
    layout: JsonObject = {
        "margin": {"l": 52, "r": 12, "t": 8, "b": 32},
        "hovermode": "closest",
        "annotations": annotations,
        "shapes": shapes,
    }
    step = (1 - TOP) / count
    for number, panel in enumerate(spec["panels"], 1):
        name = "" if number == 1 else str(number)
        low = 1 - TOP - number * step + GAP
        high = 1 - TOP - (number - 1) * step - TITLE
        layout[f"yaxis{name}"] = {
            "domain": [round(low, 4), round(high, 4)],
            "tickformat": panel["format"],
            "nticks": 4,
            "rangemode": "tozero" if panel["zero"] else "normal",
        }
        annotations.append(_title(panel["title"], high))
        if panel["rule"] is not None:
            shapes.append(_rule(panel["rule"], f"y{name}"))
        traces += [
            _trace(spec["days"], line, style, panel["format"], f"y{name}")
            for line, style in zip(panel["lines"], STYLES, strict=False)
        ]
    layout["xaxis"] = {
        "type": "date",
        "showgrid": False,
        "anchor": f"y{count}" if count > 1 else "y",
        "hoverformat": "%Y-%m-%d",
        "range": [*_span(spec["days"])],
    }
    traces += [_mark(mark) for mark in spec["marks"]]
    layout["yaxis9"] = {"domain": [1 - TOP, 1], "range": [0, 1], "visible": False}
    return traces, layout


def _trace(days: list[str], line: Line, style: dict[str, str], shown: str, axis: str) -> JsonObject:
    few = len(days) <= FEW
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": line["name"],
        "x": [*days],
        "y": [*line["values"]],
        "yaxis": axis,
        "line": {"color": style["color"], "width": 1.8, "dash": style["dash"]},
        "marker": {"symbol": style["symbol"], "size": 6, "color": style["color"]},
        "hovertemplate": f"%{{x}}: %{{y:{shown}}}",
    }


def _mark(mark: Mark) -> JsonObject:
    symbol, color = MARKS[mark["kind"]]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [mark["day"]],
        "y": [0.5],
        "yaxis": "y9",
        "marker": {"symbol": symbol, "size": 11, "color": color},
        "hovertemplate": f"%{{x}}: {mark['text']}<extra></extra>",
    }


def _line(day: str) -> JsonObject:
    return {"type": "line", "xref": "x", "yref": "paper", "x0": day, "x1": day, "y0": 0, "y1": 1,
            "line": {"color": "var(--muted)", "width": 1, "dash": "dot"}}  # fmt: skip


def _rule(at: float, axis: str) -> JsonObject:
    return {"type": "line", "xref": "paper", "yref": axis, "x0": 0, "x1": 1, "y0": at, "y1": at,
            "line": {"color": "var(--muted)", "width": 1.2, "dash": "dash"}}  # fmt: skip


def _title(text: str, at: float) -> JsonObject:
    return {"text": f"<b>{text}</b>", "xref": "paper", "yref": "paper", "x": 0, "y": at,
            "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            "font": {"size": 12}}  # fmt: skip


def _span(days: list[str]) -> list[str]:
    """A little more than the days, so that marks at the ends are whole."""
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    margin = timedelta(days=1 + (last - first).days // 60)
    return [(first - margin).isoformat(), (last + margin).isoformat()]
