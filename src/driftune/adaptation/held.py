"""Claims of a group: kept by what any of them does, until each has ended."""

import time
from collections.abc import Mapping

from driftune.errors import LedgerError
from driftune.registry.ledger import Ledger

# At most so often, and several times within a lease.
EVERY_SECONDS, TIMES_A_LEASE = 15.0, 10


class HeldClaims:
    """The claims of decisions that are adapted together, each kept until its own end.

    What one of them does keeps all: a domain whose training has ended waits for that of the others
    and for their gates, longer than its lease may be.
    """

    def __init__(self, ledger: Ledger, owners: Mapping[str, str]) -> None:
        """Hold claims that have just been made; ``owners``: theirs, by the decisions' ids."""
        self._ledger, self._owners = ledger, dict(owners)
        self._every = min(EVERY_SECONDS, ledger.lease_seconds / TIMES_A_LEASE)
        self._renewed = time.monotonic()
        self._problems: dict[str, Exception] = {}

    def renew(self, decision_id: str) -> None:
        """Keep all claims, when it is time to.

        Raises:
            LedgerError: when this decision's claim is lost, or the ledger cannot be reached.
        """
        due = time.monotonic() - self._renewed >= self._every
        if due or decision_id in self._problems:
            for each, owner in self._owners.items():
                self._problems.pop(each, None)
                try:
                    self._ledger.renew(each, owner)
                except LedgerError as error:
                    self._problems[each] = error
            self._renewed = time.monotonic()
        if decision_id in self._problems:
            raise self._problems[decision_id]

    def drop(self, decision_id: str) -> None:
        """Keep the claim of a decision that has ended no longer."""
        self._owners.pop(decision_id, None)
