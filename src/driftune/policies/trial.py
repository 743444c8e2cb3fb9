"""Trials: each policy's own ledger and champions, beside the workspace that it shares."""

import hashlib
import logging
import shutil
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import challenger_folder, finetune
from driftune.adaptation.look_again import look_again
from driftune.adaptation.promotion import conclude
from driftune.config import Config
from driftune.config.notify import Notify
from driftune.config.registry import Registry
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from driftune.guard.check import check_champions
from driftune.policies.rules import Policy
from driftune.registry.champions import Champion, champions_for
from driftune.registry.days import copy_days
from driftune.registry.ledger import Ledger
from driftune.registry.waiting import decided_with, looks_due

log = logging.getLogger("driftune")


@dataclass
class Outcomes:
    """What came of fine-tunings: one that two trials ask for alike is done once.

    ``folder`` keeps the challengers. What the gate says depends on how many domains share the day.
    """

    folder: Path
    known: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    judged: dict[tuple[str, int], tuple[dict[str, Any], float]] = field(default_factory=dict)

    def of(
        self, config: Config, ledger: Ledger, decision_id: str, champion: Champion
    ) -> tuple[dict[str, Any], dict[str, Any], float]:
        """Training figures, gate report and seconds; the challenger lies where it belongs."""
        served = champion.folder.name if champion.folder and champion.serves else "base"
        since = ledger.decision(decision_id).scores.get("since")
        name = _digest(f"{decision_id} {champion.version} {served} {since}")
        target = challenger_folder(config, decision_id)
        if name in self.known:
            training, spent = self.known[name]
            shutil.copytree(self.folder / name, target)
        else:
            started = time.perf_counter()
            training = finetune(config, ledger, decision_id)
            spent = time.perf_counter() - started
            self.known[name] = training, spent
            shutil.copytree(target, self.folder / name)
        judged = name, decided_with(ledger, ledger.decision(decision_id))
        if judged not in self.judged:
            started = time.perf_counter()
            gate = challenge(config, ledger, decision_id)
            self.judged[judged] = gate, time.perf_counter() - started
        gate, gated = self.judged[judged]
        return training, gate, spent + gated


@dataclass
class Trial:
    """A policy at work: its configuration, ledger, and what it has spent."""

    policy: Policy
    config: Config
    ledger: Ledger
    finetunes: int = 0
    promoted: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, config: Config, ledger: Ledger, policy: Policy, folder: Path) -> "Trial":
        """Begin with the frozen base everywhere; the trial writes into ``folder`` alone.

        It reads the lake, encoded days and model of the workspace, and the days of its ledger.
        """
        home = folder / _digest(policy.name)[:12]
        home.mkdir(parents=True)
        shared = Workspace(config)
        for path in (shared.lake, shared.lake_cache, shared.features, shared.model):
            if path.exists():
                (home / path.name).symlink_to(path, target_is_directory=True)
        own = policy.settings(config).model_copy(
            update={
                "workspace": str(home),
                "registry": Registry(),
                "review": "none",
                "notify": Notify(),
            }
        )
        trial = cls(policy, own, Ledger(own))
        copy_days(ledger, trial.ledger)
        return trial

    def act(self, day: date, backbone: str, outcomes: Outcomes) -> None:
        """Judge what waits, take back champions that are worse, decide for the day, fine-tune what
        the policy wants, and judge that.
        """
        for decision in looks_due(self.ledger, day):
            try:
                state = look_again(self.config, self.ledger, decision, day, mirrored=False)
            except DriftuneError as error:
                log.warning("%s: %s: %s", self.policy.name, decision, error)
                continue
            self.promoted += state == "promoted"
        check_champions(self.config, self.ledger, day, mirrored=False)
        self.policy.decide(self.config, self.ledger, day)
        for row in self.ledger.waiting(day):
            owner = self.ledger.claim(row.id)
            if owner is None:
                continue
            champions, _ = champions_for(self.config, self.ledger, backbone, [row.domain_key])
            champion = champions[row.domain_key]
            try:
                training, gate, seconds = outcomes.of(self.config, self.ledger, row.id, champion)
            except DriftuneError as error:
                self.ledger.release(row.id, owner, str(error), final=True)
                continue
            state = conclude(
                self.config,
                self.ledger,
                row.id,
                owner,
                challenger_folder(self.config, row.id),
                training,
                gate,
                mirrored=False,
            )
            self.finetunes += 1
            self.promoted += state == "promoted"
            self.seconds += seconds


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
