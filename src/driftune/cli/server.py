"""The Prefect server that a command's flows report to: the one that is named, or one of its own."""

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from driftune.cli.prefect_settings import (
    PATIENCE,
    PROXIES,
    names_none,
    read_settings,
    require_client,
    require_database,
    short,
)
from driftune.errors import DriftuneError
from driftune.redact import redact

if TYPE_CHECKING:
    from driftune.deployment.own_server import OwnServer

# Seconds that a run's last events may take on their way to its own server.
DRAIN = 10
_PORTS = {"http": 80, "https": 443}


@contextmanager
def reporting(home: Path) -> Iterator[Callable[[], None]]:
    """Have flows report to a server while the context lasts; ``home``: of what an own one says.

    Yields what to call before the first flow: it waits until an own server answers.

    Raises:
        DriftuneError: when Prefect's settings cannot be read, or the server that they name does
            not answer, or goes away.
    """
    require_reachable(os.environ)
    require_client()
    with contextlib.ExitStack() as stack:
        # At once where nothing names another, as it takes longer than what is imported here.
        at_once = "prefect.context" not in sys.modules and names_none(os.environ, Path())
        server = stack.enter_context(_own(home)) if at_once else None
        settings = read_settings()
        named = settings.api.url
        if named is not None:
            if server is not None:
                server.stop()
            require_answer(named)
            with _told_in_a_line(named):
                yield lambda: None
            return
        if not settings.server.ephemeral.enabled:
            raise DriftuneError(
                "Prefect: no server is named (PREFECT_API_URL), and one of the run's own is "
                "switched off (PREFECT_SERVER_EPHEMERAL_ENABLED, also called "
                "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE); set PREFECT_API_URL, or switch it on"
            )
        if server is None:
            server = stack.enter_context(_own(home))
        with _reported_to(server):
            yield server.wait


@contextmanager
def _own(home: Path) -> Iterator["OwnServer"]:
    from driftune.deployment.own_server import OwnServer

    require_database(os.environ)
    server = OwnServer(home, os.environ)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _reported_to(server: "OwnServer") -> Iterator[None]:
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from driftune.deployment.own_server import MARK

    os.environ[MARK] = server.api
    try:
        with temporary_settings({PREFECT_API_URL: server.api}):
            yield
            # The last states of tasks, which go by events, reach it before it ends.
            EventsWorker.drain_all(timeout=DRAIN)
    finally:
        del os.environ[MARK]


def require_reachable(env: Mapping[str, str]) -> None:
    """See that something listens at the address that the environment names, if it names one.

    Before Prefect is imported, which takes seconds. Behind a proxy only its client can tell.

    Raises:
        DriftuneError: when nothing does, or it is no address.
    """
    url = env.get("PREFECT_API_URL")
    if url is None or any(name.upper() in PROXIES and env[name] for name in env):
        return
    try:
        address = urlsplit(url)
        if address.scheme not in _PORTS or address.hostname is None:
            raise ValueError("it is no address of http:// or https://")
        place = address.hostname, address.port or _PORTS[address.scheme]
        socket.create_connection(place, PATIENCE).close()
    except (OSError, ValueError) as error:
        raise DriftuneError(away(url, error)) from None


def require_answer(url: str) -> None:
    """See that a Prefect server answers at the address that the settings name.

    Raises:
        DriftuneError: when none does, or what does is no Prefect server.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    problem: Exception | None
    try:
        with (
            temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": PATIENCE}) as client,
        ):
            problem = client.api_healthcheck()
            if problem is None:
                # A site of another kind may be well, too.
                client.read_flows(limit=1)
    except Exception as error:
        problem = error
    if problem is not None:
        raise DriftuneError(away(url, problem))


def away(url: str, error: BaseException) -> str:
    """The line for a Prefect server that does not answer."""
    return (
        f"PREFECT_API_URL: no Prefect server answers at {redact(url)} ({short(error)}); "
        "start it, or correct the address in the environment, prefect.toml, .env or the profile; "
        "without one a run starts a server of its own"
    )


@contextmanager
def _told_in_a_line(url: str) -> Iterator[None]:
    """A server that goes away while flows run is told in a line, too."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        raise DriftuneError(away(url, error)) from error
