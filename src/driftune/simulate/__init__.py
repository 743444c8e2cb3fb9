"""Simulated impression logs of a food-delivery platform, with known planted interest shifts."""

from driftune.simulate.check import TruthCheck, check_against_truth
from driftune.simulate.demo import demo_config
from driftune.simulate.settings import Event, SimulationConfig
from driftune.simulate.truth import write_truth
from driftune.simulate.write import simulate

__all__ = [
    "Event",
    "SimulationConfig",
    "TruthCheck",
    "check_against_truth",
    "demo_config",
    "simulate",
    "write_truth",
]
