"""Following a bundle: a thread that takes up its newest manifest while a scorer serves."""

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

from driftune.errors import BundleError, note_of
from driftune.serving.places import below, place_of
from driftune.serving.presence import FOLDER, Reporter
from driftune.serving.scorer import Scorer

log = logging.getLogger("driftune")


class Health(TypedDict):
    """``ok``: the newest bundle serves; what keeps it or its report from that, in one line."""

    ok: bool
    problem: str | None
    unreported: str | None


class Follower:
    """Refreshes a scorer every ``poll`` seconds while the context lasts, and reports what serves.

    A refresh that fails leaves the former bundle in service: ``problem`` says in one line why the
    newest one failed (None: it did not), ``failures`` how many did. ``unreported`` says why the
    process could not report itself (None: it could); it serves all the same.
    """

    def __init__(
        self, scorer: Scorer, poll: float = 15.0, report_to: str | Path | None = None
    ) -> None:
        """Follow the bundle of a scorer.

        Args:
            scorer: the one that serves.
            poll: seconds between two looks at the manifest, each with a report.
            report_to: folder or URL of the reports; by default ``serving`` in the bundle.

        Raises:
            ValueError: when ``poll`` is not above 0.
        """
        if not poll > 0:
            raise ValueError(f"poll is {poll}; seconds above 0 are needed")
        self.scorer, self.poll = scorer, poll
        self.problem: str | None = None
        self.unreported: str | None = None
        self.failures = 0
        self._reporter = Reporter(place_of(report_to or below(scorer.bundle, FOLDER)), poll)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driftune-follow", daemon=True)

    def __enter__(self) -> Self:
        self._report()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._reporter.leave()
        except BundleError as failed:
            log.warning("the end of this process is not reported: %s", failed)

    def health(self) -> Health:
        """How it stands, for those who ask."""
        return {
            "ok": self.problem is None,
            "problem": self.problem,
            "unreported": self.unreported,
        }

    def look(self) -> bool:
        """Take up the bundle's newest manifest now, and report; whether the former worked."""
        try:
            self.scorer.refresh()
            self.problem = None
        except Exception as error:
            # Whatever it is, the thread lives on, and so does the former bundle.
            self.problem, self.failures = note_of(error), self.failures + 1
            log.warning("the former bundle serves on: %s", self.problem)
        self._report()
        return self.problem is None

    def _report(self) -> None:
        before = self.unreported
        try:
            self._reporter.report(self.scorer.manifest, self.problem)
            self.unreported = None
        except BundleError as error:
            self.unreported = str(error)
            if self.unreported != before:
                log.warning("this process is not reported: %s", self.unreported)

    def _run(self) -> None:
        while not self._stop.wait(self.poll):
            self.look()
