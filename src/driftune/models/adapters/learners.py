"""A domain in training: its adapter, optimiser, random numbers, phases and best state."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import learning_rate_factor
from driftune.models.adapters.devices import moved
from driftune.models.adapters.draws import named_seed
from driftune.models.adapters.methods.method import Phase
from driftune.models.adapters.methods.registry import schedules, stacks_with
from driftune.models.adapters.optimiser import AdamW
from driftune.models.adapters.settings import TrainConfig


class Own(NamedTuple):
    """A learner's rows to train on and to select by: positions in those of its training."""

    train: Tensor
    select: Tensor


class Learner:
    """One domain's training. Its result does not depend on which domains train beside it.

    ``stacks_with``: what learners that ``stacks`` trains together have in common, None: it is
    trained by ``Run`` alone.
    """

    def __init__(
        self,
        domain: str,
        slot: int,
        adapter: Adapter,
        own: Own,
        batch_size: int,
        config: TrainConfig,
        epochs: int,
    ) -> None:
        self.domain, self.slot, self.adapter = domain, slot, adapter
        self.rows, self.select_rows = own
        self.batch_size, self.epochs, self.patience = batch_size, epochs, config.patience
        self.generator = Generator().manual_seed(named_seed(config.seed, domain))
        self.losses: list[float] = []
        self.epochs_run = 0
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}
        self.schedules = schedules(kernel for _, kernel in adapter.items())
        shapes = [(place, stacks_with(kernel)) for place, kernel in adapter.items()]
        stacks = all(shape is not None for _, shape in shapes)
        self.stacks_with: Hashable = tuple(shapes) if stacks else None
        self.phases: dict[str, Phase] = {}
        adapter.requires_grad_(True)
        self.optimiser = AdamW(
            adapter,
            config.learning_rate * learning_rate_factor(batch_size, config.batch_size),
            config.weight_decay,
        )

    def goes_on(self, epoch: int) -> bool:
        """Whether this epoch is still to be trained."""
        if epoch > self.epochs:
            return False
        settled = max(schedule.settled for schedule in self.schedules.values())
        return not self.losses or self.epochs_run - max(self.best_epoch, settled) < self.patience

    @property
    def warms(self) -> bool:
        """Whether the epoch trains kernels by their own loss, in the place of the labels'."""
        return any(phase.warms for phase in self.phases.values())

    @property
    def beta(self) -> float | None:
        """The weight of the penalty that the adapter is trained with in the end, if it has one."""
        weights = (schedule.beta for schedule in self.schedules.values())
        return next((beta for beta in weights if beta is not None), None)

    def start(self, epoch: int) -> tuple[Tensor, ...]:
        """Set this epoch's phases; returns its batches of rows."""
        self.adapter.train()
        self.phases = {kind: each.start(epoch) for kind, each in self.schedules.items()}
        order = moved(torch.randperm(len(self.rows), generator=self.generator), self.rows.device)
        return torch.split(self.rows[order], self.batch_size)

    def begin_again(self, drawn: Tensor) -> None:
        """Forget a step that was not finished; ``drawn``: the generator's state before it."""
        self.generator.set_state(drawn)
        self.optimiser.forget()

    def note(self, loss: float | None) -> None:
        """Note the selection loss before the first epoch, or after one; None: there is none."""
        if loss is None:
            self.epochs_run += 1
            self.best_epoch = self.epochs_run
            return
        if self.losses:
            self.epochs_run += 1
        self.losses.append(loss)
        if self.epochs_run == 0 or loss < self.losses[self.best_epoch]:
            self.best_epoch = self.epochs_run
            self.best = {name: each.clone() for name, each in self.adapter.state_dict().items()}

    def finish(self) -> None:
        """Leave the adapter in its best state, frozen."""
        if self.best:
            self.adapter.load_state_dict(self.best)
        self.adapter.requires_grad_(False).eval()


def make_learners(
    adapted: AdaptedModel,
    rows: Mapping[int, Own],
    sizes: Mapping[int, int],
    config: TrainConfig,
    epochs: Mapping[str, int] | None,
) -> dict[int, Learner]:
    """A learner for each domain that has rows, by slot.

    Raises:
        ValueError: when ``epochs`` lacks a domain.
    """
    names = {int(adapted.slots([name])): name for name in adapted.domains}
    missing = [names[slot] for slot in rows if epochs is not None and names[slot] not in epochs]
    if missing:
        raise ValueError(f"no number of epochs for {', '.join(missing)}")
    return {
        slot: Learner(
            names[slot],
            slot,
            adapted.adapter(names[slot]),
            own,
            sizes[slot],
            config,
            config.epochs if epochs is None else epochs[names[slot]],
        )
        for slot, own in rows.items()
    }
