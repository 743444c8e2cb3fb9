"""Settings of IAK kernels."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from driftune.models.adapters.methods.config import KernelConfig, real, whole

COMBINES = ("residual", "replace")


@dataclass(frozen=True)
class IAKConfig(KernelConfig):
    """Settings of one IAK kernel.

    ``bottleneck``: dimensions of z. ``hidden``: width of the hidden layer of encoder and learner.
    ``combine``: ``residual`` (ĥ = h + Ĝ, exactly the base at the start) or ``replace`` (ĥ = Ĝ,
    everything downstream passes the bottleneck). ``beta``: weight of the KL term in the loss,
    reached linearly over ``anneal_epochs``. ``warm_epochs``: epochs that reconstruct h with β = 0
    before the labels count. ``compress_epochs``: 0 trains compression and matching jointly, n > 0
    compresses for n epochs and then matches on the frozen encoder. ``fresh_rows`` and
    ``fresh_width``: a table of embeddings for ids that the base has never seen (0: none).

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    kind: ClassVar[str] = "iak"

    bottleneck: int = 16
    hidden: int = 64
    combine: Literal["residual", "replace"] = "residual"
    beta: float = 1e-3
    anneal_epochs: int = 0
    warm_epochs: int = 0
    compress_epochs: int = 0
    fresh_rows: int = 0
    fresh_width: int = 8

    def __post_init__(self) -> None:
        for name in ("bottleneck", "hidden", "fresh_width"):
            whole(name, getattr(self, name), 1)
        for name in ("anneal_epochs", "warm_epochs", "compress_epochs", "fresh_rows"):
            whole(name, getattr(self, name), 0)
        if self.combine not in COMBINES:
            raise ValueError(f"combine is {self.combine!r}; it must be one of {COMBINES}")
        real("beta", self.beta, 0)

    def with_beta(self, beta: float) -> Self:
        """See ``KernelConfig.with_beta``."""
        return replace(self, beta=float(beta))
