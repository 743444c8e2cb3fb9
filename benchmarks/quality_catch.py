"""What the day's data quality catches: planted faults of many kinds, and clean days.

Each fault is planted alone in a day of its own, of simulated worlds and of KuaiRand-Pure. A fault
is caught when a rule that is more than information breaks and does not on the same day without it.
"""

import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import finish, options, say, table
from benchmarks.quality_faults import FAULTS, Fault
from benchmarks.quality_faults_kuairand import KUAIRAND
from benchmarks.quality_world import World, broken, kuairand, simulated
from driftune.cli.console import quiet_exit
from driftune.no_telemetry import silence
from driftune.quality.check import Check

PARTS = ("simulated", "kuairand", "clean")
REFERENCE, SETTLED, DAYS = 14, 7, 7
CLEAN, CLEAN_DAYS = 102, 34
# KuaiRand-Pure has exact copies on every day: that they are told of is right.
COPIES = "duplicate"
Row = dict[str, Any]
Days = list[list[Check]]


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "", data=True)
    parser.add_argument("--seed", type=int, default=61, help="of the first world and the faults")
    parser.add_argument("--clean", type=int, default=CLEAN, help="clean days of simulated worlds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    given = parser.parse_args()
    silence()
    quiet_exit()
    started = time.perf_counter()
    rows: list[Row] = []
    clean: Days = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "simulated" in given.parts:
            rows += in_simulation(folder / "simulated", given.seed, given.quick)
        if "kuairand" in given.parts:
            caught, days = in_kuairand(folder / "kuairand", given.data, given.seed, given.quick)
            rows, clean = rows + caught, clean + days
        if "clean" in given.parts:
            clean += clean_days(folder, given.seed, 3 if given.quick else given.clean, given.quick)
    report(rows, clean, time.perf_counter() - started)


def in_simulation(folder: Path, seed: int, quick: bool) -> list[Row]:
    """Faults in the last days of a simulated world."""
    reference, settled, days = (5, 3, 1) if quick else (REFERENCE, SETTLED, DAYS)
    world = simulated(folder, seed, reference, settled + days, 1000 if quick else 3000)
    world.settle(world.later[:settled])
    world.clean(world.later[settled:])
    return faulty_days(world, world.later[settled:], FAULTS[::9] if quick else FAULTS, seed, quick)


def in_kuairand(folder: Path, source: Path, seed: int, quick: bool) -> tuple[list[Row], Days]:
    """Faults in KuaiRand-Pure's last three days, and its days after the reference without any."""
    if not source.exists():
        say(f"{source} is absent: no faults in KuaiRand-Pure; --data names another folder")
        return [], []
    world = kuairand(folder, source)
    clean = world.clean(world.later)
    faults = KUAIRAND[::9] if quick else KUAIRAND
    rows = faulty_days(world, world.later[-1:] if quick else world.later[-3:], faults, seed, quick)
    return rows, [[check for check in day if check.rule != COPIES] for day in clean.values()]


def clean_days(folder: Path, seed: int, count: int, quick: bool) -> Days:
    """Clean days of several worlds, none of them that of the faults."""
    found: Days = []
    while len(found) < count:
        seed += 1
        days = min(CLEAN_DAYS, count - len(found))
        reference, settled = (5, 3) if quick else (REFERENCE // 2, SETTLED)
        rows = 1000 if quick else 3000
        world = simulated(folder / str(seed), seed, reference, settled + days, rows)
        world.settle(world.later[:settled])
        found += world.clean(world.later[settled:]).values()
    return found


def faulty_days(
    world: World, days: Sequence[date], faults: Sequence[Fault], seed: int, quick: bool
) -> list[Row]:
    """Plant each fault at each of its rates in one of the days."""
    clean = {}
    for day in days:
        world.write(day, world.draw(day))
        clean[day] = {check.rule for check in broken(world.validate(day))}
    found = []
    for number, fault in enumerate(faults):
        for rate in fault.rates[-1:] if quick else fault.rates:
            day = days[number % len(days)]
            rng = np.random.default_rng([seed, number, round(1000 * rate)])
            frame = world.draw(day)
            before = world.draw(world.later[list(world.later).index(day) - 1])
            hit = rng.random(len(frame)) < rate
            world.write(day, fault.plant(frame, before, hit, rng))
            told = [check for check in broken(world.validate(day)) if check.rule not in clean[day]]
            found.append(outcome(fault, rate, told))
            say(f"{fault.kind} {rate:.0%}: {', '.join(check.rule for check in told)}")
    return found


def outcome(fault: Fault, rate: float, told: Sequence[Check]) -> Row:
    """Whether a fault was caught, at the right severity, and by the name of what it hit."""
    critical = any(check.severity == "critical" for check in told)
    words = [text for check in told for text in (check.rule, *check.about)]
    return {
        "kind": fault.kind,
        "rate": rate,
        "caught": bool(told),
        "severity": bool(told) and (critical or not fault.critical),
        "named": any(name in text for name in fault.names for text in words),
        "rules": [check.rule for check in told],
    }


def report(rows: Sequence[Row], clean: Days, seconds: float) -> None:
    """Print the table and the figures."""
    lines = [
        [
            row["kind"],
            f"{row['rate']:.0%}",
            *("yes" if row[name] else "NO" for name in ("caught", "severity", "named")),
            ", ".join(row["rules"][:3]),
        ]
        for row in rows
    ]
    table(["fault", "rows hit", "caught", "severity", "named", "rules"], lines)

    def share(name: str) -> float | None:
        return sum(row[name] for row in rows) / len(rows) if rows else None

    def alarms(severity: str) -> float | None:
        days = sum(any(check.severity == severity for check in day) for day in clean)
        return 100 * days / len(clean) if clean else None

    finish(
        {
            "benchmark": "quality_catch",
            "kinds": len({row["kind"] for row in rows}),
            "days": len(rows),
            "caught_share": share("caught"),
            "right_severity_share": share("severity"),
            "right_column_share": share("named"),
            "clean_days": len(clean),
            "false_critical_per_100_clean_days": alarms("critical"),
            "false_warning_per_100_clean_days": alarms("warning"),
            "missed": [f"{row['kind']} at {row['rate']:.0%}" for row in rows if not row["caught"]],
            "misnamed": [
                f"{row['kind']} at {row['rate']:.0%}"
                for row in rows
                if row["caught"] and not row["named"]
            ],
            "seconds": seconds,
        }
    )


if __name__ == "__main__":
    main()
