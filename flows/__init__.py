"""Prefect flows: the day, one adaptation, and a replay of past days."""

from driftune.cli.console import quiet_exit
from driftune.no_telemetry import silence
from driftune.redact import guard_logs

silence()
guard_logs()
quiet_exit()
