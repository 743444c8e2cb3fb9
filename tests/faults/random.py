"""The random drill: ``python -m tests.faults.random --trials 200 --seed 1``.

Each trial takes a piece of the story (``story.py``), strikes at its steps (``strikes.py``), does
them again to the end, and compares with an undisturbed twin. Prints a line per difference;
``--seed S --trial K`` runs one trial again. What strikes by place comes back exactly; moments are
parts of a step's time, and come back as well as the machine's speed does.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from driftune.no_telemetry import silence
from tests.faults.trials import Trial, Twin
from tests.forks import fork_server


def main() -> None:
    """Run the drill; exit 1 on any difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--trial", type=int, action="append", help="only this one, with what was done; repeatable"
    )
    given = parser.parse_args()
    silence()
    # Ended from outside, it leaves no disk mounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="driftune-drill-") as folder:
        twin = Twin(Path(folder) / "twin", fork_server(whole=True)).live()
        made = time.monotonic()
        numbers = given.trial or range(given.trials)
        for number in numbers:
            trial = Trial(twin, f"{given.seed} {number}", Path(folder) / str(number))
            wrong = trial.run()
            failed += bool(wrong)
            for line in trial.said if given.trial else []:
                print(line, flush=True)
            for line in wrong:
                print(f"--seed {given.seed} --trial {number}: {line}", flush=True)
        took = time.monotonic() - made
    print(
        f"{len(numbers)} trials, {failed} with differences; {took / max(len(numbers), 1):.1f} s a "
        f"trial, {made - started:.0f} s for the twin"
    )
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
