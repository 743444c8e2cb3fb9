"""A Prefect server that the settings name: it answers, or a line says that it does not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_EPHEMERAL_ENABLED,
    temporary_settings,
)

from driftune.cli import server
from driftune.deployment.loopback import HOST, free_port
from driftune.errors import DriftuneError


class _Site(BaseHTTPRequestHandler):
    """A site that answers everything with a page."""

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>Welcome</h1>")

    def log_message(self, *_: str) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The URL of a server that is none of Prefect's."""
    serving = HTTPServer((HOST, 0), _Site)
    thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://{HOST}:{serving.server_port}/api"
    serving.shutdown()
    serving.server_close()
    thread.join()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/api", "localhost:4200", "https://ann:s3cret@127.0.0.1:{port}"]
)
@pytest.mark.few(1)
def test_a_server_that_is_away_is_a_line(url: str, tmp_path: Path) -> None:
    named = temporary_settings({PREFECT_API_URL: url.format(port=free_port())})
    with (
        named,
        pytest.raises(DriftuneError, match=r"^PREFECT_API_URL: no Prefect server answers") as error,
        server.reporting(tmp_path),
    ):
        pytest.fail("a run began")
    assert "\n" not in str(error.value) and "s3cret" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_site_that_is_no_prefect_server_is_a_line(site: str) -> None:
    with pytest.raises(DriftuneError, match=f"no Prefect server answers at {site}"):
        server.require_answer(site)


def test_a_server_that_answers_is_used_as_it_is(tmp_path: Path) -> None:
    before = PREFECT_API_URL.value()
    with server.reporting(tmp_path) as ready:
        ready()
        assert PREFECT_API_URL.value() == before
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_goes_away_meanwhile_is_a_line(tmp_path: Path) -> None:
    with (
        pytest.raises(DriftuneError, match=r"no Prefect server answers at .* \(gone\); start it"),
        server.reporting(tmp_path),
    ):
        raise httpx.ConnectError("gone")


def test_no_server_and_none_of_its_own_is_a_line(tmp_path: Path) -> None:
    none = temporary_settings(
        {PREFECT_SERVER_EPHEMERAL_ENABLED: False}, restore_defaults={PREFECT_API_URL}
    )
    with (
        none,
        pytest.raises(DriftuneError, match=r"no server is named.*set PREFECT_API_URL, or switch"),
        server.reporting(tmp_path),
    ):
        pytest.fail("a run began")
