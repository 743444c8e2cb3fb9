"""Steps: how those of an adaptation are run. Plain calls here; others retry or reuse."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import finetune_together
from driftune.adaptation.outside.job import Deployments
from driftune.adaptation.workbench import Workbench
from driftune.progress import report
from driftune.registry.records import GateReport, TrainingFigures

T = TypeVar("T")
FINE_TUNE = "fine-tune"


class Steps:
    """The steps of an adaptation as plain calls.

    Whoever runs them otherwise overrides ``run`` (with retries, say), or ``fine_tune`` and
    ``judge`` where an outcome may be known already. ``workers``: threads that train; ``deployed``
    starts deployments that train, None where there are none.
    """

    workers: int = 1
    deployed: Deployments | None = None

    def run(self, name: str, decision_id: str, call: Callable[[], T]) -> T:
        """Run a step: claim, fine-tune, gate, conclude, or what ends a claim that failed."""
        return call()

    def about(self, decision_id: str) -> AbstractContextManager[None]:
        """What is entered around the work on one decision."""
        return nullcontext()

    def may_pass(self, error: Exception) -> bool:
        """Whether a decision that failed among others by this error is fine-tuned again, alone."""
        return False

    def fine_tune(
        self, benches: Sequence[Workbench], renew: Callable[[str], None]
    ) -> Mapping[str, TrainingFigures | Exception]:
        """Train the challengers; what came of each decision, by its id.

        ``renew`` keeps a decision's claim and is called after each of its epochs.
        """

        def progress(decision_id: str, label: str, done: int, total: int) -> None:
            renew(decision_id)
            report(label, done, total)

        each = {bench.decision_id: partial(progress, bench.decision_id) for bench in benches}
        return finetune_together(benches, each, self.workers, self.deployed)

    def judge(self, bench: Workbench) -> GateReport:
        """Judge champion and challenger on the same held-out rows."""
        return challenge(bench)
