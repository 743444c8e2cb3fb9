"""Prefect flows: the day, one adaptation, and a replay of past days."""

from driftune.console import quiet_exit
from driftune.redact import guard_logs
from driftune.telemetry import silence

silence()
guard_logs()
quiet_exit()
