"""A training job that fails: one line in the ledger, nothing promoted, nothing left at work."""

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import torch

from driftune.adaptation.adapt import adapt
from driftune.adaptation.faults import End, fault_of
from driftune.adaptation.finetune import finetune
from driftune.adaptation.outside.left import Left
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import (
    ConfigError,
    DriftuneError,
    LedgerBusyError,
    LedgerError,
    RegistryError,
    TrainerError,
    TrainerStoppedError,
)
from driftune.io import write_sealed
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel, save_adapter
from driftune.project import Project
from driftune.registry.claims import ATTEMPTS
from driftune.registry.ledger import Ledger
from tests.adaptation.trainers import HERE, WRITE_TO, leaves, name_trainer, shell
from tests.conftest import World
from tests.crowning import DOMAIN, bench, pending, random_adapter
from tests.forks import PATIENCE, kill_at


def kernel_at(place: str, width: int) -> Adapter:
    """An adapter of one kernel."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return Adapter({place: IAKKernel(width, IAKConfig(4, 8))}).eval()


@pytest.fixture(scope="module")
def world(_next_day: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that none of the failing jobs changes."""
    return World.copied(_next_day, tmp_path_factory.mktemp("failing") / "world")


@pytest.fixture(scope="module")
def decision(world: World) -> str:
    """A decision of it."""
    return pending(world, world.day(3))


