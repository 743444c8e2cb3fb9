"""What every user of a Ray cluster needs: that it answers, and the environment of its workers."""

import os
import socket
from urllib.parse import urlsplit

from driftune.config.runner import Needs
from driftune.errors import ConfigError
from driftune.no_telemetry import QUIET

# Ray itself asks an address at which nobody answers again and again, for minutes.
PATIENCE_SECONDS = 10
INSTALL = "Ray is not installed; run pip install -c constraints.txt -e '.[ray]'"


def worker_environment() -> dict[str, str]:
    """What Ray's workers find in their environment beside its own.

    Of a domain that needs no GPU (``runner.needs.gpus``) a worker sees none: by itself Ray would
    show it all of the node's.
    """
    # Workers import the library, not the flows: nobody else would keep their telemetry off.
    quiet = {name: os.environ[name] for name in QUIET if name in os.environ}
    return {**quiet, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


def workers_at_once(needs: Needs) -> int:
    """How many workers of these needs the cluster that this process has joined takes at once."""
    import ray

    return needs.at_once(ray.cluster_resources())  # type: ignore[no-untyped-call]  # Ray has no types


def require_answer(address: str) -> None:
    """See that a cluster answers at ``host:port`` or ``ray://host:port``.

    Raises:
        ConfigError: when nobody does.
    """
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.hostname is None or port is None:
        # auto, local: Ray's own words.
        return
    try:
        socket.create_connection((parts.hostname, port), PATIENCE_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"runner.address: no Ray cluster answers at {address} ({error}); start one with ray "
            "start --head, or name another"
        ) from None
