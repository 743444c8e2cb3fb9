"""The review site over HTTP, for this machine only."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from driftune.errors import DriftuneError

HOST = "127.0.0.1"
PORT = 8420
# What a browser may call this machine.
NAMES = ("localhost", "127.0.0.1", "::1")
# Seconds until a server that is to stop notices.
POLL = 0.05


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; no listings, no hidden files, nothing that a link leads out of it.

    Only requests for this machine by a loopback name are answered, at any port (a tunnel has its
    own): a page of the web whose name is made to resolve to 127.0.0.1 reads nothing.
    """

    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        """As the standard library's, when the file is one of the site and was asked for here."""
        if not _is_loopback(self.headers.get_all("Host", [])):
            self.send_error(
                http.HTTPStatus.MISDIRECTED_REQUEST, f"Ask for it as {HOST} or {NAMES[0]}"
            )
            return None
        home = Path(self.directory)
        path = Path(self.translate_path(self.path))
        if path == home:
            path = home / "index.html"
        inside = "\0" not in str(path) and path.resolve().is_relative_to(home)
        shown = inside and not any(part.startswith(".") for part in path.relative_to(home).parts)
        if not shown or not path.is_file():
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Pages change with every day's run: the browser asks each time whether they have."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


def _is_loopback(hosts: list[str]) -> bool:
    try:
        return len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in NAMES
    except ValueError:
        return False


class Server:
    """A server that runs in a thread of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        handler = partial(Handler, directory=os.fspath(folder.resolve()))
        self._http = http.server.ThreadingHTTPServer((HOST, port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(POLL,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the front page."""
        return f"http://{HOST}:{self._http.server_address[1]}/index.html"

    def wait(self) -> None:
        """Return when the server was closed; Ctrl-C interrupts it."""
        self._thread.join()

    def close(self) -> None:
        """Stop, and give the port back."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(folder: Path, port: int = PORT) -> Iterator[Server]:
    """Serve a folder on the loopback address while the context lasts; Ctrl-C ends it quietly.

    Args:
        port: 0 picks a free one.

    Raises:
        DriftuneError: when the port is taken or may not be used.
    """
    try:
        server = Server(folder, port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DriftuneError(
            f"--port {port}: cannot serve on {HOST} ({reason}); choose another one, "
            "or 0 for a free one"
        ) from None
    try:
        with suppress(KeyboardInterrupt):
            yield server
    finally:
        server.close()
