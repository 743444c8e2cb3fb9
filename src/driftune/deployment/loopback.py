"""The loopback address: free ports, whether a server answers, and no proxy on the way."""

import socket
import urllib.request
from collections.abc import Mapping
from contextlib import suppress

from driftune.errors import DriftuneError

HOST = "127.0.0.1"
# Names under which this machine is asked.
_HERE = (HOST, "localhost", "::1")
_NO_PROXY = ("NO_PROXY", "no_proxy")


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def require_loopback() -> None:
    """See that programs on this machine reach each other.

    Raises:
        DriftuneError: when they do not: a container or network namespace whose ``lo`` is down.
    """
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(1)
        try:
            socket.create_connection(listening.getsockname(), 2).close()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DriftuneError(
                f"{HOST}: programs on this machine do not reach each other ({reason}), so that a "
                "run can have no Prefect server of its own; bring the loopback interface up (ip "
                "link set lo up), or set PREFECT_API_URL"
            ) from None


def answers(url: str) -> bool:
    """Whether a server on this machine answers with 200; a proxy is not asked."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), direct.open(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def beside_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """The environment in which proxies, if any, are not asked for this machine; both spellings.

    Where a proxy is named and ``NO_PROXY`` does not except the loopback address, clients of a
    server on this machine would ask the proxy for it.
    """
    named = next((env[name] for name in reversed(_NO_PROXY) if env.get(name)), "")
    listed = [each.strip() for each in named.split(",") if each.strip()]
    if "*" in listed:
        return {**env, **dict.fromkeys(_NO_PROXY, "*")}
    listed += [each for each in _HERE if each not in listed]
    return {**env, **dict.fromkeys(_NO_PROXY, ",".join(listed))}
