"""One expectation's outcome on a day."""

from dataclasses import dataclass

from driftune.config.quality import Severity
from driftune.quality.parts import CheckRecord


@dataclass(frozen=True)
class Check:
    """One expectation's outcome.

    ``about``: the domains or columns that broke it, worst first; ``detail``: by what.
    """

    rule: str
    severity: Severity
    sentence: str
    success: bool
    unexpected: int | None
    observed: float | None
    about: tuple[str, ...] = ()
    detail: str = ""

    def record(self) -> CheckRecord:
        """What the day's quality record says of it."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "sentence": self.sentence,
            "success": self.success,
            "unexpected": self.unexpected,
            "observed": self.observed,
            "about": list(self.about),
            "detail": self.detail,
        }
