"""What the day's data quality catches: planted faults of many kinds, and clean days.

Each fault is planted alone in a day of its own, drawn from a simulated world whose tastes follow
the weekday and wander. A fault is caught when a rule that is more than information breaks and does
not on the same day without the fault.
"""

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.common import ROOT, finish, options, say, table
from benchmarks.quality_faults import FAULTS, Fault
from driftune.config import Config
from driftune.console import quiet_exit
from driftune.logs.ingest import domains_for, ensure_reference, scratch
from driftune.logs.source import fetch
from driftune.logs.staging import stage
from driftune.params import load_config
from driftune.quality.checkpoint import Check, Checkpoint, validate
from driftune.quality.profile import write_profile
from driftune.registry.ledger import Ledger
from driftune.simulate.days import Simulator
from driftune.simulate.settings import SimulationConfig
from driftune.telemetry import silence
from driftune.training.pretrain import pretrain
from driftune.workspace import Workspace

REFERENCE = 14
SETTLED = 7
CLEAN = 100


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    parser.add_argument("--seed", type=int, default=61, help="of the world and of the faults")
    parser.add_argument("--clean", type=int, default=CLEAN, help="number of clean days")
    given = parser.parse_args()
    silence()
    quiet_exit()
    started = time.perf_counter()
    reference, settled = (5, 2) if given.quick else (REFERENCE, SETTLED)
    clean = 4 if given.quick else given.clean
    faults = FAULTS[::5] if given.quick else FAULTS
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), given.seed, reference, settled + clean, given.quick)
        criticals, warnings = world.clean_days(clean)
        rows = world.faulty_days(faults, quick=given.quick)
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
    caught = [row for row in rows if row["caught"]]
    finish(
        {
            "benchmark": "quality_catch",
            "kinds": len({row["kind"] for row in rows}),
            "days": len(rows),
            "caught_share": len(caught) / len(rows),
            "right_severity_share": sum(row["severity"] for row in rows) / len(rows),
            "right_column_share": sum(row["named"] for row in rows) / len(rows),
            "clean_days": clean,
            "false_critical_per_100_clean_days": 100 * criticals / clean,
            "false_warning_per_100_clean_days": 100 * warnings / clean,
            "missed": [f"{row['kind']} at {row['rate']:.0%}" for row in rows if not row["caught"]],
            "seconds": time.perf_counter() - started,
        }
    )


class World:
    """A simulated log, its reference days in a lake and its later days validated in order."""

    def __init__(self, folder: Path, seed: int, reference: int, days: int, quick: bool) -> None:
        self.settings = SimulationConfig(
            seed=seed,
            start=date(2026, 3, 2),
            days=reference + days,
            rows_per_domain=1000 if quick else 3000,
            volumes=(1.0, 2.0, 0.7, 1.5, 1.0, 0.5),
            volume_noise=0.1,
            seasonality=0.2,
            taste_noise=0.05,
            arrivals=0.1,
        )
        self.simulator = Simulator.build(self.settings)
        self.seed, self.logs = seed, folder / "logs"
        self.logs.mkdir()
        self.config = self._config(folder, reference)
        self.later = self.settings.calendar[reference:]
        for day in self.settings.calendar[:reference]:
            self.write(day, self.draw(day))
        with Ledger(self.config) as ledger:
            ensure_reference(self.config, ledger, lambda *_: None)
            pretrain(self.config, ledger, "encode", lambda *_: None)
        say(f"{reference} reference days in the lake")

    def _config(self, folder: Path, reference: int) -> Config:
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        calendar = self.settings.calendar
        params["source"] = {"uri": "logs/{day}.parquet"}
        params["reference"] = {
            "first": calendar[0].isoformat(),
            "last": calendar[reference - 1].isoformat(),
            "holdout": 0.2,
        }
        file = folder / "params.yaml"
        file.write_text(yaml.safe_dump(params), encoding="utf-8")
        return load_config(file, env={})

    def draw(self, day: date) -> pd.DataFrame:
        """A clean day."""
        frame = self.simulator.draw(day).to_pandas()
        names = ["user_id", "item_id", "request_id", "scene", "region", "category", "restaurant_id"]
        return frame.astype(dict.fromkeys(names, object))

    def write(self, day: date, frame: pd.DataFrame) -> None:
        """Write a day's file."""
        # A column of text and numbers is delivered as text.
        changed = {}
        for name in frame.select_dtypes("object"):
            given = frame[name].notna()
            if len({isinstance(value, str) for value in frame.loc[given, name]}) > 1:
                changed[name] = frame[name].where(~given, frame[name].astype(str))
        frame.assign(**changed).to_parquet(self.logs / f"{day}.parquet", index=False)

    def validate(self, day: date) -> Checkpoint:
        """Validate the day's file."""
        with scratch(self.config, day) as folder:
            known = domains_for(self.config, day)
            staged = stage(
                self.config, fetch(self.config, day, folder), known, folder / "day.duckdb"
            )
            return validate(self.config, staged)

    def clean_days(self, count: int) -> tuple[int, int]:
        """Validate the days in order; of the last ``count`` those with a critical and a warning."""
        criticals = warnings = 0
        for number, day in enumerate(self.later):
            self.write(day, self.draw(day))
            found = self.validate(day)
            write_profile(Workspace(self.config), found.judged.profile)
            if number < len(self.later) - count:
                continue
            broken = _broken(found)
            for check in broken:
                say(f"{day} clean: {check.rule} {check.severity}: {check.detail}")
            criticals += any(check.severity == "critical" for check in broken)
            warnings += any(check.severity == "warning" for check in broken)
        return criticals, warnings

    def faulty_days(self, faults: tuple[Fault, ...], *, quick: bool) -> list[dict[str, Any]]:
        """Plant each fault at each of its rates in one of the last seven days."""
        days = self.later[-7:] if len(self.later) > 7 else self.later[-1:]
        clean = {day: {check.rule for check in _broken(self._anew(day))} for day in days}
        found = []
        for number, fault in enumerate(faults):
            for rate in fault.rates[-1:] if quick else fault.rates:
                day = days[number % len(days)]
                rng = np.random.default_rng([self.seed, number, round(1000 * rate)])
                frame, before = self.draw(day), self.draw(date.fromordinal(day.toordinal() - 1))
                hit = rng.random(len(frame)) < rate
                self.write(day, fault.plant(frame, before, hit, rng))
                broken = [
                    check for check in _broken(self.validate(day)) if check.rule not in clean[day]
                ]
                found.append(_outcome(fault, rate, broken))
                say(f"{fault.kind} {rate:.0%}: {', '.join(check.rule for check in broken)}")
        return found

    def _anew(self, day: date) -> Checkpoint:
        self.write(day, self.draw(day))
        return self.validate(day)


def _outcome(fault: Fault, rate: float, broken: list[Check]) -> dict[str, Any]:
    critical = any(check.severity == "critical" for check in broken)
    told = [text for check in broken for text in (check.rule, *check.about)]
    return {
        "kind": fault.kind,
        "rate": rate,
        "caught": bool(broken),
        "severity": bool(broken) and (critical or not fault.critical),
        "named": any(name in text for name in fault.names for text in told),
        "rules": [check.rule for check in broken],
    }


def _broken(found: Checkpoint) -> list[Check]:
    return [check for check in found.checks if not check.success and check.severity != "info"]


if __name__ == "__main__":
    main()
