"""What the gate's rules answer, and how the answers make its decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "insufficient", "unknown"]
Decision = Literal["promote", "reject", "insufficient"]

GUARDRAIL = "guardrail"
LOG_LOSS = "log loss"
SLICES = "slices"
DELONG = "DeLong"
INTERVAL, EFFECT = "interval above zero", "minimum effect"
EXPECTED_GAIN, LOSS_CHANCE, NO_LOSS = "expected gain", "chance of a loss", "no loss shown"
# What shows a gain, by ``gate.rule``.
GAINS = {
    "interval": (INTERVAL, EFFECT),
    "expected_gain": (EXPECTED_GAIN, LOSS_CHANCE, NO_LOSS),
}
# Without each of these, and those of GAINS, there is no promotion, whatever else passed.
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
    GUARDRAIL,
    LOG_LOSS,
    SLICES,
    "halves",
    DELONG,
    "calibration",
    "A/A",
)
# Of these, what only a log with conversions has.
OF_CONVERSIONS = ("conversions", "champion pCTCVR", "challenger pCTCVR", GUARDRAIL)
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


def decide(rules: Sequence[Rule], *, conversions: bool = True, rule: str = "interval") -> Decision:
    """Promote only if every required rule is there and every rule passes.

    ``conversions``: the log has them, so that their rules are required; ``rule``: ``gate.rule``.
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
    required = {*REQUIRED, *GAINS[rule]} - set(() if conversions else OF_CONVERSIONS)
    return "promote" if passed and there >= required else "reject"
