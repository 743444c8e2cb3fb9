"""Project: what a params.yaml names, resolved once where a run begins."""

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.lake.table import Lake
from driftune.models.backbone import backbone_mark
from driftune.registry.ledger import Ledger

if TYPE_CHECKING:
    from driftune.features.encoder import Encoder
    from driftune.models.recommender import Recommender


class Served(NamedTuple):
    """What serves every domain below its adapter: encoder, frozen backbone and its fingerprint."""

    encoder: "Encoder"
    model: "Recommender"
    backbone: str


class Project:
    """Workspace, lake, ledger and served model of one configuration; close it, or use ``with``.

    Ledger and model are opened when they are first asked for, and once. One that is given its
    ledger leaves it open. ``mirrored``: whether MLflow is told of promotions.
    """

    def __init__(
        self, config: Config, ledger: Ledger | None = None, *, mirrored: bool = True
    ) -> None:
        self.config = config
        self.workspace = Workspace(config)
        self.mirrored = mirrored
        self._given = ledger

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, open.

        Raises:
            LedgerError: when it cannot be reached.
        """
        return self._given or Ledger(self.config)

    @cached_property
    def served(self) -> Served:
        """Encoder and backbone as they lay there when they were first asked for.

        Raises:
            BackboneError: when they are missing or damaged.
        """
        from driftune.training.pretrain import load_model

        return Served(*load_model(self.config))

    def lake(self) -> Lake:
        """The lake as it is now; whoever is to see one moment of it hands that on.

        Raises:
            LakeError: when its log cannot be read.
        """
        return Lake.of(self.config)

    def backbone_now(self) -> str | None:
        """The fingerprint of the backbone that lies there now; None before any pre-training."""
        return backbone_mark(self.workspace.model / "backbone")

    def close(self) -> None:
        """Close the ledger, if this opened it."""
        if self._given is None and "ledger" in vars(self):
            self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
