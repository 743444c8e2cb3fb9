"""The served site: its files and nothing else, on the loopback address."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from driftune.errors import DriftuneError
from driftune.reports.serve import HOST, serving
from driftune.reports.slow import Deadlines


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


@pytest.mark.parametrize(
    "path", ["/" + "x" * 6000, "/day/" + "../" * 1500 + "a.html", "/" + "%ff" * 900, "/missing"]
)
def test_what_is_not_there_is_one_line_of_text(port: int, path: str) -> None:
    status, body = get(port, path)
    assert (status, body) == (404, b"404: the review site has no such page; see /index.html\n")


def test_every_answer_has_a_policy(port: int, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "drift" / "2026-03-12"
    folder.mkdir(parents=True)
    for name in ("new.html", "new.evidently.html", "old.html"):
        (folder / name).write_text("page", encoding="utf-8")

    def policy(path: str) -> str:
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        try:
            connection.request("GET", path)
            return str(connection.getresponse().getheader("Content-Security-Policy"))
        finally:
            connection.close()

    for path in ("/", "/day/a.html", "/missing.html", "/drift/2026-03-12/new.html"):
        assert policy(path).startswith("default-src 'none';"), path
        assert "script-src 'self';" in policy(path)
    # That of a release that had no frame for it runs what is inline, and nowhere near the site.
    for path in ("/drift/2026-03-12/new.evidently.html", "/drift/2026-03-12/old.html"):
        assert policy(path).startswith("sandbox allow-scripts; default-src 'none';"), path


def test_slow_clients_are_hung_up_on_and_others_are_told_to_wait(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front" * 10**6, encoding="utf-8")
    deadlines = Deadlines(request=0.6, answer=0.6)
    with serving(tmp_path, 0, clients=2, deadlines=deadlines) as server, ExitStack() as open_ones:
        port = int(server.url.split(":")[2].split("/")[0])
        before = threading.active_count()
        slow = [
            open_ones.enter_context(socket.create_connection((HOST, port), timeout=5))
            for _ in range(2)
        ]
        # One is slow in asking, a byte at a time; the other takes no answer.
        slow[0].sendall(b"GET / HT")
        slow[1].sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        status, body = answer_in_time(port, 503)
        assert status == 503 and body.endswith(b"close some pages and try again\n")
        assert threading.active_count() <= before + 2
        for _ in range(8):
            with suppress(OSError):
                slow[0].sendall(b"T")
            time.sleep(0.1)
        assert answer_in_time(port, 200)[0] == 200
        with suppress(ConnectionError):
            assert slow[0].recv(10) == b""


def answer_in_time(port: int, wanted: int) -> tuple[int, bytes]:
    """Status and body of the front page, asked for until the status is as wanted (5 s)."""
    status, body, until = 0, b"", time.monotonic() + 5
    while status != wanted and time.monotonic() < until:
        with suppress(ConnectionError, http.client.HTTPException):
            status, body = get(port, "/")
    return status, body


def test_a_client_that_hangs_up_leaves_nothing_on_the_terminal(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        with socket.create_connection((HOST, port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\nGE".encode())
    assert get(port, "/")[0] == 200
    assert capfd.readouterr() == ("", "")
