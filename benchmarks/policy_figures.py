"""What the policy benchmark makes of its runs: gains, parts of the refresh's, harm, net of cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import table
from driftune.policies.intervals import Interval, drawn_weights, mean_interval, share_interval
from driftune.policies.rules import NEVER, REFRESH

# AUC lost on a domain-day that counts as harm.
HARM = 0.003
# Of a fine-tune, in AUC times domain-days: 0.01 asks it to gain a point on one domain-day.
COSTS = (0.0, 0.003, 0.01, 0.03)
OURS = "drift"
# A domain's day in a world: world, domain key, day.
Cell = tuple[str, str, str]


@dataclass(frozen=True)
class Run:
    """One policy over all worlds: AUC by cell, and what it spent."""

    aucs: Mapping[Cell, float]
    finetunes: int
    promoted: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came of a policy: gains are AUC over the frozen base, means over domain-days.

    ``harm``: the share of domain-days worse than the base by more than ``HARM``; ``worst``: the
    lowest gain of any; ``net``: the gain less what fine-tunes cost, for each of ``COSTS``.
    """

    policy: str
    gain: Interval
    share: Interval
    finetunes: int
    promoted: int
    minutes: float
    harm: float
    worst: float
    net: Sequence[float]


def outcomes(runs: Mapping[str, Run], seed: int = 0) -> list[Outcome]:
    """What came of each policy; ``never`` and ``refresh`` must be among them."""
    cells = sorted(runs[NEVER.name].aucs)
    base = np.array([runs[NEVER.name].aucs[cell] for cell in cells])
    weights = drawn_weights([world for world, *_ in cells], [key for _, key, _ in cells], seed)
    gains = {
        name: np.array([run.aucs[cell] for cell in cells]) - base for name, run in runs.items()
    }
    return [
        Outcome(
            policy=name,
            gain=mean_interval(gains[name], weights),
            share=share_interval(gains[name], gains[REFRESH.name], weights),
            finetunes=run.finetunes,
            promoted=run.promoted,
            minutes=run.seconds / 60,
            harm=float((gains[name] < -HARM).mean()),
            worst=float(gains[name].min()),
            net=[float(gains[name].mean()) - cost * run.finetunes / len(cells) for cost in COSTS],
        )
        for name, run in runs.items()
    ]


def show(name: str, found: Sequence[Outcome]) -> None:
    """Print a table of the policies."""
    lines = [
        [
            each.policy,
            each.finetunes,
            each.promoted,
            f"{each.minutes:.1f}",
            f"{each.gain.value:+.4f} ({each.gain.low:+.4f} to {each.gain.high:+.4f})",
            f"{each.share.value:.2f} ({each.share.low:.2f} to {each.share.high:.2f})",
            f"{100 * each.harm:.1f}",
            f"{each.worst:+.4f}",
            *(f"{net:+.4f}" for net in each.net[1:]),
        ]
        for each in found
    ]
    heads = [name, "fine-tunes", "promoted", "minutes", "AUC gained", "of the refresh's gain"]
    heads += ["harm, %", "worst day", *(f"net at {cost:g}" for cost in COSTS[1:])]
    table(heads, lines)


def figures(found: Sequence[Outcome], worlds: int, domain_days: int) -> dict[str, Any]:
    """What is kept of them, as the last line has it."""
    by_name = {each.policy: each for each in found}
    ours, refresh = by_name[OURS], by_name[REFRESH.name]
    others = [each for each in found if each.policy not in (OURS, REFRESH.name, NEVER.name)]
    return {
        "worlds": worlds,
        "domain_days": domain_days,
        "refresh_gain": refresh.gain.value,
        "drift_gain": ours.gain.value,
        "drift_gain_95": [ours.gain.low, ours.gain.high],
        "refresh_share": ours.share.value,
        "refresh_share_low": ours.share.low,
        "finetune_share": ours.finetunes / max(refresh.finetunes, 1),
        "harm_share": ours.harm,
        "refresh_harm_share": refresh.harm,
        "worst_next_day": ours.worst,
        "costs": COSTS,
        "drift_net": ours.net,
        "refresh_net": refresh.net,
        "rivals": [
            {
                "policy": each.policy,
                "gain": each.gain.value,
                "share": each.share.value,
                "finetunes": each.finetunes,
                "harm_share": each.harm,
                "net": each.net,
            }
            for each in others
        ],
    }
