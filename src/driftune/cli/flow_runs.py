"""Flows that the command line starts: Prefect's settings, and progress on the terminal."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftune.config import Config
from driftune.errors import DriftuneError

# Bytes that Prefect and the ledger write before the first row of a day.
ROOM = 32 * 2**20


@contextmanager
def running(config: Config) -> Iterator[None]:
    """Progress bars and one line per event while flows run; Prefect's own log stays out.

    Raises:
        DriftuneError: when the disk has no room for a run.
    """
    from driftune.cli import console

    _want_room(config)
    if "PREFECT_API_URL" not in os.environ and not _has_prefect_profile():
        config.home.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(config.home / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    with console.progress(as_json=config.observe.log_format == "json"):
        yield


def _want_room(config: Config) -> None:
    """Say so before a run begins that cannot end; Prefect would tell of its own SQL."""
    there = next(folder for folder in (config.home, *config.home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < ROOM:
        raise DriftuneError(
            f"workspace: {free / 2**20:.1f} MB are free in {there}, and a run needs more than "
            f"{ROOM / 2**20:.0f} MB for its records alone; free some (driftune prune), or choose "
            "another place in params.yaml"
        )


def _has_prefect_profile() -> bool:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    return (home / "profiles.toml").exists()
