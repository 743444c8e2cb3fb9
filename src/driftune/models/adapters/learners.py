"""A domain in training: its adapter, optimiser, random numbers, phases and best state."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import learning_rate_factor
from driftune.models.adapters.draws import named_seed
from driftune.models.adapters.methods.method import Phase
from driftune.models.adapters.methods.registry import schedules, stacks_with
from driftune.models.adapters.settings import TrainConfig

# Of AdamW, as PyTorch has them.
BETAS, EPSILON = (0.9, 0.999), 1e-8


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
        self.optimiser = _optimiser(
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
        order = torch.randperm(len(self.rows), generator=self.generator).to(self.rows.device)
        return torch.split(self.rows[order], self.batch_size)

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


def _optimiser(
    adapter: Adapter, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: decayed biases and priors would pull towards a scale."""
    matrices = [parameter for parameter in adapter.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in adapter.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate)


def optimise(learners: Sequence[Learner]) -> None:
    """A step of each learner's optimiser by its gradients, which are dropped then.

    All that share learning rate and decay take one call: for many small tensors it is five times
    faster than one each, with the same result.
    """
    parts: dict[tuple[float, float], list[Parameter]] = {}
    states: dict[Parameter, dict[str, Tensor]] = {}
    for learner in learners:
        for group in learner.optimiser.param_groups:
            moved = [each for each in group["params"] if each.grad is not None]
            parts.setdefault((group["lr"], group["weight_decay"]), []).extend(moved)
            states.update((each, _moments(learner.optimiser, each)) for each in moved)
    for (rate, decay), moved in parts.items():
        own = [states[each] for each in moved]
        adamw(
            [*moved],
            [each.grad for each in moved if each.grad is not None],
            [each["exp_avg"] for each in own],
            [each["exp_avg_sq"] for each in own],
            [],
            [each["step"] for each in own],
            fused=bool(moved) and moved[0].device.type in ("cpu", "cuda"),
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=decay,
            eps=EPSILON,
            maximize=False,
        )
        for parameter in moved:
            parameter.grad = None


def _moments(optimiser: torch.optim.Optimizer, parameter: Parameter) -> dict[str, Tensor]:
    """The optimiser's state of a parameter, made when it is first moved."""
    state: dict[str, Tensor] = optimiser.state[parameter]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return state
