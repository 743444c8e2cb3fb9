"""What a training reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainReport:
    """How one domain's adapter was trained.

    ``select_loss`` holds the mean loss of the selection rows, before training and after each
    epoch; ``best_epoch`` is its minimum, whose state the adapter keeps (0: untrained).
    ``kl_bits``: the kept adapter's mean KL per dimension of z on the selection rows (on the
    training rows without any), in bits, by place. ``beta``: the weight of the KL term, None for
    adapters without one.
    """

    rows: int
    batch_size: int
    best_epoch: int
    epochs_run: int
    select_loss: list[float]
    kl_bits: dict[str, list[float]]
    beta: float | None


@dataclass(frozen=True)
class Training:
    """A run: each domain's report, seconds in all and of each epoch's training alone.

    ``kept_bytes``: what was kept of the frozen part; ``problem``: why the model was not split.
    """

    domains: dict[str, TrainReport]
    seconds: float
    epoch_seconds: list[float]
    kept_bytes: int
    problem: str | None = None
