"""The command line in surroundings that are wrong: it works, or says one line."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import World, made_once
from tests.servers import free_port

PATIENCE = 240
# What an own server has let through: a first run, in a folder without logs, that reached its day.
REACHED = "reference day 2026-03-02: no file at logs/2026-03-02.parquet"
RUN = "run --day 2026-04-01"
PROFILE = 'active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'


@dataclass(frozen=True)
class Surrounding:
    """What is set, written and put around a command, and what it says then.

    ``{port}`` stands for a port that nobody listens on, ``{home}`` for the user's home and
    ``{root}`` for the project's folder; ``inside`` is a shell's line that ends in the command.
    """

    wanted: str
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    inside: str = "{command}"
    without: tuple[str, ...] = ()
    command: str = RUN


MOUNTED = "unshare -m sh -c {quoted}"
LINES = {
    "socks proxy": Surrounding("ALL_PROXY: no connection", {"ALL_PROXY": "socks5://127.0.0.1:9"}),
    "no certificates": Surrounding("SSL_CERT_FILE", {"SSL_CERT_FILE": "{home}/none.pem"}),
    "dead server": Surrounding(
        "PREFECT_API_URL: no Prefect server answers at http://127.0.0.1:",
        {"PREFECT_API_URL": "http://127.0.0.1:{port}/api"},
    ),
    "address without a scheme": Surrounding(
        "no Prefect server answers at localhost:4200", {"PREFECT_API_URL": "localhost:4200"}
    ),
    "dead server in a profile": Surrounding(
        "no Prefect server answers", files={"{home}/.prefect/profiles.toml": PROFILE}
    ),
    "dead server in .env": Surrounding(
        "no Prefect server answers",
        files={"{root}/.env": "PREFECT_API_URL=http://127.0.0.1:9/api\n"},
    ),
    "broken profiles": Surrounding(
        "profiles.toml: is no TOML", files={"{home}/.prefect/profiles.toml": "active = ["}
    ),
    "broken prefect.toml": Surrounding(
        "prefect.toml: is no TOML", files={"{root}/prefect.toml": "x = ["}
    ),
    "own server switched off": Surrounding(
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    ),
    "a value that is none": Surrounding(
        "PREFECT_API_REQUEST_TIMEOUT is wrong", {"PREFECT_API_REQUEST_TIMEOUT": "soon"}
    ),
    "PREFECT_HOME is a file": Surrounding(
        "PREFECT_HOME: {home}/file is no folder",
        {"PREFECT_HOME": "{home}/file"},
        {"{home}/file": ""},
    ),
    "dead database": Surrounding(
        "no database answers at postgresql+asyncpg://…@127.0.0.1",
        {"PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://a:b@127.0.0.1:{port}/x"},
    ),
    "workspace is a file": Surrounding("is no folder", files={"{root}/workspace": ""}),
    "read-only workspace": Surrounding(
        "is on a read-only file system",
        inside=MOUNTED.format(
            quoted="'mkdir {root}/workspace && mount --bind {root}/workspace {root}/workspace && "
            "mount -o remount,ro,bind {root}/workspace && {command}'"
        ),
    ),
    "no loopback": Surrounding("ip link set lo up", inside="unshare -n {command}"),
    "folder that is gone": Surrounding(
        "the working directory is gone",
        inside="sh -c 'mkdir {home}/gone && cd {home}/gone && rmdir {home}/gone && {command}'",
    ),
    "no folder at all": Surrounding(
        "the working directory is gone",
        inside="sh -c 'mkdir {home}/gone && cd {home}/gone && rmdir {home}/gone && {command}'",
        command="status",
    ),
}
WORKS = {
    "proxies": Surrounding(
        REACHED,
        {
            "HTTP_PROXY": "http://127.0.0.1:{port}",
            "ALL_PROXY": "http://127.0.0.1:{port}",
            "TZ": "No/Where",
            "TMPDIR": "{home}/none",
        },
    ),
    "a number without name and home": Surrounding(
        REACHED,
        inside=MOUNTED.format(quoted="'mount --bind /dev/null /etc/passwd && {command}'"),
        without=("HOME", "USER", "LOGNAME"),
    ),
    "others' tasks and flows": Surrounding(
        REACHED,
        {"PYTHONPATH": "{home}/others:{path}", "PYTHONIOENCODING": "ascii"},
        {"{home}/others/tasks/__init__.py": "", "{home}/others/flows.py": ""},
    ),
    "a home that is not there": Surrounding(REACHED, {"HOME": "/nonexistent"}),
}


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has made its database: that takes seconds of each first run."""

    def make(folder: Path) -> None:
        from driftune.deployment.own_server import OwnServer

        own = {name: value for name, value in os.environ.items() if "PREFECT_" not in name}
        server = OwnServer(folder, {**own, "PREFECT_HOME": str(folder)})
        try:
            server.wait()
        finally:
            server.stop()

    return made_once(tmp_path_factory, "own-server", make)


@pytest.fixture
def said(make_world: Callable[..., World], tmp_path: Path) -> Callable[..., str]:
    """Runs the command in a surrounding; returns the one line that it says."""

    def run(case: Surrounding, database: Path | None = None) -> str:
        world = make_world()
        if database is not None:
            shutil.copytree(database, world.config.home / "prefect")
        home = tmp_path / "home"
        home.mkdir()
        there = {
            "root": str(world.root), "home": str(home), "port": str(free_port()),
            "path": os.pathsep.join(sys.path),
        }  # fmt: skip
        for name, text in case.files.items():
            path = Path(name.format(**there))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().endswith("_PROXY") and not name.startswith("PREFECT_")
        }
        env |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
        env |= {name: value.format(**there) for name, value in case.env.items()}
        for name in case.without:
            env.pop(name, None)
        command = f"{sys.executable} -m driftune.cli {case.command} -c {world.params}"
        line = case.inside.format(command=command, **there)
        done = subprocess.run(
            shlex.split(line), cwd=world.root, env=env, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        if "unshare: " in done.stderr or "mount: " in done.stderr:
            pytest.skip("mounts and namespaces of its own are not allowed here")
        assert done.returncode == 1, done.stdout + done.stderr
        (only,) = done.stderr.strip().splitlines()
        assert case.wanted.format(**there) in only
        return only

    return run


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.flow
@pytest.mark.parametrize("case", LINES.values(), ids=LINES)
def test_what_is_wrong_is_one_line(case: Surrounding, said: Callable[..., str]) -> None:
    line = said(case)
    assert line.startswith("error: ") and REACHED not in line


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.flow
@pytest.mark.parametrize("case", WORKS.values(), ids=WORKS)
def test_what_does_not_matter_stops_no_run(
    case: Surrounding, said: Callable[..., str], database: Path
) -> None:
    said(case, database)


@pytest.mark.slow
@pytest.mark.ci
def test_streams_that_are_closed_leave_no_traceback(make_world: Callable[..., World]) -> None:
    world = make_world()
    command = f"{sys.executable} -m driftune.cli status -c {world.params}"
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            f"{command} {closed}", shell=True, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
