"""Random trials: a piece of the story, disturbed, must leave what it leaves undisturbed."""

import os
import pickle
import random
import re
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from typing import Any, NamedTuple, TypeVar

import yaml

from driftune.config.workspace import Workspace
from driftune.lake.suppressed import read_suppressed
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase
from tests.checkpoint import judged_plainly
from tests.conftest import World
from tests.faults import strikes
from tests.faults.states import differences, soundness, state_of
from tests.faults.story import END, STORY, WHY, Step, deliver
from tests.faults.strikes import CRASHED, DONE, REFUSED, Strike
from tests.flows.conftest import pretrained, simulated_world

Found = TypeVar("Found")
# A cache that is made anew may differ in a score's last digit, by which rows it was scored with.
# It is what scripts/same_decisions.py takes for the same.
CLOSE = 1e-9
PATIENCE = 300.0
MOST_STEPS = 3
# Decisions are tried three times at most: the last one is left undisturbed.
MOST_STRIKES = 2
RANDOM_NAME = re.compile(r"[0-9a-f]{8,}")


class Ends(NamedTuple):
    """What a world holds, and the names of its files."""

    state: dict[str, Any]
    files: Counter[str]


@dataclass
class Twin:
    """The undisturbed story: a world before each step, and what each end of it leaves.

    Every world is lived in at one place, ``home``: MLflow keeps absolute paths. ``folder`` keeps
    copies, by the number of the step.
    ``places`` and ``seconds``: of each step, the changes of files and the time that it takes.
    """

    folder: Path
    forks: ForkServerContext
    places: dict[Step, int] = field(default_factory=dict)
    seconds: dict[Step, float] = field(default_factory=dict)
    ends: dict[int, Ends] = field(default_factory=dict)

    def live(self) -> "Twin":
        """Make the worlds.

        Raises:
            RuntimeError: when a step of the story fails undisturbed.
        """
        self.home.mkdir(parents=True)
        with judged_plainly():
            pretrained(self.home)
        world = simulated_world(self.home)
        cheap(world)
        with Ledger(world.config) as ledger:
            # The salt of all worlds: content hashes rest on it.
            erase(world.config, ledger, ["nobody"], WHY, in_advance=True)
        for number, step in enumerate(STORY):
            shutil.copytree(self.home, self.folder / str(number))
            deliver(world, step)
            self._done(world, step)
        shutil.copytree(self.home, self.folder / str(len(STORY)))
        for number in range(1, len(STORY) + 1):
            shutil.rmtree(self.home)
            self._done(self.copied(number), END)
            self.ends[number] = looked(self.forks, ends, world, self.folder)
        shutil.rmtree(self.home)
        return self

    @property
    def home(self) -> Path:
        """Where worlds are lived in, one at a time."""
        return self.folder / "home"

    def copied(self, number: int) -> World:
        """The world before the step of this number, at home, which may be there and empty."""
        shutil.copytree(self.folder / str(number), self.home, dirs_exist_ok=True)
        return World.at(self.home)

    def _done(self, world: World, step: Step) -> None:
        notes = self.folder / "notes"
        notes.mkdir(exist_ok=True)
        started = time.monotonic()
        code = ended(begin(self.forks, world, step, notes))
        self.seconds[step] = time.monotonic() - started
        if code != DONE:
            raise RuntimeError(f"{step} ended by {code} undisturbed: {_output(notes)}")
        self.places[step] = int((notes / "places").read_text(encoding="utf-8"))


def cheap(world: World) -> None:
    """Have adaptations train for a moment only; the shift is so strong that it is learnt."""
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    params["adapter"] |= {"epochs": 6, "batch_size": 256, "learning_rate": 0.03}
    world.params.write_text(yaml.safe_dump(params), encoding="utf-8")


def ends(world: World) -> Ends:
    """What a world holds, by content."""
    held = read_suppressed(world.config)
    state = state_of(world) | {
        "erased": held.users,
        "erasures": [(each.users, each.why, each.finished is not None) for each in held.erasures],
    }
    return Ends(state, Counter(files_of(world)))


def files_of(world: World) -> Iterator[str]:
    """Names of what lies in the workspace, without their random parts."""
    home = Workspace(world.config).home
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_dir() and any(path.iterdir()):
            continue
        # How often the lake was written to.
        if not name.startswith("lake/_delta_log/0"):
            yield RANDOM_NAME.sub("#", name)


