"""Simulated days of six domains, one of which shifts by far."""

from datetime import date

from driftune.simulate import Event, SimulationConfig

SHIFTED = "home · north"


def shifting(days: int, shift_day: date, size: float) -> SimulationConfig:
    """Days from 2026-03-02 on; the tastes of the domain turn on one, by ``size`` in log odds."""
    return SimulationConfig(
        start=date(2026, 3, 2),
        days=days,
        rows_per_domain=1500,
        users=600,
        items=200,
        regions=("north", "south"),
        events=(
            # Strong, and towards what the domain liked least: a gain of many standard errors.
            Event(
                domain=SHIFTED,
                day=shift_day,
                kind="label_only",
                size=size,
                favour=("breakfast", "sushi"),
                against=("salads", "curry"),
            ),
        ),
    )
