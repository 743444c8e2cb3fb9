"""The served site: its files and nothing else, on the loopback address."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftune.errors import DriftuneError
from driftune.reports.serve import HOST, serving


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A small folder, served; a secret lies beside it."""
    home = tmp_path / "reports"
    (home / "day").mkdir(parents=True)
    (home / "index.html").write_text("front", encoding="utf-8")
    (home / "day" / "a.html").write_text("day", encoding="utf-8")
    (home / ".release").write_text("hidden", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "reports-old").mkdir()
    (tmp_path / "reports-old" / "secret.txt").write_text("secret", encoding="utf-8")
    (home / "link.txt").symlink_to(tmp_path / "secret.txt")
    with serving(home, 0) as server:
        yield int(server.url.split(":")[2].split("/")[0])


def get(port: int, path: str, *hosts: str) -> tuple[int, bytes]:
    """Status and body of a request, the path and the Host headers sent as they are."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_host=True)
        for host in hosts or (f"{HOST}:{port}",):
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_pages_are_served(port: int) -> None:
    assert get(port, "/") == (200, b"front")
    assert get(port, "/index.html?x=1") == (200, b"front")
    assert get(port, "/day/a.html") == (200, b"day")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/%2e%2e/secret.txt", "/day/../../secret.txt", "//../secret.txt",
        "/../reports-old/secret.txt", "/link.txt", "/.release", "/day/", "/missing.html",
        "/%00", "/%00/a.html", "/..%5csecret.txt",
    ],
)  # fmt: skip
def test_nothing_else_is_served(port: int, path: str) -> None:
    status, body = get(port, path)
    assert status == 404
    assert b"secret" not in body and b"hidden" not in body


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_it_answers_to_the_names_of_this_machine(port: int, name: str) -> None:
    assert get(port, "/", f"{name}:{port}") == (200, b"front")
    assert get(port, "/", name) == (200, b"front")


@pytest.mark.parametrize(
    "hosts",
    [
        ("attacker.example:{port}",), ("localhost.attacker.example",), ("127.0.0.1.nip.example",),
        ("localhost@attacker.example",), ("192.168.1.7:{port}",), ("0.0.0.0:{port}",), ("[::1",),
        ("",), ("localhost:{port}", "attacker.example"),
    ],
)  # fmt: skip
def test_a_page_under_another_name_reads_nothing(port: int, hosts: tuple[str, ...]) -> None:
    for path in ("/", "/day/a.html", "/missing.html"):
        status, body = get(port, path, *(host.format(port=port) for host in hosts))
        assert status == 421
        assert b"front" not in body and b"localhost" in body


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(DriftuneError, match=rf"--port {number}: .* in use") as raised:
            serving(tmp_path, number).__enter__()
    assert "\n" not in str(raised.value)
