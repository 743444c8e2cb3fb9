"""The simulation that the demo replays."""

from datetime import date

from driftune.simulate.settings import Event, SimulationConfig


def demo_config() -> SimulationConfig:
    """Return ten reference days from Monday 2026-03-02, then twelve days with three shifts.

    The shifts lie in three of the six domains; the other three stay as they are throughout.
    """
    return SimulationConfig(
        start=date(2026, 3, 2),
        days=22,
        rows_per_domain=3000,
        events=(
            Event(
                domain="home · north",
                day=date(2026, 3, 15),
                favour=("coffee", "breakfast"),
                against=("noodles", "curry"),
            ),
            Event(
                domain="search · harbour",
                day=date(2026, 3, 18),
                favour=("sushi", "salads"),
                against=("curry", "breakfast"),
            ),
            Event(
                domain="home · old town",
                day=date(2026, 3, 20),
                favour=("salads", "burgers"),
                against=("coffee", "noodles"),
            ),
        ),
    )
