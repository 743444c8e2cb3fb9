"""make demo: reference data by DVC, pre-training, twelve simulated days, a review page."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from driftune.cli import console
from driftune.cli.lines import say
from driftune.errors import DriftuneError
from driftune.no_telemetry import silence

if TYPE_CHECKING:
    from driftune.registry.records import GateReport

PARAMS = Path("params.yaml")
HOME = Path("workspace")
TRUTH = HOME / "truth.json"


def main() -> None:
    """Run the demo in the project's folder and print its summary; exit 1 when it falls short."""
    silence()
    started = time.monotonic()
    if not PARAMS.exists():
        console.fail("run the demo in the project's folder (params.yaml is not here)")
        sys.exit(1)
    if not clear(HOME):
        console.fail("workspace/ holds work that is not the demo's; move it away, or make clean")
        sys.exit(1)
    try:
        say("1/4  reference data (dvc pull)")
        _run("dvc", "pull", "--quiet", "data.dvc")
        say("2/4  pre-training on ten reference days (dvc repro)")
        _run("dvc", "repro", "--quiet")
        say("3/4  twelve simulated days: fetch, validate, detect drift, adapt, gate, promote")
        _run(
            "driftune",
            "simulate",
            "--to",
            "workspace/logs",
            "--from",
            "2026-03-12",
            "--truth",
            str(TRUTH),
            quiet=True,
        )
        _run("driftune", "replay", "--from", "2026-03-12", "--to", "2026-03-23", quiet=True)
        say("4/4  summary")
        good = _summary(time.monotonic() - started)
    except (subprocess.CalledProcessError, DriftuneError) as error:
        console.fail(f"demo: {error}")
        sys.exit(1)
    sys.exit(0 if good else 1)


def clear(home: Path) -> bool:
    """Make the demo's workspace empty but for its model; False when it is not the demo's.

    The model stays for DVC to judge: it trains again only where data, code or parameters differ.
    """
    mark = home / ".demo"
    if home.exists() and not mark.exists():
        return False
    home.mkdir(exist_ok=True)
    mark.touch()
    for path in home.iterdir():
        if path.is_dir() and path.name != "model":
            shutil.rmtree(path)
        elif path.is_file() and path != mark:
            path.unlink()
    return True


def _run(program: str, *arguments: str, quiet: bool = False) -> None:
    """Run a program of this environment."""
    folder = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    subprocess.run(
        [str(folder / program), *arguments],
        env=env,
        check=True,
        stdout=subprocess.DEVNULL if quiet else None,
    )


def _summary(seconds: float) -> bool:
    from driftune.config.loading import load_config
    from driftune.registry.ledger import Ledger
    from driftune.reports.states import QUIET
    from driftune.reports.summary import evidence
    from driftune.simulate import check_against_truth

    config = load_config(PARAMS)
    with Ledger(config) as ledger:
        rows = ledger.decisions()
    acted = [row for row in rows if row.state not in QUIET]
    for row in acted:
        figures = _figures(row.gate)
        why = evidence(row.scores.rule, row.score or 0)
        say(f"     {row.day}  {row.domain:20} {why:11}  {row.state}{figures}")
    quiet = sorted({row.domain for row in rows} - {row.domain for row in acted})
    say(f"     left alone: {', '.join(quiet)}")
    truth = check_against_truth(
        TRUTH,
        [{"domain": row.domain, "day": row.day, "judged": row.judged} for row in acted],
    )
    promoted = sum(row.state == "promoted" for row in acted)
    say(f"     {truth.sentence()}; promoted {promoted}")
    say(f"     review page: {config.home / 'reports' / 'index.html'}   ({seconds:.0f} s)")
    return truth.found == truth.planted and not truth.false_domains and promoted > 0


def _figures(gate: "GateReport | None") -> str:
    difference = None if gate is None else gate.difference
    if difference is None:
        return ""
    sides, ends = (difference.champion, difference.challenger), (difference.low, difference.high)
    if None in sides or None in ends:
        return ""
    return "  CTR-AUC {:.3f} → {:.3f} ({:+.3f} to {:+.3f})".format(*sides, *ends)


if __name__ == "__main__":
    main()
