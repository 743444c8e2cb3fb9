"""Targets: Apprise's URLs from the environment, asked for a few seconds, their secrets kept."""

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from driftune.config.notify import Notify
from driftune.errors import ConfigError
from driftune.notify.words import Message
from driftune.redact import HIDDEN, redact

TIMEOUT = 5.0
# These deliver text as it is; others are chats that see mentions and links in it.
_EXACT = {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"}
_MEANT = re.compile(r"(?<=[<@\]])")
# A part of a URL as long as this may be a token.
_TOKEN = 6


@dataclass(frozen=True)
class Target:
    """One address. ``name`` holds nothing secret; ``service`` is None where Apprise knows none."""

    name: str
    url: str
    service: Any

    def hide(self, text: str) -> str:
        """The text without the address and its parts."""
        for part in [self.url, *re.split(r"[/:@?&=#]+", self.url)]:
            if len(part) >= _TOKEN:
                text = text.replace(part, HIDDEN)
        return redact(" ".join(text.split()))[:200]


def open_targets(settings: Notify, env: Mapping[str, str]) -> list[Target]:
    """The targets that the environment names, separated by white space.

    Raises:
        ConfigError: when the variable is not set or holds nothing.
    """
    name = settings.urls_env
    if name is None:
        raise ConfigError("notify.urls_env is not set; name the variable that holds the URLs")
    urls = env.get(name, "").split()
    if not urls:
        raise ConfigError(f"notify.urls_env: {name} is not set in the environment; set it")
    from apprise import Apprise, AppriseAsset, NotifyFormat

    asset = AppriseAsset(app_id="Driftune", app_desc="Driftune", async_mode=False)
    found = []
    for number, url in enumerate(urls, start=1):
        with _Heard():
            service = Apprise.instantiate(url, asset=asset)
        if service is not None:
            # Plain text: what a domain is named by is not to be read as markup.
            service.notify_format = NotifyFormat.TEXT
        scheme = re.match(r"[A-Za-z0-9+.-]{1,20}(?=://)", url)
        found.append(Target(f"{scheme.group() if scheme else 'target'} #{number}", url, service))
    return found


def send(targets: Sequence[Target], message: Message) -> dict[str, str | None]:
    """Send to all at once; by name None where it was taken, else why not, after ``TIMEOUT``."""
    answers: dict[str, str | None] = {}
    # Daemons, which hold up neither the run nor the end of the process.
    threads = [
        threading.Thread(target=_send, args=(target, message, answers), daemon=True)
        for target in targets
    ]
    for thread in threads:
        thread.start()
    end = threading.Event()
    timer = threading.Timer(TIMEOUT, end.set)
    timer.daemon = True
    timer.start()
    while not end.is_set() and any(thread.is_alive() for thread in threads):
        end.wait(0.02)
    timer.cancel()
    late = f"no answer within {TIMEOUT:g} seconds"
    return {target.name: answers.get(target.name, late) for target in targets}


def _send(target: Target, message: Message, answers: dict[str, str | None]) -> None:
    from apprise import Apprise, NotifyFormat

    if target.service is None:
        answers[target.name] = "Apprise knows no such URL"
        return
    title, body = message
    if not target.service.schemas() & _EXACT:
        title, body = (_MEANT.sub("\u200b", text) for text in message)
    sender = Apprise(target.service, asset=target.service.asset)
    with _Heard() as heard:
        try:
            taken = sender.notify(body=body, title=title, body_format=NotifyFormat.TEXT)
        except Exception as error:
            heard.lines.append(f"{type(error).__name__}: {error}")
            taken = False
    answers[target.name] = None if taken else target.hide("; ".join(heard.lines) or "refused")


class _Heard(logging.Filter):
    """What Apprise logs in this thread, kept from every handler: it may tell an address."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self.thread:
            return True
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())
        return False

    def __enter__(self) -> "_Heard":
        logging.getLogger("apprise").addFilter(self)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        logging.getLogger("apprise").removeFilter(self)
