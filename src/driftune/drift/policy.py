"""Policy: from distances and thresholds to a decision, and the sentence that explains it."""

from dataclasses import dataclass
from typing import Any

from driftune.config import Config
from driftune.files import finite

SIGNALS = {
    "category_shown": "categories shown",
    "category_clicked": "categories clicked",
    "hour": "hours of the day",
    "price": "prices shown",
    "click": "click rate",
    "prediction": "champion's predictions",
}


@dataclass(frozen=True)
class Judgement:
    """``state`` is drifted, stable or insufficient; ``score`` the largest distance/threshold."""

    state: str
    score: float | None
    scores: dict[str, Any]
    sentence: str


def insufficient(config: Config, counts: dict[str, int]) -> Judgement | None:
    """The judgement of a domain whose windows cannot be compared, else None.

    A partial day has other hours than the reference days, and with them other interests.
    """
    limits = config.drift
    hours = counts.get("current_hours", 24)
    if hours < config.quality.min_hours:
        text = f"the day has impressions in {hours} hours, {config.quality.min_hours} needed"
        return Judgement("insufficient", None, {"counts": counts}, f"A partial day: {text}.")
    for side in ("current", "reference"):
        rows, clicks = counts.get(f"{side}_rows", 0), counts.get(f"{side}_clicks", 0)
        if rows < limits.min_rows:
            text = f"{rows:,} impressions in the {side} window, {limits.min_rows:,} needed"
        elif clicks < limits.min_clicks:
            text = f"{clicks:,} clicks in the {side} window, {limits.min_clicks:,} needed"
        else:
            continue
        return Judgement("insufficient", None, {"counts": counts}, f"Too little data: {text}.")
    return None


def judge(config: Config, record: dict[str, Any]) -> Judgement:
    """Compare every distance with its threshold; a missing or unusable one is never stable."""
    thresholds = config.drift.thresholds.model_dump()
    record = finite(record)
    distances = record["distances"]
    broken = [name for name, distance in distances.items() if distance is None]
    if broken or not distances:
        names = ", ".join(SIGNALS[name] for name in broken) or "every signal"
        return Judgement(
            "insufficient", None, _scores(record, thresholds), f"No distance for {names}."
        )
    ratios = {name: distance / thresholds[name] for name, distance in distances.items()}
    score = max(ratios.values())
    moved = sorted((name for name in ratios if ratios[name] >= 1), key=lambda name: -ratios[name])
    if not moved:
        nearest = max(ratios, key=lambda name: ratios[name])
        sentence = (
            f"No signal reached its threshold; nearest: {SIGNALS[nearest]} "
            f"{record['distances'][nearest]:.3f} of {thresholds[nearest]:g}."
        )
        return Judgement("stable", score, _scores(record, thresholds), sentence)
    parts = [
        f"{SIGNALS[name]} moved by {record['distances'][name]:.3f} "
        f"(threshold {thresholds[name]:g}){_movers(record, name)}"
        for name in moved
    ]
    sentence = "; ".join(parts)
    return Judgement(
        "drifted", score, _scores(record, thresholds), sentence[0].upper() + sentence[1:] + "."
    )


def _scores(record: dict[str, Any], thresholds: dict[str, float]) -> dict[str, Any]:
    return {
        "distances": record["distances"],
        "thresholds": thresholds,
        "window_rows": record["window_rows"],
        "window_clicks": record["window_clicks"],
        "shares": record["shares"],
    }


def _movers(record: dict[str, Any], signal: str) -> str:
    """The two categories that moved most, in percentage points."""
    side = {"category_shown": "shown", "category_clicked": "clicked"}.get(signal)
    if side is None:
        return ""
    shares = record["shares"][side]
    largest = sorted(shares, key=lambda row: -abs(row["current"] - row["reference"]))[:2]
    moved = [
        f"{row['category']} {100 * (row['current'] - row['reference']):+.0f} points"
        for row in largest
    ]
    return f": {', '.join(moved)}"