def compare(wanted: Ends, found: Ends) -> list[str]:
    """Where an end differs from the twin's, a line each."""
    lines = differences(wanted.state, found.state, close=CLOSE)
    lines += [f"left over: {name}" for name in (found.files - wanted.files).elements()]
    lines += [f"lacking: {name}" for name in (wanted.files - found.files).elements()]
    return lines


@dataclass
class Trial:
    """One trial: ``said`` tells what was done, a line per attempt."""

    twin: Twin
    seed: str
    folder: Path
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Run it; returns what is wrong, a line each."""
        draws = random.Random(self.seed)
        first = draws.randrange(len(STORY))
        steps = STORY[first : first + draws.randint(1, MOST_STEPS)]
        self.folder.mkdir(parents=True)
        with strikes.own_disk(self.twin.home) as mounted:
            world = self.twin.copied(first)
            for step in steps:
                deliver(world, step)
                for _ in range(draws.choice((0, 1, 1, MOST_STRIKES))):
                    strike = strikes.drawn(draws, step, self.twin.places[step])
                    if not mounted and strike.room is not None:
                        continue
                    self._strike(world, step, strike, draws)
                if not self._undisturbed(world, step):
                    return self.wrong
            if self._undisturbed(world, END):
                found = looked(self.twin.forks, ends, world, self.folder)
                self.wrong += compare(self.twin.ends[first + len(steps)], found)
        return self.wrong

    def _strike(self, world: World, step: Step, strike: Strike, draws: random.Random) -> None:
        strikes.damage(world, strike, draws)
        if strike.room is None:
            codes = self._together(world, step, strike)
        else:
            with strikes.all_but_full(world.root, strike.room):
                codes = self._together(world, step, strike)
        self.said.append(f"{step}: {strike}: {codes}")
        killed = -SIGKILL if strike.place is not None or strike.moment is not None else DONE
        for code in codes:
            if code not in (DONE, REFUSED, killed):
                self.wrong.append(f"{step}: {strike}: ended by {code}: {_output(self.folder)}")
        unsound = looked(self.twin.forks, soundness, world, self.folder)
        self.wrong += [f"{step}: {strike}: {line}" for line in unsound]

    def _together(self, world: World, step: Step, strike: Strike) -> list[int]:
        works = [step, *(Step(work, step.number) for work in strike.beside)]
        processes = [
            begin(self.twin.forks, world, work, self.folder, None if number else strike.place)
            for number, work in enumerate(works)
        ]
        if strike.moment is not None:
            processes[0].join(strike.moment * self.twin.seconds[step])
            processes[0].kill()
        return [ended(each) for each in processes]

    def _undisturbed(self, world: World, step: Step) -> bool:
        code = ended(begin(self.twin.forks, world, step, self.folder))
        if code != DONE:
            self.wrong.append(f"{step}: undisturbed: ended by {code}: {_output(self.folder)}")
        return code == DONE


def begin(
    forks: ForkServerContext, world: World, step: Step, notes: Path, place: int | None = None
) -> BaseProcess:
    """Start a process that does a step."""
    process = forks.Process(target=strikes.live, args=(str(world.params), step, place, str(notes)))
    process.start()
    return process


def looked(
    forks: ForkServerContext, look: Callable[[World], Found], world: World, notes: Path
) -> Found:
    """What ``look`` says of a world, in a process of its own: MLflow keeps its store open, and the
    next world lies at the same place.

    Raises:
        RuntimeError: when it cannot be told.
    """
    process = forks.Process(target=_look, args=(look, world, notes / "found"))
    process.start()
    if code := ended(process):
        raise RuntimeError(f"{look.__name__} ended by {code}: {_output(notes)}")
    with (notes / "found").open("rb") as file:
        found: Found = pickle.load(file)
    return found


def _look(look: Callable[[World], object], world: World, path: Path) -> None:
    strikes.tell(path.parent)
    code = CRASHED
    try:
        path.write_bytes(pickle.dumps(look(world)))
        code = DONE
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(process: BaseProcess) -> int:
    """How a process ended; one that hangs is killed, and counts as crashed."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        return CRASHED
    return process.exitcode


def _output(notes: Path) -> str:
    """The end of what the processes said, in a line."""
    path = notes / "output.txt"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return " | ".join(line.strip() for line in lines[-12:])
