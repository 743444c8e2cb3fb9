"""A finding: one rule's figure for the day, a domain or a column."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``excess`` is the figure in what the rule allows: above 1 the rule is broken."""

    rule: str
    about: str
    excess: float
    detail: str

    @property
    def broken(self) -> bool:
        """Whether the figure is beyond what the rule allows."""
        return self.excess > 1
