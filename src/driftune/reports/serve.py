"""The review site over HTTP, for this machine only."""

import http.server
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from driftune.config.workspace import EVIDENTLY
from driftune.content_policy import of_sandbox, of_site
from driftune.errors import DriftuneError
from driftune.reports.slow import DeadlineError, Deadlines, Timed

Client: TypeAlias = tuple[str, int]
Request: TypeAlias = socket.socket | tuple[bytes, socket.socket]
HOST = "127.0.0.1"
PORT = 8420
# What a browser may call this machine.
NAMES = ("localhost", "127.0.0.1", "::1")
# Seconds until a server that is to stop notices.
POLL = 0.05
# Clients that are served at once; browsers open six connections for a page.
CLIENTS = 64
DEADLINES = Deadlines(request=10.0, answer=120.0)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; no listings, no hidden files, nothing that a link leads out of it.

    Only requests for this machine by a loopback name are answered, at any port (a tunnel has its
    own): a page of the web whose name is made to resolve to 127.0.0.1 reads nothing. A client that
    is too slow is hung up on.
    """

    protocol_version = "HTTP/1.1"
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d: %(explain)s\n"

    def __init__(
        self,
        request: socket.socket,
        client: Client,
        server: socketserver.BaseServer,
        *,
        deadlines: Deadlines,
        directory: str,
    ) -> None:
        self.deadlines = deadlines
        super().__init__(request, client, server, directory=directory)

    def setup(self) -> None:
        """As the standard library's, with deadlines for what is read and written."""
        super().setup()
        self.timed = Timed(self.connection, self.deadlines)
        self.rfile = self.timed.reader()
        self.wfile = self.timed.writer()

    def handle_one_request(self) -> None:
        """As the standard library's; the connection ends with a client that is too slow."""
        self.timed.expect_request()
        try:
            super().handle_one_request()
        except (DeadlineError, ConnectionError):
            self.close_connection = True

    def send_head(self) -> Any:
        """As the standard library's, when the file is one of the site and was asked for here."""
        if not _is_loopback(self.headers.get_all("Host", [])):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"ask for it as {HOST} or {NAMES[0]}")
            return None
        path = self._asked()
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND, "the review site has no such page; see /index.html")
            return None
        try:
            return super().send_head()
        except OSError as error:
            why = (error.strerror or "no reason given").lower()
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the page cannot be read ({why})")
            return None

    def end_headers(self) -> None:
        """Pages change with every day's run: the browser asks each time whether they have."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Content-Security-Policy", self._policy())
        super().end_headers()
        self.timed.expect_answer()

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.send_error(status, explain=why)

    def _asked(self) -> Path | None:
        """The file of the site that is asked for; None when there is none."""
        home = Path(self.directory)
        try:
            path = Path(self.translate_path(self.path))
            if path == home:
                path = home / "index.html"
            inside = "\0" not in str(path) and path.resolve().is_relative_to(home)
            hidden = inside and any(part[0] == "." for part in path.relative_to(home).parts)
            return path if inside and not hidden and path.is_file() else None
        except (OSError, ValueError):
            # A name that is too long, or of signs that a file's cannot have.
            return None

    def _policy(self) -> str:
        """Evidently's pages are sandboxed, also those of releases that had no frame for them."""
        path = getattr(self, "path", None) and self._asked()
        if path and path.parent.parent.name == "drift":
            framed = path.name.endswith(EVIDENTLY)
            if framed or not path.with_suffix(EVIDENTLY).exists():
                return of_sandbox()
        return of_site()


def _is_loopback(hosts: list[str]) -> bool:
    try:
        return len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in NAMES
    except ValueError:
        return False


class _Http(http.server.ThreadingHTTPServer):
    """Threads for so many clients; the others are told to come again."""

    daemon_threads = True

    def __init__(self, address: Client, handler: Callable[..., Handler], clients: int) -> None:
        self.free = threading.BoundedSemaphore(clients)
        super().__init__(address, handler)

    def process_request(self, request: Request, client_address: Client) -> None:
        """Serve a client in a thread of its own, if one is free."""
        if not self.free.acquire(blocking=False):
            self._turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.free.release()
            raise

    def process_request_thread(self, request: Request, client_address: Client) -> None:
        """Serve a client, and give its place to another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Request, client_address: Client) -> None:
        """A client that hangs up is no error of ours, and none has a line on the terminal."""

    def _turn_away(self, request: Request) -> None:
        line = b"503: too many connections are open; close some pages and try again\n"
        head = (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Connection: close\r\nRetry-After: 10\r\nContent-Length: %d\r\n\r\n" % len(line)
        )
        assert isinstance(request, socket.socket)
        with suppress(OSError):
            # The answer fits the socket's buffer: this waits for nobody.
            request.setblocking(False)
            request.send(head + line)
        self.shutdown_request(request)


class Server:
    """A server that runs in a thread of its own."""

    def __init__(
        self,
        folder: Path,
        port: int,
        clients: int = CLIENTS,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        home = os.fspath(folder.resolve())
        handler = partial(Handler, directory=home, deadlines=deadlines)
        self._http = _Http((HOST, port), handler, clients)
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
def serving(
    folder: Path, port: int = PORT, clients: int = CLIENTS, deadlines: Deadlines = DEADLINES
) -> Iterator[Server]:
    """Serve a folder on the loopback address while the context lasts; Ctrl-C ends it quietly.

    Args:
        port: 0 picks a free one.
        clients: connections at once; more are answered 503.
        deadlines: of a request and of its answer.

    Raises:
        DriftuneError: when the port is taken or may not be used.
    """
    try:
        server = Server(folder, port, clients, deadlines)
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
