"""Structured logs: a JSON object per line, with what the line is about."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path

from driftune.config import Config
from driftune.errors import DriftuneError
from driftune.observe.context import Telling, about


def structured(handler: logging.Handler) -> logging.Handler:
    """Let a handler write JSON lines: time (UTC), level, message, and what they are about."""
    from pythonjsonlogger.json import JsonFormatter

    names = {"levelname": "level", "message": "message"}
    # What a line is not about is not in it.
    handler.setFormatter(
        JsonFormatter("%(levelname)s %(message)s", rename_fields=names, timestamp="time")
    )
    handler.addFilter(Telling())
    return handler


@contextmanager
def logged(config: Config) -> Iterator[None]:
    """Also write Driftune's log lines to ``observe.log_file`` while the context lasts.

    A file that logrotate has moved is opened anew. Inner runs do not write a second time.

    Raises:
        DriftuneError: when the file cannot be opened.
    """
    logger = logging.getLogger("driftune")
    path = config.observe.log_file
    if path is None or any(_writes(each, config.root / path) for each in logger.handlers):
        yield
        return
    target = config.root / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handler = structured(WatchedFileHandler(target, encoding="utf-8"))
    except OSError as error:
        raise DriftuneError(
            f"{config.source_file}: observe.log_file: {target} cannot be written ({error})"
        ) from None
    before = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


@contextmanager
def continued(config: Config, what: Mapping[str, str]) -> Iterator[None]:
    """Go on with a run's log lines, in whatever process: about the same, and into the same file."""
    with logged(config), about(**what):
        yield


def _writes(handler: logging.Handler, path: Path) -> bool:
    return isinstance(handler, WatchedFileHandler) and Path(handler.baseFilename) == path.absolute()
