"""The section ``guard`` of params.yaml: when a champion is taken back."""

from pydantic import Field

from driftune.config.base import Positive, Section
from driftune.config.drift import Confirm


class Guard(Section):
    """After promotion: when a champion that has become worse is taken back.

    One day suffices at ``alone``, several days as ``confirm`` says, and all days since promotion
    together at ``since_promotion``: the chance, over all its days, that an equal one is taken back.
    ``loss`` is the loss of AUC that this last look is most sensitive to.
    """

    alone: float = Field(1e-4, gt=0, lt=0.5)
    """One-sided p-value at which one day suffices."""
    confirm: Confirm = Confirm()
    """When weaker evidence suffices."""
    since_promotion: float = Field(0.01, gt=0, lt=0.5)
    """Chance of taking back an equal champion, over all days since its promotion."""
    loss: float = Field(0.01, gt=0, lt=1)
    """Loss of AUC that the look at all days is most sensitive to."""
    min_positives: Positive = 20
    """Positive labels below which a day is not judged."""
    min_users: Positive = 20
    """Effective users below which it is not."""
