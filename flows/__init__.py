"""Prefect flows: the day, one adaptation, and a replay of past days."""

from driftune.console import quiet_exit
from driftune.telemetry import silence

silence()
quiet_exit()
