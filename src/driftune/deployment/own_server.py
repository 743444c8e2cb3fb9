"""A Prefect server of a command's own, on the loopback address, for as long as the command takes.

Prefect starts one by itself where no server is named. This one is started before what flows import,
and imported in its own process alone; it ends with a command that is killed, and what it says goes
into a file.
"""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from driftune.deployment import tied
from driftune.deployment.loopback import HOST, answers, beside_proxies, free_port, require_loopback
from driftune.deployment.processes import Process, last_line, wait_until
from driftune.errors import DriftuneError

# The variable that names it: what needs a server that outlives a run must ask for another.
MARK = "DRIFTUNE_OWN_SERVER"
# Seconds that it may take to be there: on a machine at work, or with a database to make.
STARTUP = 120
# As Prefect starts its own: without pages, schedules and what else only a lasting one needs.
_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
# Of what it says in its last words: the line that names the error.
_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Refused)\w*:? ?.*$")


class OwnServer:
    """A server that starts at once; ``wait`` until it answers, ``stop`` it at the end."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        """Start it; ``home``: where what it says is kept while it runs, and where it failed.

        Raises:
            DriftuneError: when no program on this machine could reach it.
        """
        require_loopback()
        port = free_port()
        self._failed = False
        self.url = f"http://{HOST}:{port}"
        self.log = home / f"server-{secrets.token_hex(4)}.log"
        command = [
            *(sys.executable, tied.__file__, "uvicorn"),
            *("--factory", "prefect.server.api.server:create_app"),
            *("--host", HOST, "--port", str(port), "--log-level", "error", "--lifespan", "on"),
        ]
        kept = {name: value for name, value in env.items() if name != "PREFECT_API_URL"}
        self._process = Process(
            "the server", command, self.log, beside_proxies(kept | _SETTINGS), stdin=subprocess.PIPE
        )

    @property
    def api(self) -> str:
        """What ``PREFECT_API_URL`` must be to reach it."""
        return f"{self.url}/api"

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            DriftuneError: with what it said, when it ends instead, or does not answer in time.
        """
        try:
            wait_until(
                lambda: answers(f"{self.api}/health"), [self._process], STARTUP, "the server"
            )
        except DriftuneError as error:
            self._failed = True
            said = reason(self.log)
            why = f"it ended: {said}" if said else str(error)
            raise DriftuneError(
                f"Prefect's server for this run did not start ({why}); all it said: {self.log}; "
                "mend that, or start one that stays (prefect server start) and set PREFECT_API_URL"
            ) from None

    def stop(self) -> None:
        """End it; what it said goes too, unless it did not start."""
        self._process.stop()
        if not self._failed:
            self.log.unlink(missing_ok=True)


def is_own(url: str | None) -> bool:
    """Whether a server ends with this command, so that nothing else can rest on it."""
    return url is None or url == os.environ.get(MARK)


def reason(log: Path) -> str:
    """The last line of a log that names an error, else the last one; empty where it said nothing.

    Unlike the others, a line of a traceback that names its error begins at the margin.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line for line in lines if _ERROR.match(line) and not line.startswith("ERROR:")]
    if named:
        return named[-1][:300]
    return last_line(log)[:300] if any(map(str.strip, lines)) else ""
