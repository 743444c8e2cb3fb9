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

from driftune.adaptation.adapt import adapt_together, look_again
from driftune.adaptation.challenge import prior_of
from driftune.adaptation.finetune import finetune_together
from driftune.adaptation.groups import deal, most_rows, rows_of
from driftune.adaptation.steps import Steps
from driftune.adaptation.workbench import Workbench
from driftune.config import Config
from driftune.config.notify import Notify
from driftune.config.registry import Registry
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from driftune.evaluation.expected import Prior
from driftune.guard.check import check_champions
from driftune.policies.rules import Policy
from driftune.project import Project
from driftune.registry.days import copy_days
from driftune.registry.erasures import copy_erasures
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.records.gate import GateVerdict
from driftune.registry.waiting import decided_with, looks_due

log = logging.getLogger("driftune")

# States that a decision ends in before its challenger was judged.
UNJUDGED = ("failed", "superseded")


# A challenger's name, with how many its day's error is shared, and what earlier ones gained.
Basis = tuple[str, int, Prior | None]


@dataclass
class Outcomes:
    """What came of fine-tunings: one that two trials ask for alike is done once.

    Training figures, and gate reports with the seconds that they took; ``folder`` keeps the
    challengers. What the gate says depends on how many domains share the day, and on what the
    policy's earlier challengers gained.
    """

    folder: Path
    trained: dict[str, TrainingFigures] = field(default_factory=dict)
    judged: dict[Basis, tuple[GateReport, float]] = field(default_factory=dict)


@dataclass
class KnownSteps(Steps):
    """The steps of one adaptation in a trial: what is known already is not done again.

    ``seconds``: what they took, now or when they were done. Without ``gated`` every challenger
    passes.
    """

    outcomes: Outcomes
    gated: bool = True
    seconds: float = 0.0

    def fine_tune(
        self, benches: Sequence[Workbench], renew: Callable[[str], None]
    ) -> Mapping[str, TrainingFigures | Exception]:
        """The training figures; the challengers lie where they belong."""
        known, folder = self.outcomes.trained, self.outcomes.folder
        names = {bench.decision_id: _name(bench) for bench in benches}
        fresh = [bench for bench in benches if names[bench.decision_id] not in known]
        told = {each.decision_id: partial(_renew, renew, each.decision_id) for each in fresh}
        found = finetune_together(fresh, told) if fresh else {}
        for bench in benches:
            name, outcome = names[bench.decision_id], found.get(bench.decision_id)
            if outcome is None:
                shutil.copytree(folder / name, bench.folder, dirs_exist_ok=True)
                found[bench.decision_id] = outcome = known[name]
            elif not isinstance(outcome, Exception):
                shutil.copytree(bench.folder, folder / name)
                known[name] = outcome
            if not isinstance(outcome, Exception):
                self.seconds += outcome.seconds or 0.0
        return found

    def judge(self, bench: Workbench) -> GateReport:
        """The gate report."""
        if not self.gated:
            return _passed(bench)
        name, known = _name(bench), self.outcomes.judged
        # What else a report rests on, beside its challenger: both are of the policy's own ledger.
        prior = prior_of(bench)
        shared = name, decided_with(bench.project.ledger, bench.decision), prior
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
        the policy wants, and judge that; without a gate it serves.
        """
        if self.policy.gated:
            for decision in looks_due(self.ledger, day):
                self.promoted += self._look(decision, day) == "promoted"
            check_champions(self.config, self.ledger, day, mirrored=False)
        self.policy.decide(self.config, self.ledger, day)
        rows = rows_of(self.config, self.ledger.waiting(day))
        for group in (each for hand in deal(rows, 1, most_rows(self.config, 1)) for each in hand):
            steps = KnownSteps(outcomes, self.policy.gated)
            for decision, state in adapt_together(self.project, group, steps).items():
                if isinstance(state, DriftuneError):
                    log.warning("%s: %s: %s", self.policy.name, decision, state)
                elif isinstance(state, Exception):
                    raise state
                elif state not in UNJUDGED:
                    self.finetunes += 1
                    self.promoted += state == "promoted"
            self.seconds += steps.seconds

    def _look(self, decision_id: str, day: date) -> str | None:
        """The state that another look ends in; None when the decision was given back."""
        try:
            return look_again(self.project, decision_id, day)
        except DriftuneError as error:
            log.warning("%s: %s: %s", self.policy.name, decision_id, error)
            return None


def _renew(renew: Callable[[str], None], decision_id: str, *_: str | int) -> None:
    renew(decision_id)


def _passed(bench: Workbench) -> GateReport:
    """The report of a gate that lets everything through."""
    champion, _ = bench.champion()
    _, card = bench.challenger()
    return GateReport(
        decision=GateVerdict.PROMOTE,
        champion_version=champion.version,
        champion_serves=champion.serves,
        challenger_sha256=card.sha256,
    )


def _name(bench: Workbench) -> str:
    """What an outcome depends on beside the days: decision, champion, and when drift began."""
    champion, _ = bench.champion()
    served = champion.folder.name if champion.folder and champion.serves else "base"
    since = bench.decision.scores.since
    return _digest(f"{bench.decision_id} {champion.version} {served} {since}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
