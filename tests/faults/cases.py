"""How a case of the table is played."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.faults.conftest import Children, Start, output
from tests.faults.states import differences, soundness, state_of
from tests.faults.table import Kill, Scene, Trouble

MARKS = {"fast": [], "ci": [pytest.mark.slow, pytest.mark.ci], "all": [pytest.mark.slow]}
Undisturbed = Callable[[Scene], dict[str, Any]]


def parameters(cases: Sequence[Kill | Trouble]) -> list[Any]:
    """The table's rows as pytest's parameters."""
    return [pytest.param(case, id=case.id, marks=MARKS[case.run]) for case in cases]


def drill(
    case: Kill, start: Start, children: Children, undisturbed: Undisturbed, folder: Path
) -> None:
    """Kill the work at the case's boundary, look at what is left, do it again, and compare."""
    world = start(case.scene, folder)
    code = children.run(world, case.scene, case.scene.work, case.fault)
    assert code == -signal.SIGKILL, output(world)
    sound(world)
    if case.again:
        assert children.run(world, case.scene, case.scene.work) == 0, output(world)
    if case.mend:
        assert children.run(world, case.scene, "reconcile") == 0, output(world)
    restored(world, undisturbed(case.scene))


def sound(world: World) -> None:
    """Nothing is promoted twice, or served by halves."""
    wrong = soundness(world)
    assert not wrong, "\n".join(wrong)


def restored(world: World, wanted: dict[str, Any]) -> None:
    """All is as if nothing had happened."""
    sound(world)
    wrong = differences(wanted, state_of(world))
    assert not wrong, "\n".join(wrong[:20])
