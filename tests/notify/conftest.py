"""A web server that takes messages, and a world that sends to it."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from driftune.registry.ledger import Ledger
from tests.conftest import World
from tests.records import as_records
from tests.registry.conftest import BACKBONE, KEY

SECRET = "T0kenT0kenT0ken"
# How often a server looks whether it is to end (seconds): each test waits for it.
POLL = 0.02


class Inbox:
    """What a local server was sent; ``status`` is what it answers, ``delay`` when (seconds)."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status, self.delay = 200, 0.0
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(inbox.delay)
                if inbox.status == 200:
                    inbox.messages.append(body)
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(POLL,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """Apprise's URL of it, with a password."""
        return f"json://ann:{SECRET}@127.0.0.1:{self.server.server_port}/hook/{SECRET}"

    def close(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as one sender needs."""

    mails: list[bytes]

    def handle(self) -> None:
        self.say(b"220 here")
        while line := self.rfile.readline():
            command = line[:4].upper().strip()
            if command == b"DATA":
                self.say(b"354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                self.mails.append(text)
            self.say(b"221 bye" if command == b"QUIT" else b"250 ok")

    def say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def mail_server() -> Iterator[tuple[int, list[bytes]]]:
    """A mail server on loopback: its port, and what it was sent."""
    mails: list[bytes] = []
    handler = type("Handler", (_Mail,), {"mails": mails})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A server that takes messages."""
    opened = Inbox()
    yield opened
    opened.close()


@pytest.fixture
def told(make_world: Callable[..., World], inbox: Inbox, monkeypatch: Any) -> World:
    """A world whose events are told to the server."""
    monkeypatch.setenv("TEST_NOTIFY_URLS", inbox.url)
    return make_world(notify={"urls_env": "TEST_NOTIFY_URLS", "site": "https://review.example/d"})


@pytest.fixture
def ledger(told: World) -> Iterator[Ledger]:
    """Its ledger."""
    with Ledger(told.config) as opened:
        yield opened


def decide(ledger: Ledger, day: str = "2026-03-10", **more: Any) -> str:
    """A drift decision; returns its id."""
    values = {
        "id": f"{day}.{KEY}.r1",
        "domain": "home · north",
        "domain_key": KEY,
        "day": day,
        "revision": 1,
        "backbone": BACKBONE,
        "state": "pending",
        "score": 2.0,
        "scores": {"rule": "strong evidence"},
        "sentence": "Drifted: clicks moved.",
        "data_version": "v1",
        "champion_version": 0,
        **more,
    }
    row, _ = ledger.decide(**as_records(values))
    return row.id
