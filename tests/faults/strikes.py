"""What strikes at a step of a random trial, drawn from the trial's seed, and how."""

import os
import random
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import torch

from driftune.cli.storage import told
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from tests.checkpoint import judged_plainly
from tests.conftest import World
from tests.faults.story import BESIDE, Step, do

DONE, REFUSED, CRASHED = 0, 3, 4
# What a run makes anew when it is damaged, below the workspace.
CACHES = ("features/*.parquet", "drift/profiles/*.parquet", "drift/*/windows.parquet")
PARTS = (".*.part", "**/.*.part")
ROOMY = 512 << 20
# Files that a process opens, moves, makes or removes: the places at which it can be killed.
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")


@dataclass(frozen=True)
class Strike:
    """One disturbed attempt at a step.

    ``place``: it is killed before the so manieth change of a file of the world; ``moment``: it is
    killed after this part of the time that the step takes; ``room``: bytes that are left on its
    file system; ``flips`` and ``tears``: caches damaged before it; ``beside``: works at the same
    time.
    """

    place: int | None = None
    moment: float | None = None
    room: int | None = None
    flips: int = 0
    tears: int = 0
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [f"{name} {value}" for name, value in vars(self).items() if value or value == 0]
        return ", ".join(each for each in told if not each.endswith((" 0", " ()")))


def drawn(draws: random.Random, step: Step, places: int) -> Strike:
    """A strike at a step that changes files at so many places."""
    kinds = draws.sample(("place", "moment", "room", "damage", "beside"), draws.choice((1, 1, 2)))
    if {"place", "moment"} <= {*kinds}:
        kinds.remove("moment")
    damage = "damage" in kinds
    others = (step.work, *BESIDE) if "beside" in kinds else ()
    return Strike(
        draws.randint(1, max(places, 1)) if "place" in kinds else None,
        draws.random() if "moment" in kinds else None,
        int(2 ** draws.uniform(10, 21)) if "room" in kinds else None,
        draws.randint(0, 3) if damage else 0,
        draws.randint(0, 2) if damage else 0,
        tuple(draws.choices(others, k=draws.choice((1, 2)))) if others else (),
    )


def damage(world: World, strike: Strike, draws: random.Random) -> None:
    """Flip bits in caches, and tear caches and files that were being written."""
    home = Workspace(world.config).home
    caches = sorted({path for each in CACHES for path in home.glob(each)})
    torn = caches + sorted({path for each in PARTS for path in home.glob(each) if path.is_file()})
    for path in draws.sample(caches, min(strike.flips, len(caches))):
        content = bytearray(path.read_bytes())
        if content:
            content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
            path.write_bytes(content)
    for path in draws.sample(torn, min(strike.tears, len(torn))):
        os.truncate(path, draws.randrange(path.stat().st_size + 1))


@contextmanager
def own_disk(folder: Path) -> Iterator[bool]:
    """Have a file system of its own at the folder; False where only root may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            # Lazily: a library may still hold a file of it open.
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)


@contextmanager
def all_but_full(folder: Path, room: int) -> Iterator[None]:
    """So many bytes are left on the folder's own file system."""
    held = os.statvfs(folder)
    used = (held.f_blocks - held.f_bfree) * held.f_frsize
    _resize(folder, used + room)
    try:
        yield
    finally:
        _resize(folder, ROOMY)


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def live(params: str, step: Step, place: int | None, notes: str) -> None:
    """Do a step in this process, which ends then; ``notes`` gets how, and the places it passed.

    It ends by DONE, REFUSED (in one line) or CRASHED (a traceback), or is killed at ``place``.
    """
    folder = Path(notes)
    tell(folder)
    torch.set_num_threads(1)
    passed = _watch(Path(params).parent, place)
    code = CRASHED
    try:
        with judged_plainly():
            do(load_config(Path(params)), step)
        code = DONE
    except DriftuneError as error:
        code = CRASHED if "\n" in str(error) else REFUSED
        print(f"{step}: {error}", file=sys.stderr)
    except Exception as error:
        # As the command line tells them.
        code = REFUSED if told(error) else CRASHED
        traceback.print_exc()
    finally:
        if place is None:
            (folder / "places").write_text(f"{passed[0]}", encoding="utf-8")
        sys.stderr.flush()
        os._exit(code)


def tell(notes: Path) -> None:
    """Have what this process prints in a file of that folder."""
    output = os.open(notes / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _watch(world: Path, place: int | None) -> list[int]:
    """Count the changes of files of the world, and die before the one at ``place``."""
    passed, root, own = [0], str(world), os.getpid()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            _, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in CHANGES and event != "sqlite3.connect":
            return
        if root not in os.fsdecode(arguments[0]):  # type: ignore[arg-type]  # of any event, a path
            return
        passed[0] += 1
        if passed[0] == place:
            os.kill(own, SIGKILL)

    def careful(event: str, arguments: tuple[object, ...]) -> None:
        with suppress(TypeError, ValueError, IndexError):
            hook(event, arguments)

    sys.addaudithook(careful)
    return passed
