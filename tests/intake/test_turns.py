"""One run or release of a day at a time, and no lock left behind."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from driftune.errors import LakeError
from driftune.intake.turns import turn
from tests.conftest import FIRST, World

HOLD = """
import sys, time
from datetime import date
from pathlib import Path
from driftune.intake.turns import turn
from driftune.config.loading import load_config

with turn(load_config(Path(sys.argv[1])), date.fromisoformat(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_one_waits_and_then_says_what_holds_it_up(world: World) -> None:
    config = world.config

    def second() -> None:
        with turn(config, FIRST, wait=0.2):
            pass

    with ThreadPoolExecutor() as pool, turn(config, FIRST):
        with turn(config, world.day(1)):
            pass
        with pytest.raises(LakeError, match=f"{FIRST}: another run or release") as error:
            pool.submit(second).result()
    assert "\n" not in str(error.value)
    second()


def test_the_turn_of_a_killed_process_is_free(world: World) -> None:
    command = [sys.executable, "-c", HOLD, str(world.params), str(FIRST)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with pytest.raises(LakeError), turn(world.config, FIRST, wait=0):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
    with turn(world.config, FIRST, wait=0):
        pass


def test_a_day_that_cannot_be_locked_is_one_line(world: World) -> None:
    (world.config.home).mkdir(exist_ok=True)
    (world.config.home / "locks").write_text("in the way")
    with pytest.raises(LakeError, match="cannot be locked"), turn(world.config, FIRST):
        pass
