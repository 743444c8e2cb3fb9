"""Prefect flows: the day, one adaptation, and a replay of past days."""

from driftune.telemetry import silence

silence()