@pytest.fixture(scope="module")
def made(world: World, decision: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of adapters: one that fits, and others."""
    folder = tmp_path_factory.mktemp("adapters")
    with Ledger(world.config) as ledger:
        backbone = ledger.decision(decision).backbone
    for name, adapter, mark in (
        ("fits", random_adapter(world), backbone),
        ("foreign", random_adapter(world), "f" * 64),
        ("elsewhere", kernel_at("attention.3", 16), backbone),
        ("wide", kernel_at("click_tower.1", 17), backbone),
        ("ids", kernel_at("representation.table", 5), backbone),
    ):
        save_adapter(folder / name, adapter, {"backbone": mark})
    huge = random_adapter(world)
    for _, kernel in huge.items():
        for tensor in kernel.parameters():
            tensor.data.fill_(3e38)
    save_adapter(folder / "huge", huge, {"backbone": backbone})
    return folder


class Wrong(NamedTuple):
    """A job by its words, in which MADE is the folder of adapters, and what comes of it."""

    name: str
    script: str
    line: str
    error: type[DriftuneError] = TrainerError


FITS = f"cp MADE/fits/* {WRITE_TO}/"
LEFT = "what the training job left cannot be judged: "
WRONG = [
    Wrong("exit code", "echo one >&2; echo 'no rows' >&2; exit 3", "with exit code 3: no rows"),
    Wrong("exit code, silent", "exit 1", "ended with exit code 1; it said nothing on stderr"),
    Wrong("with an adapter", f"{FITS}; exit 1", "ended with exit code 1"),
    Wrong("asks for more", "exit 75", "ended with exit code 75", TrainerStoppedError),
    Wrong("killed", "kill -9 $$", "was killed by SIGKILL, perhaps", TrainerStoppedError),
    Wrong("by a signal without a name", "kill -35 $$", "by signal 35", TrainerStoppedError),
    Wrong("its folder gone", f"rm -r {HERE}", "write_to is no folder any more"),
    Wrong("a child killed", "sh -c 'kill -9 $$'", "killed by SIGKILL", TrainerStoppedError),
    Wrong("nothing", "true", f"{LEFT}it ended well and left no card.json and adapter.safetensors"),
    Wrong("a card alone", f"cp MADE/fits/card.json {WRITE_TO}", "adapter.safetensors is missing"),
    Wrong("no card", f"cp MADE/fits/*.safetensors {WRITE_TO}", f"{LEFT}card.json is missing"),
    Wrong(
        "half a file",
        f"{FITS}; head -c 500 MADE/fits/adapter.safetensors > {WRITE_TO}/adapter.safetensors",
        "is corrupted or truncated",
    ),
    Wrong("not JSON", f"{FITS}; echo x > {WRITE_TO}/card.json", f"{LEFT}card.json is not JSON"),
    Wrong("foreign", f"cp MADE/foreign/* {WRITE_TO}", f"{LEFT}made for backbone ffffffffffff"),
    Wrong("NaN", f"cp MADE/nan/* {WRITE_TO}", f"{LEFT}NaN or infinity in kernels.0"),
    Wrong("too large", f"cp MADE/huge/* {WRITE_TO}", "it gives NaN or infinity for selection"),
    Wrong("no place", f"cp MADE/elsewhere/* {WRITE_TO}", "no module 'attention.3' to attach to"),
    Wrong("too wide", f"cp MADE/wide/* {WRITE_TO}", "it does not fit the model: 'click_tower.1'"),
    Wrong("of fields", f"cp MADE/ids/* {WRITE_TO}", "does not fit the model"),
    Wrong("a link", f"ln -s MADE/fits/* {WRITE_TO}", f"{LEFT}card.json is a link; write the"),
    Wrong("folder a link", f"rm -r {WRITE_TO}; ln -s MADE/fits {WRITE_TO}", "is no folder any"),
    Wrong("no folder", f"rm -r {WRITE_TO}", "write_to is no folder any more"),
    Wrong("outside", f"{FITS}; echo > {HERE}/log.txt", "wrote 'log.txt', which is outside of"),
    Wrong("its rows", f"{FITS}; echo > {HERE}/train.parquet", "it wrote 'train.parquet', which"),
    Wrong(
        "the model",
        f"{FITS}; touch workspace/model/backbone/backbone.json",
        "backbone/backbone.json changed while the training job ran, which may only read it",
        RegistryError,
    ),
]  # fmt: skip


def with_nan(made: Path) -> None:
    """An adapter with a NaN whose card fits its bytes: ``save_adapter`` would refuse it."""
    import json

    from safetensors.torch import load_file, save

    from driftune.models.adapters import files

    folder = made / "nan"
    folder.mkdir(exist_ok=True)
    tensors = load_file(made / "fits" / files.TENSORS)
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    data = save(tensors)
    card = json.loads((made / "fits" / files.CARD).read_text())
    del card["sha256"]
    card["sha256"] = files._hash(card, data)
    (folder / files.TENSORS).write_bytes(data)
    (folder / files.CARD).write_text(json.dumps(card))


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.name for wrong in WRONG])
@pytest.mark.few(2)
def test_a_job_that_fails_is_one_line_and_no_challenger(
    world: World, decision: str, made: Path, wrong: Wrong
) -> None:
    with_nan(made)
    name_trainer(world, shell(wrong.script.replace("MADE", shlex.quote(str(made)))))
    with Ledger(world.config) as ledger, pytest.raises(DriftuneError) as raised:
        finetune(bench(world.config, ledger, decision))
    line = str(raised.value)
    assert type(raised.value) is wrong.error
    assert wrong.line in line and "\n" not in line
    retried = wrong.error in (TrainerStoppedError, RegistryError)
    assert fault_of(raised.value).adaptation is (End.GIVE_BACK if retried else End.FAIL)
    workspace = Workspace(world.config)
    assert not workspace.challenger(decision).exists()
    assert not workspace.trainer(decision).exists()
    assert [*workspace.staging.glob("trainer-*")] == []


@pytest.mark.parametrize("program", ["no-such-program", "./no/such.sh", "params.yaml"])
@pytest.mark.few(1)
def test_a_command_that_is_not_there(world: World, decision: str, program: str) -> None:
    name_trainer(world, [program, "train.py"])
    said = rf"params.yaml: adapter.trainer.command: there is no program '{program}'"
    with Ledger(world.config) as ledger, pytest.raises(ConfigError, match=said):
        finetune(bench(world.config, ledger, decision))


def test_a_deployment_without_a_flow(world: World, decision: str) -> None:
    name_trainer(world, None, deployment="train/own")
    with Ledger(world.config) as ledger, pytest.raises(ConfigError, match="only flows start depl"):
        finetune(bench(world.config, ledger, decision))


@pytest.mark.slow
@pytest.mark.ci
def test_a_job_that_takes_too_long_is_ended_with_all_that_it_started(
    world: World, decision: str, tmp_path: Path
) -> None:
    kept = tmp_path / "pids"
    child = f"sh -c 'trap : TERM; echo $$ >> {kept}; while :; do sleep 1; done'"
    script = f"{child} & echo $$ >> {kept}; echo begun >&2; wait; wait"
    name_trainer(world, shell(script), timeout_minutes=0.03)
    with Ledger(world.config) as ledger, pytest.raises(TrainerError) as raised:
        finetune(bench(world.config, ledger, decision))
    assert "was not done after 0.03 minutes and was ended" in str(raised.value)
    assert fault_of(raised.value).adaptation is End.FAIL
    pids = [int(line) for line in kept.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        ended(pid)


@pytest.mark.parametrize("session", ["", "setsid"], ids=["its own session", "another session"])
@pytest.mark.few(1)
def test_what_a_job_leaves_running_ends_with_it(
    world: World, decision: str, made: Path, tmp_path: Path, session: str
) -> None:
    kept = tmp_path / "pid"
    child = f"{session} sh -c 'echo $$ > {kept}; exec sleep 1000' &"
    wait = f"while ! test -s {kept}; do sleep 0.02; done"
    name_trainer(world, shell(f"{child} {wait}; {leaves(made / 'fits')}"))
    with Ledger(world.config) as ledger:
        assert finetune(bench(world.config, ledger, decision)).trainer == "command"
    ended(int(kept.read_text()))
    folder = Workspace(world.config).challenger(decision)
    assert {each.name for each in folder.iterdir()} == {"card.json", "adapter.safetensors"}
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


@pytest.mark.slow
@pytest.mark.ci
def test_a_failed_job_ends_the_decision_and_a_killed_one_lets_it_wait(
    next_day_world: World, made: Path
) -> None:
    world = next_day_world
    decision = pending(world, world.day(3))
    name_trainer(world, shell("kill -9 $$"))
    for attempt in range(1, ATTEMPTS):
        with Project(world.config, mirrored=False) as project:
            with pytest.raises(TrainerStoppedError):
                adapt(project, decision)
            row = project.ledger.decision(decision)
            assert (row.state, row.attempts, row.lease_until) == ("pending", attempt, None)
            assert row.note is not None and "killed by SIGKILL" in row.note
    name_trainer(world, shell("echo out of luck >&2; exit 4"))
    with Project(world.config, mirrored=False) as project:
        assert adapt(project, decision) == "failed"
        row = project.ledger.decision(decision)
        assert row.note == f"{DOMAIN}: the training job ended with exit code 4: out of luck"
        assert (row.gate, row.training, project.ledger.champions()) == (None, None, {})


def test_a_lost_claim_ends_the_job(world: World, decision: str, tmp_path: Path) -> None:
    kept = tmp_path / "pid"
    name_trainer(world, shell(f"echo $$ > {kept}; sleep 1000"))
    calls: list[str] = []

    def renew(what: str, done: int, total: int) -> None:
        calls.append(what)
        # The ledger may be away for a while.
        if len(calls) == 1:
            raise LedgerBusyError("locked")
        if kept.exists() and kept.read_text():
            raise LedgerError("no longer claimed by this run")

    with Ledger(world.config) as ledger:
        ledger.lease_seconds = 3
        with pytest.raises(LedgerError, match="no longer claimed"):
            finetune(bench(world.config, ledger, decision), renew)
    assert len(calls) > 1
    ended(int(kept.read_text()))


@pytest.mark.slow
@pytest.mark.ci
def test_a_job_whose_run_was_killed_is_ended_and_begun_again(
    next_day_world: World, made: Path, tmp_path: Path, forks: ForkServerContext
) -> None:
    world, kept = next_day_world, tmp_path / "pid"
    decision = pending(world, world.day(3))
    # It would write into its folder again and again.
    loop = f"while sleep 0.05; do mkdir -p {WRITE_TO}; echo > {WRITE_TO}/late; done"
    apart = tmp_path / "apart"
    other = f"setsid sh -c 'echo $$ > {apart}; exec sleep 1000' &"
    name_trainer(world, shell(f"{other} echo $$ > {kept}; {loop}"))
    process = forks.Process(target=adapted, args=(str(world.params), decision))
    process.start()
    until(lambda: all(each.exists() and each.read_text() for each in (kept, apart)))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    orphan = int(kept.read_text())
    assert psutil.pid_exists(orphan)
    name_trainer(world, shell(f'test -z "$(ls -A {WRITE_TO})" || exit 9; {leaves(made / "fits")}'))
    with Project(world.config, mirrored=False) as project:
        assert adapt(project, decision) in ("promoted", "rejected", "waiting")
    ended(orphan)
    ended(int(apart.read_text()))
    assert [*Workspace(world.config).staging.glob("trainer-*")] == []
    assert not Workspace(world.config).trainer(decision).exists()


@pytest.mark.slow
@pytest.mark.ci
def test_a_run_killed_before_its_job_was_noted_leaves_none(
    next_day_world: World, tmp_path: Path, forks: ForkServerContext
) -> None:
    world, kept = next_day_world, tmp_path / "begun"
    decision = pending(world, world.day(3))
    name_trainer(world, shell(f"touch {kept}"))
    at = "driftune.adaptation.outside.process:note"
    kill_at(forks, at, adapted, str(world.params), decision)
    mark = f"trainer-{decision}"
    until(lambda: not any(mark in " ".join(each) for each in command_lines()))
    assert not kept.exists()


@pytest.mark.parametrize(
    ("place", "deadline", "line"),
    [
        ("elsewhere", "2100-01-01T00:00:00Z", "process 12 on another machine (elsewhere) may"),
        ("elsewhere", "2020-01-01T00:00:00Z", None),
        (None, "2100-01-01T00:00:00Z", "is damaged; see that no training job of the decision"),
    ],
    ids=["on another machine", "past its deadline", "damaged"],
)
def test_a_job_that_nobody_can_ask(
    world: World, decision: str, place: str | None, deadline: str, line: str | None
) -> None:
    name_trainer(world, shell("exit 3"))
    path = Workspace(world.config).trainer(decision)
    path.parent.mkdir(exist_ok=True)
    if place is None:
        path.write_text("{")
    else:
        left = {"name": "x", "file": "x", "deadline": deadline, "place": place}
        known = Left.model_validate({**left, "pid": 12, "started": 1.0})
        write_sealed(path, known.model_dump(mode="json"))
    with Ledger(world.config) as ledger, pytest.raises(DriftuneError) as raised:
        finetune(bench(world.config, ledger, decision))
    assert (line or "ended with exit code 3") in str(raised.value)
    assert path.exists() == (line is not None)
    path.unlink(missing_ok=True)


def test_another_process_of_the_same_number_is_left_alone(world: World, decision: str) -> None:
    name_trainer(world, shell("exit 3"))
    from driftune.owners import place

    left = Left(
        name="x",
        file="x",
        deadline="2100-01-01T00:00:00Z",  # type: ignore[arg-type]
        place=place(),
        pid=os.getpid(),
        started=psutil.Process().create_time() - 3600,
    )
    write_sealed(Workspace(world.config).trainer(decision), left.model_dump(mode="json"))
    with Ledger(world.config) as ledger, pytest.raises(TrainerError, match="exit code 3"):
        finetune(bench(world.config, ledger, decision))


def adapted(params: str, decision: str) -> None:
    """Adapt for a decision, in a process that is killed meanwhile."""
    with Project(load_config(Path(params)), mirrored=False) as project:
        adapt(project, decision)


def command_lines() -> list[list[str]]:
    """What runs on this machine."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def ended(pid: int) -> None:
    """Wait until a process has ended."""
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def until(look: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)
