"""Trials: each policy's own ledger and champions, beside the workspace that it shares."""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from driftune.adaptation.adapt import adapt, look_again
from driftune.adaptation.finetune import finetune
from driftune.adaptation.steps import Steps
from driftune.adaptation.workbench import Workbench
from driftune.config import Config
from driftune.config.notify import Notify
from driftune.config.registry import Registry
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from driftune.guard.check import check_champions
from driftune.policies.rules import Policy
from driftune.project import Project
from driftune.registry.days import copy_days
from driftune.registry.erasures import copy_erasures
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.waiting import decided_with, looks_due

log = logging.getLogger("driftune")

# States that a decision ends in before its challenger was judged.
UNJUDGED = ("failed", "superseded")


@dataclass
class Outcomes:
    """What came of fine-tunings: one that two trials ask for alike is done once.

    Training figures and gate reports with the seconds that they took; ``folder`` keeps the
    challengers. What the gate says depends on how many domains share the day.
    """

    folder: Path
    trained: dict[str, tuple[TrainingFigures, float]] = field(default_factory=dict)
    judged: dict[tuple[str, int], tuple[GateReport, float]] = field(default_factory=dict)


@dataclass
class KnownSteps(Steps):
    """The steps of one adaptation in a trial: what is known already is not done again.

    ``seconds``: what they took, now or when they were done.
    """

    outcomes: Outcomes
    seconds: float = 0.0

    def fine_tune(
        self, benches: Sequence[Workbench], renew: Callable[[str], None]
    ) -> Mapping[str, TrainingFigures | Exception]:
        """The training figures; the challengers lie where they belong."""
        return {bench.decision_id: self._trained(bench, renew) for bench in benches}

    def _trained(self, bench: Workbench, renew: Callable[[str], None]) -> TrainingFigures:
        name, known = _name(bench), self.outcomes.trained
        kept = self.outcomes.folder / name
        if name in known:
            shutil.copytree(kept, bench.folder, dirs_exist_ok=True)
        else:
            started = time.perf_counter()
            training = finetune(bench, lambda *_: renew(bench.decision_id))
            known[name] = training, time.perf_counter() - started
            shutil.copytree(bench.folder, kept)
        training, seconds = known[name]
        self.seconds += seconds
        return training

    def judge(self, bench: Workbench) -> GateReport:
        """The gate report."""
        name, known = _name(bench), self.outcomes.judged
        shared = name, decided_with(bench.project.ledger, bench.decision)
        if shared not in known:
            started = time.perf_counter()
            gate = super().judge(bench)
            known[shared] = gate, time.perf_counter() - started
        gate, seconds = known[shared]
        self.seconds += seconds
        return gate


@dataclass
class Trial:
    """A policy at work: its own project, and what it has spent."""

    policy: Policy
    project: Project
    finetunes: int = 0
    promoted: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, config: Config, ledger: Ledger, policy: Policy, folder: Path) -> "Trial":
        """Begin with the frozen base everywhere; the trial writes into ``folder`` alone.

        It reads the lake, encoded days and model of the workspace, and the days of its ledger.
        Its promotions stay in its own ledger: MLflow is not told.
        """
        home = folder / _digest(policy.name)[:12]
        home.mkdir(parents=True)
        shared = Workspace(config)
        for path in (shared.lake, shared.lake_cache, shared.features, shared.model):
            if path.exists():
                (home / path.name).symlink_to(path, target_is_directory=True)
        if shared.suppressed.exists():
            (home / shared.suppressed.name).symlink_to(shared.suppressed)
        own = policy.settings(config).model_copy(
            update={
                "workspace": str(home),
                "registry": Registry(),
                "review": "none",
                "notify": Notify(),
            }
        )
        trial = cls(policy, Project(own, mirrored=False))
        copy_days(ledger, trial.ledger)
        copy_erasures(ledger, trial.ledger)
        return trial

    @property
    def config(self) -> Config:
        """The configuration under the policy."""
        return self.project.config

    @property
    def ledger(self) -> Ledger:
        """The trial's own ledger."""
        return self.project.ledger

    def act(self, day: date, outcomes: Outcomes) -> None:
        """Judge what waits, take back champions that are worse, decide for the day, fine-tune what
        the policy wants, and judge that.
        """
        for decision in looks_due(self.ledger, day):
            state = self._try(decision, partial(look_again, self.project, decision, day))
            self.promoted += state == "promoted"
        check_champions(self.config, self.ledger, day, mirrored=False)
        self.policy.decide(self.config, self.ledger, day)
        for row in self.ledger.waiting(day):
            steps = KnownSteps(outcomes)
            state = self._try(row.id, partial(adapt, self.project, row.id, steps))
            if state is not None and state not in UNJUDGED:
                self.finetunes += 1
                self.promoted += state == "promoted"
                self.seconds += steps.seconds

    def _try(self, decision_id: str, work: Callable[[], str]) -> str | None:
        """The state that the work ends in; None when the decision was given back."""
        try:
            return work()
        except DriftuneError as error:
            log.warning("%s: %s: %s", self.policy.name, decision_id, error)
            return None


def _name(bench: Workbench) -> str:
    """What an outcome depends on beside the days: decision, champion, and when drift began."""
    champion, _ = bench.champion()
    served = champion.folder.name if champion.folder and champion.serves else "base"
    since = bench.decision.scores.since
    return _digest(f"{bench.decision_id} {champion.version} {served} {since}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
