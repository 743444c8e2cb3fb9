"""How far decisions lie from their limits, in standard errors of what they look at.

Another processor adds in another order, so a trained model differs in its last bits, and after
some epochs in more than those. A test may therefore rest on a decision only where its figures lie
far from its limits; the tests that need one assert so. ``DRIFTUNE_MARGINS=FILE`` appends what they
measured, a JSON line each.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from scipy.special import ndtri

from driftune.config import Config
from driftune.registry.records import GateReport

STRONG = "strong evidence"
# Standard errors by which a decision that a test needs must lie on its side of each limit.
ENOUGH = 3.0
# Where equality is tested there is nothing to plant: with a z of 0 the halves lie 2.6 from their
# limit. What counts is that z hardly moves between processors, by some 0.3; it rests on the data.
NOTHING = 1.0
FAR = 37.0


def promotion_margins(gate: GateReport, config: Config) -> dict[str, float]:
    """By rule, how many standard errors inside its limit a gate's report lies; negative: outside.

    A rule that could not be judged for want of positives, and that holds up nothing then, has none;
    nor has one that is about what the log lacks.
    """
    policy, found = config.gate, gate.difference
    level = _z(1 - policy.confidence)
    margins = {
        "interval": found.low / found.error,
        "minimum effect": (found.estimate - policy.min_effect) / found.error,
    }
    rules = {rule.name: rule for rule in gate.rules}
    for name in ("guardrail", "slices"):
        if name in rules and rules[name].verdict != "unknown":
            margins[name] = _z(rules[name].value) - level
    margins["halves"] = _z(rules["halves"].value / 2) - _z(0.005)
    ratio, clicks = gate.challenger.ctr_calibration, gate.challenger.clicks
    least, most = policy.calibration_band
    margins["calibration"] = min(math.log(ratio / least), math.log(most / ratio)) * clicks**0.5
    return margins


def drift_margin(row: Any, config: Config) -> float:
    """By how many standard errors a decision's drift is on its side of the limits.

    ``row``: of the ledger. Drifted: the strongest deciding signal that is large enough, beyond
    the limit of one day. Stable: all of them short of what would be watched.
    """
    signals = {
        name: row.scores.signals[name]
        for name in config.drift.deciding
        if row.scores.signals[name].p is not None
    }
    if row.scores.rule == STRONG:
        limit = _z(row.scores.limits[0])
        return max(limit - _z(signal.p) for signal in signals.values())
    return min(_z(signal.p) - _z(config.drift.confirm.p) for signal in signals.values())


def assert_promoted_by_far(gate: GateReport, config: Config) -> None:
    """A gate's report promotes, and every rule's figure lies far from its limit."""
    assert gate.decision == "promote", gate.rules
    margins = promotion_margins(gate, config)
    _note("promotion", margins)
    short = {
        name: margin
        for name, margin in margins.items()
        if margin < (NOTHING if name == "halves" else ENOUGH)
    }
    assert not short, short


def assert_drift_by_far(rows: Iterable[Any], config: Config) -> None:
    """Decisions of the ledger, drifted by strong evidence or stable, lie far from the limits."""
    margins = {f"{row.domain} {row.day} {row.scores.rule}": drift_margin(row, config)
               for row in rows}  # fmt: skip
    _note("drift", margins)
    short = {
        name: margin
        for name, margin in margins.items()
        if margin < (ENOUGH if name.endswith(STRONG) else NOTHING)
    }
    assert not short, short


def _note(kind: str, margins: Mapping[str, float]) -> None:
    path = os.environ.get("DRIFTUNE_MARGINS")
    if path:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        line = {"test": test, "kind": kind, "capability": torch.backends.cpu.get_cpu_capability()}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "margins": margins}) + "\n")


def _z(p: float) -> float:
    """The normal deviate of a p-value, within what a float can tell."""
    return float(min(max(ndtri(p), -FAR), FAR))
