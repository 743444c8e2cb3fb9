"""Usage reporting of the dependencies, off unless the user switched it on."""

import os

# What to set in the environment for it, also of processes that others start.
QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "ITERATIVE_DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def silence() -> None:
    """Set the opt-out variables that the environment does not set itself."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
