"""The processes that pre-train together under ``torchrun``: data parallel, one model on all.

Without ``torchrun`` there is one rank, and nothing of ``torch.distributed`` is used.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from driftune.config import Config
from driftune.errors import BackboneError, ConfigError
from driftune.training.devices import device_for

# The first rank brings the reference days into the lake and encodes them while the others wait.
# One that has died is noticed at once, however long this is.
PATIENCE = timedelta(hours=12)
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among all: its number, how many there are, and the device it computes on."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and reports."""
        return self.rank == 0

    def on_first(self, work: Callable[[], T], otherwise: T) -> T:
        """Let the first rank do some work; the others wait for it and get ``otherwise``."""
        found = work() if self.first else otherwise
        self.sum(0.0)
        return found

    def part(self, batch: Tensor) -> tuple[Tensor, float]:
        """This rank's rows of a batch, and the weight of their mean loss.

        DDP averages the ranks' gradients: with this weight that is the gradient of the mean over
        the batch. A rank with no rows left takes one with weight 0, since all must take part.
        """
        if self.size == 1:
            return batch, 1.0
        own = batch[self.rank :: self.size]
        if not len(own):
            return batch[:1], 0.0
        return own, len(own) * self.size / len(batch)

    def together(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are averaged over the ranks, with the first one's weights."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)

    def sum(self, value: float) -> float:
        """The sum of the ranks' values, for all; waits for all of them."""
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Write files to the end, though ``torchrun`` may stop the ranks that are left."""
        if self.size == 1:
            yield
            return
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


ALONE = Ranks()


@contextmanager
def ranks(config: Config) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` has started; alone without it.

    Alone it computes on ``adapter.device``; of several processes each has a GPU of its own, or all
    compute on the CPU.

    Raises:
        BackboneError: when another rank has died, or there are more processes than GPUs.
        ConfigError: when there is no such device, or it is a single one for several processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1")) if distributed.is_torchelastic_launched() else 1
    if size == 1:
        yield Ranks(device=str(device_for(config)))
        return
    rank, device = int(os.environ["RANK"]), _device(config)
    # Sums over CPU tensors go by gloo, also where gradients go by nccl.
    backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
    before = signal.signal(signal.SIGTERM, _stopped)
    try:
        distributed.init_process_group(backend, timeout=PATIENCE)
        yield Ranks(rank, size, device)
    except RuntimeError as error:
        if not _of_the_network(error):
            raise
        raise BackboneError(
            f"pre-training: rank {rank} of {size} lost another one ({_line(error)}); the backbone "
            "is as it was, see that one's last line and start torchrun again"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _device(config: Config) -> str:
    wanted = config.adapter.device
    if ":" in wanted or wanted == "mps":
        raise ConfigError(
            f"{config.source_file}: adapter.device = '{wanted}': is one device for the "
            f"{os.environ['WORLD_SIZE']} processes of torchrun; set cuda, auto or cpu"
        )
    if device_for(config).type == "cpu":
        return "cpu"
    local, there = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if local > there:
        raise BackboneError(
            f"torchrun: --nproc-per-node={local}, but this machine has {there} GPU(s); give as "
            "many processes, or CUDA_VISIBLE_DEVICES= to use its CPUs"
        )
    return f"cuda:{os.environ['LOCAL_RANK']}"


def _stopped(number: int, frame: FrameType | None) -> None:
    """What ``torchrun`` does to the ranks that are left when one has died."""
    raise BackboneError(
        "pre-training: stopped by torchrun, because another rank has ended; the backbone is "
        "as it was, see that one's last line and start torchrun again"
    )


def _of_the_network(error: RuntimeError) -> bool:
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def _line(error: RuntimeError) -> str:
    return " ".join(str(error).split())[:160]
