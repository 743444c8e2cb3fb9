"""Prefect flows: the day, one adaptation, and a replay of past days."""

import os

from driftune.cli.console import quiet_exit
from driftune.no_telemetry import silence
from driftune.owners import complete_identity
from driftune.redact import guard_logs

complete_identity(os.environ)
silence()
guard_logs()
quiet_exit()
