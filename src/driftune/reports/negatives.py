"""Drawn rows in words: how many a day has, and what figures over them mean."""

from driftune.quality.record import DayQuality

FROM = {
    "domain_day": "out of the rows of the same domain and day",
    "uniform": "out of the day's items, each equally often",
    "session": "out of what was clicked in the same domain while the session lasted",
}


def drawn_meaning(quality: DayQuality | None) -> str | None:
    """What figures of a day say that has drawn rows, in a sentence; None where it has none."""
    if quality is None or not quality.drawn:
        return None
    source = FROM.get(quality.drawn_from, "by a hash")
    return (
        f"{quality.drawn:,} of the day's {quality.held:,} rows were shown to nobody: they are "
        f"negatives, drawn {source}. AUC says how well clicks are told from those, not from what "
        "was shown and left; log loss, calibration and predicted click rates hold for this mix of "
        "clicks and drawn rows alone."
    )
