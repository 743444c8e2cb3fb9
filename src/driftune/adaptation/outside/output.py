"""What a training job says: a log line for each of its lines, without secrets."""

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from driftune.redact import HIDDEN, redact
from driftune.visible import visible

log = logging.getLogger("driftune")

# Signs of a line that are shown; of one that are looked at for secrets; lines that are logged.
SHOWN, LOOKED_AT, LINES = 1000, 8000, 5000
_ENDS = re.compile(rb"[\r\n]+")
_SECRET = re.compile(r"pass|pwd|token|secret|key|credential|auth|dsn|connection", re.IGNORECASE)
# Shorter values are too common in other words.
_SHORTEST = 8


class Output:
    """Logs what comes from a job's streams; ``last`` is the last line of each, by its name."""

    def __init__(self, prefix: str, environment: Mapping[str, str]) -> None:
        self.last: dict[str, str] = {}
        self._prefix = prefix
        self._secrets = sorted(set(_secrets(environment)), key=len, reverse=True)
        self._begun: dict[str, bytes] = {}
        self._logged = 0

    def take(self, stream: str, data: bytes) -> None:
        """Take some bytes of a stream; no bytes are its end."""
        *whole, rest = _ENDS.split(self._begun.get(stream, b"") + data)
        if not data:
            whole, rest = [*whole, rest], b""
        for line in whole:
            self._line(stream, line)
        # The end of an endless line says nothing that its beginning does not.
        self._begun[stream] = rest[:LOOKED_AT]

    def _line(self, stream: str, line: bytes) -> None:
        text = line[:LOOKED_AT].decode("utf-8", "replace").strip()
        if not text:
            return
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = visible(redact(text))[:SHOWN]
        self.last[stream] = text
        self._logged += 1
        if self._logged <= LINES:
            log.info("%s: trainer: %s", self._prefix, text)
        elif self._logged == LINES + 1:
            log.info(
                "%s: trainer: more than %d lines; the others are left out", self._prefix, LINES
            )


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """Values of the environment that are secrets by their names, line by line."""
    for name, value in environment.items():
        if _SECRET.search(name) and not _is_path(value):
            yield from (line for line in value.splitlines() if len(line) >= _SHORTEST)


def _is_path(value: str) -> bool:
    try:
        return value.startswith("/") and Path(value).exists()
    except (OSError, ValueError):
        return False
