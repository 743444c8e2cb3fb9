"""Programs that end with their starter, and servers on this machine, asked without a proxy."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

from driftune.deployment import tied
from driftune.deployment.loopback import HOST, answers, free_port, require_loopback
from driftune.errors import DriftuneError

PATIENCE = 60


def test_a_program_ends_when_its_starter_is_gone(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(
        "import sys, time\nimport processes\n"
        "print(sys.argv[1:], __name__, processes.OWN, flush=True)\ntime.sleep(600)\n"
    )
    # Of the same name as a module beside the program.
    (tmp_path / "processes.py").write_text("OWN = True\n")
    process = subprocess.Popen(
        [sys.executable, tied.__file__, "waiting", "--port", "1"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "['--port', '1'] __main__ True\n"
    assert process.poll() is None
    # As the system does for a starter that is killed.
    process.stdin.close()
    assert process.wait(PATIENCE) != 0
    process.stdout.close()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    def log_message(self, *_: str) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server that knows one page."""
    serving = HTTPServer((HOST, 0), _Page)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f"http://{HOST}:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    thread.join()


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_on_this_machine_is_asked_without_a_proxy(
    server: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(proxy, f"http://{HOST}:{free_port()}")
    assert answers(f"{server}/there")
    assert not answers(f"{server}/elsewhere")
    assert not answers(f"http://{HOST}:{free_port()}/there")


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.ETIMEDOUT])
def test_a_loopback_interface_that_is_down(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    require_loopback()

    def unreachable(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_connection", unreachable)
    said = os.strerror(number).lower()
    with pytest.raises(DriftuneError, match=rf"reach each other \({said}\).*ip link set lo up"):
        require_loopback()
