"""Steps: how those of an adaptation are run. Plain calls here; others retry or reuse."""

from collections.abc import Callable
from typing import TypeVar

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import finetune
from driftune.adaptation.outside.job import Deployments
from driftune.adaptation.workbench import Workbench
from driftune.progress import report
from driftune.registry.records import GateReport, TrainingFigures

T = TypeVar("T")
FINE_TUNE = "fine-tune"


class Steps:
    """The steps of an adaptation as plain calls.

    Whoever runs them otherwise overrides ``run`` (with retries, say), or ``fine_tune`` and
    ``judge`` where an outcome may be known already. ``deployed`` starts deployments that train;
    None where there are none.
    """

    deployed: Deployments | None = None

    def run(self, name: str, decision_id: str, call: Callable[[], T]) -> T:
        """Run a step: claim, fine-tune, gate, conclude, or what ends a claim that failed."""
        return call()

    def fine_tune(self, bench: Workbench, renew: Callable[[], None]) -> TrainingFigures:
        """Train the challenger; ``renew`` keeps the claim and is called after every epoch."""

        def progress(label: str, done: int, total: int) -> None:
            renew()
            report(label, done, total)

        return finetune(bench, progress, self.deployed)

    def judge(self, bench: Workbench) -> GateReport:
        """Judge champion and challenger on the same held-out rows."""
        return challenge(bench)
