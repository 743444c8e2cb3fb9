"""What the drift benchmark prints: false alarms and power by size, kind and cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.common import finish, say, table
from benchmarks.drift_shifts import HIDDEN, KINDS

PSI = (0.1, 0.25)
FREE = 0.001
EDGES = (0.0025, 0.005, 0.01, 0.02, 0.5)


@dataclass(frozen=True)
class Shift:
    """A planted shift of one domain: its cost in true AUC, what was decided from its first day on,
    day by day, and the largest PSI of any signal on these days; ``before`` of them passed before
    the first day in full force.

    ``oracle``: how often a likelihood ratio that knows the shift sees it on the first full day.
    """

    kind: str
    volume: int
    cost: float
    clicks: int
    oracle: float
    before: int
    states: Sequence[str]
    psi: Sequence[float]

    def caught(self, days: int) -> bool:
        """Whether it triggered by the end of that many full days."""
        return "drifted" in self.states[: self.before + days]


@dataclass(frozen=True)
class Stable:
    """Stable days of a world, (days, domains) each: alarms, largest PSI, Evidently's alarms.

    ``volumes`` are those of its domains, in thousands of impressions a day.
    """

    volumes: np.ndarray
    alarms: np.ndarray
    psi: np.ndarray
    preset: np.ndarray

    def per_100(self, volume: int | None = None) -> float:
        """False alarms per 100 domain-days, of all sizes or of one."""
        own = slice(None) if volume is None else self.volumes == volume
        return float(100 * self.alarms[:, own].mean())


def report(
    stable: Stable, wander: Stable, shifts: Sequence[Shift], creeps: Sequence[bool], quick: bool
) -> None:
    """Print tables by size, kind and cost, and the figures."""
    real = [shift for shift in shifts if shift.kind != "traffic_only" and shift.kind not in HIDDEN]
    _show_alarms(stable, wander)
    _show_kinds(real, KINDS[:-1], 1)
    small = _show_oracle(real, stable)
    hidden = [shift for shift in shifts if shift.kind in HIDDEN]
    _show_kinds(hidden, HIDDEN, 1)
    _show_kinds(hidden, HIDDEN, 3)
    finish(
        {"benchmark": "drift_power", "quick": quick}
        | _alarm_figures(stable)
        | _power_figures(real, shifts, small)
        | _off_axis_figures(hidden)
        | {
            "false_alarms_ar_per_100": wander.per_100(),
            "false_alarms_ar_per_100_by_rows": _by_rows(wander),
            "creep_found_share": _mean(creeps),
            "creeps": len(creeps),
        }
    )


def _alarm_figures(stable: Stable) -> dict[str, Any]:
    return {
        "stable_domain_days": stable.alarms.size,
        "false_alarms_per_100": stable.per_100(),
        "false_alarms_per_100_by_rows": _by_rows(stable),
        "evidently_false_alarms_per_100": 100 * stable.preset.mean(),
        "evidently_domain_days": stable.preset.size,
        "psi_false_alarms_per_100": {
            f"{limit:g}": 100 * (stable.psi > limit).mean() for limit in PSI
        },
    }


def _power_figures(
    real: Sequence[Shift], shifts: Sequence[Shift], small: dict[str, float | None]
) -> dict[str, Any]:
    large = [shift for shift in real if shift.volume >= 10 and shift.clicks >= 1000]
    costly = [shift for shift in large if shift.cost >= 0.01]
    dear = [shift for shift in large if shift.cost >= 0.005]
    free = [s for s in shifts if s.kind == "traffic_only" and s.cost < FREE]
    return {
        "shifts": len(shifts),
        "caught_1d_loss_010": _caught(costly, 1),
        "caught_2d_loss_005": _caught(dear, 2),
        "shifts_loss_010": len(costly),
        "shifts_loss_005": len(dear),
        "power_of_oracle_loss_005_by_rows": small,
        "traffic_only_triggered": _caught(free, 2),
        "traffic_only_free": len(free),
        "psi_caught_1d_loss_010": {
            f"{limit:g}": _mean([max(s.psi[: s.before + 1]) > limit for s in costly])
            for limit in PSI
        },
    }


def _off_axis_figures(hidden: Sequence[Shift]) -> dict[str, Any]:
    dear = [shift for shift in hidden if shift.volume >= 10 and shift.cost >= 0.02]
    return {
        "off_axis_1d_loss_020": _caught(dear, 1),
        "off_axis_3d_loss_020": _caught(dear, 3),
        "off_axis_shifts_loss_020": len(dear),
        "off_axis_3d_loss_020_by_kind": {
            kind: _caught([shift for shift in dear if shift.kind == kind], 3) for kind in HIDDEN
        },
    }


def _by_rows(stable: Stable) -> dict[str, float]:
    volumes = sorted(set(stable.volumes.tolist()))
    return {f"{volume}000": stable.per_100(volume) for volume in volumes}


def _show_alarms(stable: Stable, wander: Stable) -> None:
    rows = []
    for volume in sorted(set(stable.volumes.tolist())):
        own = stable.volumes == volume
        shares = [(stable.psi[:, own] > limit).mean() for limit in PSI]
        shares.append(stable.preset[:, own].mean())
        rows.append(
            [
                f"{volume},000 rows",
                stable.alarms[:, own].size,
                f"{stable.per_100(volume):.2f}",
                f"{wander.per_100(volume):.2f}",
                *(f"{100 * share:.2f}" for share in shares),
            ]
        )
    say("")
    heads = ["false alarms per 100 stable domain-days", "days", "policy", "policy, AR .9 wander"]
    table([*heads, *(f"PSI {limit:g}" for limit in PSI), "Evidently's preset"], rows)


def _show_kinds(shifts: Sequence[Shift], kinds: Sequence[str], days: int) -> None:
    rows = []
    for kind in kinds:
        for low, high in pairwise(EDGES):
            cells = []
            for sizes in ((1,), (2,), (5,), (10, 20)):
                some = [
                    shift for shift in shifts
                    if shift.kind == kind and shift.volume in sizes and low <= shift.cost < high
                ]  # fmt: skip
                cells.append(_share(some, days) if some else "–")
            if any(cell != "–" for cell in cells):
                rows.append([f"{kind}, {low:g} to {high:g}", *cells])
    say("")
    head = f"caught by full day {days} (shifts)"
    table([head, "1,000", "2,000", "5,000", "≥ 10,000"], rows)


def _show_oracle(real: Sequence[Shift], stable: Stable) -> dict[str, float | None]:
    rows = []
    small: dict[str, float | None] = {}
    for volume in sorted(set(stable.volumes.tolist())):
        of_size = [shift for shift in real if shift.volume == volume]
        cells = []
        for low, high in pairwise(EDGES):
            some = [shift for shift in of_size if low <= shift.cost < high]
            cells.append(_beside_oracle(some) if some else "–")
        rows.append([f"{volume},000 rows", *cells])
        small[f"{volume}000"] = _of_oracle([shift for shift in of_size if shift.cost >= 0.005])
    say("")
    heads = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
    table(["caught on the first full day / by the oracle (shifts)", *heads], rows)
    return small


def _of_oracle(shifts: Sequence[Shift]) -> float | None:
    caught = _caught(shifts, 1)
    return None if caught is None else caught / float(np.mean([s.oracle for s in shifts]))


def _beside_oracle(shifts: Sequence[Shift]) -> str:
    oracle = float(np.mean([shift.oracle for shift in shifts]))
    return f"{_caught(shifts, 1):.2f} / {oracle:.2f} ({len(shifts)})"


def _share(shifts: Sequence[Shift], days: int) -> str:
    return f"{_caught(shifts, days):.2f} ({len(shifts)})"


def _caught(shifts: Sequence[Shift], days: int) -> float | None:
    return _mean([shift.caught(days) for shift in shifts])


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
