"""Draws the schematic figures of docs/ as SVG: python scripts/docs_figures.py."""

from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
INK, TEAL, RED, GREY = "#37474f", "#00796b", "#c62828", "#b0bec5"


def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK, extra: str = "") -> str:
    """A straight line."""
    ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
    return f'<line {ends} stroke="{colour}" stroke-width="2" {extra}/>'


def text(x: float, y: float, words: str, colour: str = INK, anchor: str = "start") -> str:
    """Words; ``anchor`` is start, middle or end."""
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def box(x: float, y: float, width: float, height: float, words: str, fill: str = "#e0f2f1") -> str:
    """A box with words in its middle."""
    shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"'
    middle = text(x + width / 2, y + height / 2 + 5, words, anchor="middle")
    return f'{shape} fill="{fill}" stroke="{TEAL}"/>{middle}'


def write(name: str, width: int, height: int, title: str, parts: list[str]) -> None:
    """Write a figure."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="14"><title>{title}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )
    lines = [head, *parts, "</svg>"]
    (IMAGES / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def drift() -> None:
    """Days of a champion: the usual variation, and a day that lies beyond it."""
    days = [62, 48, 55, 70, 52, 60, 46, 66, 58, 140, 182]
    parts = [f'<rect x="60" y="150" width="560" height="50" fill="{GREY}" opacity=".35"/>']
    parts += [text(68, 144, "what days usually differ by"), line(60, 220, 620, 220)]
    for place, size in enumerate(days):
        colour = TEAL if size < 100 else RED
        x, y = 90 + 50 * place, 220 - size
        parts += [line(x, 220, x, y, colour), f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"/>']
    parts += [text(60, 22, "distance of the day from the reference window (schematic)")]
    parts += [text(530, 74, "watched", RED, "end"), text(600, 30, "triggers", RED, "end")]
    parts += [
        line(60, 110, 620, 110, RED, 'stroke-dasharray="6 4"'),
        text(68, 104, "drift.min_effect beyond the usual", RED),
    ]
    parts += [text(60, 240, "days since promotion →")]
    write("drift", 640, 250, "Distance by day, against the usual variation", parts)


def gate() -> None:
    """Intervals of the AUC difference, and what the gate says of each."""
    rows = [("promoted", 300, 400, 500, TEAL), ("waits", 190, 290, 390, INK)]
    rows += [("rejected", 60, 130, 200, RED)]
    parts = [line(230, 30, 230, 190, INK), line(270, 30, 270, 190, TEAL, 'stroke-dasharray="6 4"')]
    parts += [text(226, 22, "0", anchor="end"), text(274, 22, "gate.min_effect", TEAL)]
    for place, (words, low, middle, high, colour) in enumerate(rows):
        y = 60 + 50 * place
        parts += [line(low, y, high, y, colour), text(520, y + 5, words, colour)]
        parts += [f'<circle cx="{middle}" cy="{y}" r="6" fill="{colour}"/>']
    parts += [
        text(60, 215, "AUC of the challenger − AUC of the champion, 95% interval (schematic)")
    ]
    write("gate", 640, 230, "Three intervals and their verdicts", parts)


def guard() -> None:
    """Evidence against a champion that adds up until it is taken back."""
    ends = [200, 186, 192, 168, 150, 124, 92, 56]
    parts = [line(60, 210, 620, 210), line(60, 70, 620, 70, RED, 'stroke-dasharray="6 4"')]
    parts += [text(68, 62, "guard.since_promotion: taken back", RED)]
    for place in range(len(ends) - 1):
        x = 80 + 65 * place
        parts += [line(x, ends[place], x + 65, ends[place + 1], TEAL)]
    parts += [
        f'<circle cx="{80 + 65 * p}" cy="{y}" r="5" fill="{TEAL}"/>' for p, y in enumerate(ends)
    ]
    parts += [text(60, 22, "evidence that the champion is worse, all days together (schematic)")]
    parts += [text(60, 232, "days since promotion →")]
    write("guard", 640, 245, "Evidence since promotion", parts)


def layers() -> None:
    """The layers of src/driftune, top imports lower only."""
    rows = ["cli", "retention", "reports | notify | observe | deployment", "policies", "adaptation"]
    rows += ["guard | drift", "project", "training", "intake", "quality", "registry", "evaluation"]
    rows += [
        "models  (models.adapters: usable alone)",
        "features | simulate | importers | proposal",
    ]
    rows += ["lake", "config", "errors · domains · io · locks · owners · progress · redact"]
    parts = [box(120, 10, 150, 30, "flows", "#eceff1"), box(330, 10, 150, 30, "tasks", "#eceff1")]
    parts += [line(272, 25, 328, 25), text(500, 30, "Prefect", GREY)]
    for place, words in enumerate(rows):
        y = 52 + 31 * place
        parts += [box(60, y, 480, 26, words)]
    end = 52 + 31 * len(rows)
    parts += [line(40, 60, 40, end - 12, TEAL), text(28, end / 2 + 40, "↓", TEAL, "middle")]
    write("layers", 600, end + 6, "Layers: each imports only those below it", parts)


def day() -> None:
    """The day's stations and what they hand on."""
    first = ["fetch", "validate", "lake", "features", "drift"]
    second = ["report", "promote", "gate", "fine-tune", "decision"]
    parts = []
    for place, words in enumerate(first):
        parts += [box(10 + 126 * place, 20, 104, 40, words)]
        parts += [line(114 + 126 * place, 40, 136 + 126 * place, 40)] if place < 4 else []
    for place, words in enumerate(second):
        parts += [box(10 + 126 * place, 110, 104, 40, words)]
        parts += [line(114 + 126 * place, 130, 136 + 126 * place, 130)] if place < 4 else []
    parts += [line(566, 60, 566, 110), box(136, 190, 104, 40, "quarantine", "#ffebee")]
    parts += [line(125, 40, 125, 210, GREY), line(125, 210, 136, 210, GREY)]
    parts += [box(388, 190, 230, 40, "guard: each later day", "#ffebee")]
    parts += [text(388, 176, "takes a champion back")]
    write("day", 640, 245, "One day's path", parts)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for draw in (drift, gate, guard, layers, day):
        draw()
