"""Redact: passwords and tokens taken out of what is logged, raised and recorded."""

import logging
import re

from driftune.visible import traceback_text, visible

HIDDEN = "…"
# User and password of a URL; a password may hold any sign that ends no word.
_LOGIN = re.compile(r"(?<=://)(?:[^\s/:'\"]*:[^\s'\"]*@|[^\s/@:'\"]+@)")
_NAMES = r"[\w.-]*(?:password|passwd|pwd|token|secret|key|signature|sig|credential|auth)[\w.-]*"
_QUERY = re.compile(rf"([?&;]{_NAMES}=)[^&;\s'\"#]+", re.IGNORECASE)
_SETTING = re.compile(r"\b((?:password|passwd|secret)\s*=\s*)[^&;\s'\"]+", re.IGNORECASE)
# Driftune's own, and those by which Prefect tells of a run's exceptions.
_LOGGERS = (
    "driftune",
    "driftune.progress",
    "prefect.flow_runs",
    "prefect.task_runs",
    "prefect.engine",
)


def redact(text: str) -> str:
    """The text without the logins of URLs and the values of their secret parameters."""
    text = _LOGIN.sub(f"{HIDDEN}@", text)
    return _SETTING.sub(rf"\1{HIDDEN}", _QUERY.sub(rf"\1{HIDDEN}", text))


class _Redacting(logging.Filter):
    """Redacts records, tracebacks included, and makes each a line, before any handler has them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = visible(redact(record.getMessage())), None
        if record.exc_info and not record.exc_text:
            record.exc_text = redact(traceback_text(record.exc_info))
        return True


def guard_logs() -> None:
    """Redact what Driftune and the runs of its flows log from now on; once is enough."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _Redacting) for each in logger.filters):
            logger.addFilter(_Redacting())
