"""What the gate's rules answer, and how the answers make its decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "insufficient", "unknown"]
Decision = Literal["promote", "reject", "insufficient"]

GUARDRAIL = "guardrail"
SLICES = "slices"
DELONG = "DeLong"
# Without each of these there is no promotion, whatever else passed.
REQUIRED = (
    "clicks",
    "conversions",
    "user ids",
    "slice masks",
    "champion pCTR",
    "champion pCTCVR",
    "challenger pCTR",
    "challenger pCTCVR",
    "enough rows",
    "enough users",
    "enough effective users",
    "figures in order",
    "interval above zero",
    "minimum effect",
    GUARDRAIL,
    SLICES,
    "halves",
    DELONG,
    "calibration",
    "A/A",
)
# Where too little data leaves these unknown, they hold up nothing.
MAY_BE_UNKNOWN = (GUARDRAIL, SLICES, DELONG)


@dataclass(frozen=True)
class Rule:
    """One rule's verdict, the value it looked at, its limit and a sentence for a reviewer."""

    name: str
    verdict: Verdict
    value: float | None
    limit: str
    sentence: str


def decide(rules: Sequence[Rule]) -> Decision:
    """Promote only if every required rule is there and every rule passes.

    Unknown holds up nothing where that is allowed; any other shortcoming rejects, but too little
    data, which leaves it undecided.
    """
    if any(rule.verdict == "insufficient" for rule in rules):
        return "insufficient"
    there = {rule.name for rule in rules}
    passed = all(
        rule.verdict == "pass" or (rule.verdict == "unknown" and rule.name in MAY_BE_UNKNOWN)
        for rule in rules
    )
    return "promote" if passed and there.issuperset(REQUIRED) else "reject"
