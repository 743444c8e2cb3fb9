"""Flows that the command line starts: Prefect's settings, and progress on the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftune.config import Config


@contextmanager
def running(config: Config) -> Iterator[None]:
    """Progress bars and one line per event while flows run; Prefect's own log stays out."""
    from driftune.cli import console

    if "PREFECT_API_URL" not in os.environ and not _has_prefect_profile():
        config.home.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(config.home / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    with console.progress(as_json=config.observe.log_format == "json"):
        yield


def _has_prefect_profile() -> bool:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    return (home / "profiles.toml").exists()
