"""Flows that the command line starts: their surroundings, and progress on the terminal."""

import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftune.cli.entry_points import load_entry_points
from driftune.cli.surroundings import has_home, require_temporary_folder, require_writable
from driftune.config import Config
from driftune.deployment.loopback import beside_proxies
from driftune.errors import DriftuneError

# Bytes that Prefect and the ledger write before the first row of a day.
ROOM = 32 * 2**20


@contextmanager
def running(config: Config, module: str) -> Iterator[None]:
    """Progress bars and one line per event while flows run; Prefect's own log stays out.

    ``module`` holds the flow; it is imported here, while a server of the run's own starts beside.

    Raises:
        DriftuneError: when the disk has no room for a run, a place cannot be written to, Prefect's
            settings cannot be read, or its server does not answer.
    """
    from driftune.cli import console
    from driftune.cli.server import reporting

    require_writable("workspace", config.home)
    _want_room(config)
    require_temporary_folder()
    config.home.mkdir(parents=True, exist_ok=True)
    prepare_environment(config.home)
    if "PREFECT_HOME" in os.environ:
        place = Path(os.environ["PREFECT_HOME"]).expanduser()
        require_writable("PREFECT_HOME", place, "set it to another folder")
    as_json = config.observe.log_format == "json"
    with reporting(config.home / "prefect") as ready, console.progress(as_json=as_json):
        load_entry_points()
        importlib.import_module(module)
        ready()
        yield


def prepare_environment(home: Path) -> None:
    """Set what Prefect reads of the environment when it is imported; ``home``: the workspace."""
    env = os.environ
    env.update(beside_proxies(env))
    if "PREFECT_API_URL" in env and not env["PREFECT_API_URL"].strip():
        del env["PREFECT_API_URL"]
    homeless = not has_home(env)
    if homeless or ("PREFECT_API_URL" not in env and not _has_prefect_profile()):
        env.setdefault("PREFECT_HOME", str(home / "prefect"))
    if homeless:
        env["HOME"] = str(home)
    env.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")


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
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    return (home / "profiles.toml").exists()
