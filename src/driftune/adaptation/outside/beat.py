"""A beat: while a job runs elsewhere, its claim is kept and its progress told."""

import logging
import os
import time
from collections.abc import Callable

from driftune.adaptation.held import EVERY_SECONDS, TIMES_A_LEASE
from driftune.adaptation.outside.job import Attempt
from driftune.errors import LedgerBusyError, TrainerError

log = logging.getLogger("driftune")

# A ledger that is away for less than this share of the lease costs nobody the claim.
PATIENCE = 0.7


class Heart:
    """Calls ``progress``, which keeps the claim, again and again, but not at every beat."""

    def __init__(
        self, attempt: Attempt, progress: Callable[[str, int, int], None], lease_seconds: float
    ) -> None:
        self._attempt, self._progress, self._lease = attempt, progress, lease_seconds
        self._every = min(EVERY_SECONDS, lease_seconds / TIMES_A_LEASE)
        self._begun = self._kept = self._tried = time.monotonic()

    def __call__(self) -> None:
        """Keep the claim when it is time to.

        Raises:
            LedgerError: when the claim is lost, or the ledger was away for too long.
        """
        if time.monotonic() - self._tried >= self._every:
            try:
                self.now()
            except LedgerBusyError as error:
                if time.monotonic() - self._kept > self._lease * PATIENCE:
                    raise
                log.warning("%s: tried again: %s", self._attempt.decision_id, error)

    def now(self) -> None:
        """Keep the claim now.

        Raises:
            TrainerError: when the attempt's folder is gone.
            LedgerError: when the claim is lost, or the ledger is away.
        """
        self._tried = time.monotonic()
        # Whoever looks for what killed runs have left takes a folder for one after a day.
        try:
            os.utime(self._attempt.folder)
        except FileNotFoundError:
            raise TrainerError(
                f"{self._attempt.domain}: the folder of the training job was removed while it ran: "
                f"{self._attempt.folder}; the job may write to write_to alone"
            ) from None
        limit = round(self._attempt.trainer.timeout_minutes * 60)
        self._progress("training job", min(round(self._tried - self._begun), limit), limit)
        self._kept = time.monotonic()
