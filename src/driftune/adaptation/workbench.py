"""Workbench: what one adaptation works with, each part loaded once and when it is needed."""

import hashlib
from datetime import date
from functools import cached_property
from pathlib import Path

from driftune.adaptation.domain_rows import DomainRows
from driftune.adaptation.split import Split, lake_version, split_of_decision
from driftune.errors import BACKBONE_CHANGED, OvertakenError, RegistryError
from driftune.intake.erasures import check_erasures
from driftune.intake.lost import check_days
from driftune.models.adapters import Adapter, AdapterBank, AdapterFileError, Card, load_adapter
from driftune.project import Project, Served
from driftune.registry.champions import Champion, champions_for
from driftune.registry.records import Decision


class Workbench:
    """Decision, model, split and champion of one adaptation, all of one moment.

    A step that is tried again finds what is loaded already. ``rows``: where its rows are read,
    for adaptations that read theirs together; None: it reads its own.
    """

    def __init__(self, project: Project, decision_id: str) -> None:
        self.project = project
        self.config = project.config
        self.decision_id = decision_id
        self.rows: DomainRows | None = None
        self._champion: tuple[Champion, AdapterBank] | None = None

    @cached_property
    def decision(self) -> Decision:
        """The decision as the ledger has it.

        Raises:
            LedgerError: when there is none.
        """
        return self.project.ledger.decision(self.decision_id)

    @cached_property
    def served(self) -> Served:
        """Encoder, backbone and its fingerprint.

        Raises:
            OvertakenError: when the backbone is not the one that the decision was made under.
            BackboneError: when it is missing or damaged.
        """
        wanted, served = self.decision.backbone, self.project.served
        if served.backbone != wanted:
            raise OvertakenError(BACKBONE_CHANGED)
        return served

    @cached_property
    def split(self) -> Split:
        """The rows that train, select and judge.

        Raises:
            LakeError: when there are too few, or days or erasures are missing, damaged or lost.
        """
        check_days(self.config, self.project.ledger, date.fromisoformat(self.decision.day))
        check_erasures(self.config, self.project.ledger)
        return split_of_decision(self.config, self.served.encoder, self.decision, self.rows)

    @property
    def seed(self) -> int:
        """The seed of the decision's training."""
        named = f"{self.config.seed} {self.decision_id}".encode()
        return int(hashlib.sha256(named).hexdigest()[:8], 16)

    def champion(self) -> tuple[Champion, AdapterBank]:
        """The domain's champion and the bank that serves it; loaded again only if it moved."""
        ledger, key = self.project.ledger, self.decision.domain_key
        if self._champion is None or self._champion[0].version != ledger.champion_version(key):
            champions, bank = champions_for(self.config, ledger, self.served.backbone, [key])
            self._champion = champions[key], bank
        return self._champion

    @property
    def folder(self) -> Path:
        """Where the challenger's files lie."""
        return self.project.workspace.challenger(self.decision_id)

    @property
    def checkpoints(self) -> Path:
        """Where a training that is under way keeps its whole epochs."""
        return self.project.workspace.staging / f"adapt-{self.decision_id}"

    def challenger(self) -> tuple[Adapter, Card]:
        """The challenger and its card, from its files: what is judged is what would serve.

        Raises:
            RegistryError: when they are missing, damaged, or made for another backbone.
        """
        try:
            return load_adapter(self.folder, backbone=self.served.backbone)
        except AdapterFileError as error:
            raise RegistryError(
                f"{self.decision_id}: the challenger cannot be judged: {error}"
            ) from None

    def require_unchanged(self) -> None:
        """See that backbone and lake are still those that are loaded here.

        Raises:
            OvertakenError: when the backbone was pre-trained anew meanwhile.
            RegistryError: when days up to the decision's were delivered meanwhile.
        """
        if self.project.backbone_now() not in (None, self.served.backbone):
            raise OvertakenError(BACKBONE_CHANGED)
        day = date.fromisoformat(self.decision.day)
        if lake_version(self.project.lake(), day) != self.split.lake:
            raise lake_changed(self.decision_id)


def lake_changed(decision_id: str) -> RegistryError:
    """The fault of a challenger that was trained on rows that the lake no longer holds."""
    return RegistryError(
        f"{decision_id}: the lake changed since the challenger was trained; adapt again"
    )
