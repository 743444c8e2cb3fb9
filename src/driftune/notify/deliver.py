"""Deliver: what the outbox owes, sent within seconds; what is not taken stays for the next run."""

import logging
import os
import time
from collections.abc import Mapping

from driftune.config import Config
from driftune.errors import DriftuneError
from driftune.notify.targets import Target, open_targets, send
from driftune.notify.words import message_of
from driftune.registry.database import DatabaseFault
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed, settle, take
from driftune.registry.rows import Message

# No message is begun after so many seconds.
BUDGET = 5.0
log = logging.getLogger("driftune")


def deliver(config: Config, ledger: Ledger, env: Mapping[str, str] | None = None) -> int:
    """Send what is owed; returns how many messages every target has taken by now.

    Nothing is raised: whoever waits for a message shall not lose a day's work for it.
    """
    if config.notify.urls_env is None:
        return 0
    try:
        rows = owed(ledger)
        if not rows:
            return 0
        targets = open_targets(config.notify, os.environ if env is None else env)
        return _deliver(config, ledger, rows, targets)
    except (DriftuneError, DatabaseFault) as error:
        log.warning("notify: %s; the next run tries again", error)
        return 0


def _deliver(config: Config, ledger: Ledger, rows: list[Message], targets: list[Target]) -> int:
    end = time.monotonic() + BUDGET
    failing: dict[str, str] = {}
    sent = 0
    for row in rows:
        asked = [t for t in targets if t.name not in failing and t.name not in row.delivered]
        if time.monotonic() > end:
            break
        if not asked or not take(ledger, row.id):
            continue
        answers = send(asked, message_of(config, row))
        failing |= {name: reason for name, reason in answers.items() if reason is not None}
        taken = {*row.delivered, *(name for name, reason in answers.items() if reason is None)}
        done = all(target.name in taken for target in targets)
        settle(ledger, row.id, sorted(taken), done=done)
        sent += done
    for name, reason in failing.items():
        log.warning("notify: %s took no message (%s); the next run tries again", name, reason)
    return sent
