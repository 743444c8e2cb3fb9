"""The project's deployments on this machine: what is refused, what is left behind, all of it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from driftune.deployment.local import deployed, read_project
from driftune.deployment.processes import Process, is_running, prefect, stop_tree
from driftune.errors import ConfigError, DriftuneError

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "deploy").glob("*.json"))
SLEEP = "import subprocess, sys, time\n{}\nprint('started!', flush=True)\ntime.sleep(600)"


def test_the_projects_own_deployments_and_pools_are_read() -> None:
    names, pools = read_project(ROOT / "prefect.yaml")
    assert {"daily", "adapt", "replay"} <= set(names)
    assert pools and len(pools) == len(set(pools))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("deployments: [", "cannot be read"),
        ("name: x\n", "deployments is no list"),
        ("deployments: daily\n", "deployments is no list"),
        ("deployments: []\n", "lacks name or work_pool"),
        ("deployments: [{name: daily}]\n", "lacks name or work_pool"),
        ("deployments: [{name: 7, work_pool: {name: default}}]\n", "lacks name or work_pool"),
    ],
)
def test_a_project_file_that_says_nothing_to_deploy_is_one_line(
    tmp_path: Path, text: str | None, says: str
) -> None:
    file = tmp_path / "prefect.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        read_project(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DriftuneError, match=f"--port {port}.*0 for a free one"):
            deployed(ROOT, tmp_path, port, lambda _: None).__enter__()
    assert not (tmp_path / "logs").exists()


def test_one_that_runs_already_is_left_alone_and_named(tmp_path: Path) -> None:
    me = psutil.Process()
    record = {"url": "http://127.0.0.1:9", "by": [me.pid, me.create_time()], "processes": []}
    (tmp_path / "running.json").write_text(json.dumps(record))
    with pytest.raises(DriftuneError, match=r"already deployed on http://127\.0\.0\.1:9"):
        deployed(ROOT, tmp_path, 0, lambda _: None).__enter__()
    assert json.loads((tmp_path / "running.json").read_text()) == record


def sleeping(then: str = "") -> subprocess.Popen[str]:
    """A process that does what ``then`` says, and then nothing for long."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEP.format(then)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "started!\n"
    return process


def test_what_a_killed_command_left_is_ended_and_strangers_are_not(tmp_path: Path) -> None:
    left, stranger = sleeping(), sleeping()
    try:
        record = {
            "url": "http://127.0.0.1:9",
            "by": [psutil.Process().pid, 1.0],
            "processes": [
                [left.pid, psutil.Process(left.pid).create_time()],
                # The number of a process that ended long ago, used again.
                [stranger.pid, 1.0],
            ],
        }
        (tmp_path / "running.json").write_text(json.dumps(record))
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DriftuneError):
            deployed(ROOT, tmp_path, taken.getsockname()[1], lambda _: None).__enter__()
        left.wait(timeout=30)
        assert stranger.poll() is None
        assert not (tmp_path / "running.json").exists()
    finally:
        for each in (left, stranger):
            each.kill()
            each.wait()


@pytest.mark.slow
@pytest.mark.ci
def test_what_was_started_last_by_a_killed_command_is_ended_too(tmp_path: Path) -> None:
    """Killed before it wrote down what it had started; the worker's own run has the mark, too."""
    start = f"""
import os, subprocess, sys
from pathlib import Path
from driftune.deployment.local import MARK
from driftune.deployment.processes import mark
env = {{**os.environ, MARK: mark(str(Path({str(tmp_path)!r}).resolve()))}}
code = 'import subprocess, sys, time; subprocess.Popen([sys.executable, "-c", sys.argv[1]]); '
code += 'print("started!", flush=True); time.sleep(600)'
worker = subprocess.Popen([sys.executable, "-c", code, "import time; time.sleep(600)"], env=env,
                          stdout=subprocess.PIPE, start_new_session=True)
worker.stdout.readline()
print(worker.pid, flush=True)
"""
    command = sleeping_after(start)
    worker = psutil.Process(int(command.said))
    family = [worker, *worker.children(recursive=True)]
    beside, stranger = sleeping(), tmp_path / "other"
    try:
        assert len(family) == 2
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for home in (tmp_path, stranger):
                # While the command runs, and from another place, they are left alone.
                with pytest.raises(DriftuneError):
                    deployed(ROOT, home, port, lambda _: None).__enter__()
                assert all(each.is_running() for each in family)
            command.process.kill()
            command.process.wait()
            with pytest.raises(DriftuneError):
                deployed(ROOT, tmp_path, port, lambda _: None).__enter__()
        gone, left = psutil.wait_procs(family, timeout=30)
        assert left == [] and len(gone) == 2 and beside.poll() is None
    finally:
        for each in (command.process, beside):
            each.kill()
            each.wait()
        for each in family:
            if each.is_running():
                each.kill()


class Started(NamedTuple):
    """A process that has printed a line, and sleeps."""

    process: subprocess.Popen[str]
    said: str


def sleeping_after(code: str) -> Started:
    """A process that runs the code, which prints a line, and then does nothing for long."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nimport time\ntime.sleep(600)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return Started(process, process.stdout.readline())


def test_a_process_goes_with_its_children() -> None:
    parent = sleeping("subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])")
    family = [psutil.Process(parent.pid), *psutil.Process(parent.pid).children(recursive=True)]
    started = [(each.pid, each.create_time()) for each in family]
    assert len(started) == 2 and all(is_running(*each) for each in started)
    parent_ended = parent.poll()
    stop_tree(parent.pid)
    parent.wait()
    assert parent_ended is None and not any(is_running(*each) for each in started)


@pytest.mark.slow
@pytest.mark.ci
def test_a_process_that_ends_by_itself_tells_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"
    process = Process("server", prefect(["no-such-command"]), log, dict(os.environ))
    end = time.monotonic() + 60
    with pytest.raises(DriftuneError, match=r"server ended with code \d+") as error:
        while time.monotonic() < end:
            process.check()
            time.sleep(0.1)
    assert str(log) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_work_pool_template_uses_what_it_declares(path: Path) -> None:
    template = json.loads(path.read_text())
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])


def test_images_run_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["driftune"] * 2
    assert sum(line.startswith("HEALTHCHECK") for line in lines) == 2
    kubernetes = json.loads((ROOT / "deploy" / "kubernetes.json").read_text())
    pod = kubernetes["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {pod['securityContext']['runAsUser']}" in (ROOT / "Dockerfile").read_text()


@pytest.mark.slow
def test_a_first_look_brings_all_up_and_takes_all_down(tmp_path: Path) -> None:
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("prefect.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    command = subprocess.Popen(
        [sys.executable, "-m", "driftune.cli", "deploy", "--local", "--port", "0"],
        cwd=tmp_path,
        env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stdout is not None
        said = []
        for line in command.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        api = re.search(r"PREFECT_API_URL=(\S+)", "".join(said))
        assert api is not None, said
        request = urllib.request.Request(
            f"{api[1]}/deployments/filter", b"{}", {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            names = {each["name"] for each in json.load(answer)}
        assert names == set(read_project(ROOT / "prefect.yaml")[0])
        family = psutil.Process(command.pid).children(recursive=True)
        assert len(family) >= 2
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=120) == 0
        assert not psutil.wait_procs(family, timeout=10)[1]
        assert not (tmp_path / "workspace" / "deployed" / "running.json").exists()
    finally:
        stop_tree(command.pid)
        command.wait()
