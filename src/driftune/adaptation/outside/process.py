"""A job as a process: started, listened to, and ended with all that it has started."""

import os
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime

from driftune.adaptation.outside.job import Attempt, Beat
from driftune.adaptation.outside.left import VARIABLE, end_processes, forget, note
from driftune.adaptation.outside.output import Output
from driftune.errors import ConfigError, TrainerError, TrainerStoppedError

# Exit codes that ask for another try: sysexits.h, and a shell's for a program that was killed.
TRY_AGAIN, KILLED_BY_SHELL = os.EX_TEMPFAIL, 128 + signal.SIGKILL
GRACE_SECONDS = 10.0
_STEP_SECONDS = 0.2
# The job begins once it is noted: were its run killed before that, nobody would find it.
_WAIT_FOR_NOTE = 'read -r go && exec "$@" </dev/null'


def run_command(attempt: Attempt, beat: Beat) -> None:
    """Run the command of an attempt to its end; ``beat`` is called every moment.

    However it ends, no process that it has started runs afterwards, unless that dropped the
    variable which tells the job's file.

    Raises:
        ConfigError: when there is no such program.
        TrainerStoppedError: when it was killed, or asks by its exit code to be tried again.
        TrainerError: when it fails or takes longer than it may.
    """
    environment = {**os.environ, VARIABLE: str(attempt.file)}
    output = Output(attempt.decision_id, environment)
    process = subprocess.Popen(
        ["/bin/sh", "-c", _WAIT_FOR_NOTE, "trainer", *_command(attempt), str(attempt.file)],
        cwd=attempt.params.parent,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _begin(attempt, process)
        in_time = _listen(attempt, process, output, beat)
    finally:
        _end_group(process)
        _close(process)
        # Those of a session of their own, too, as torchrun starts them.
        end_processes(str(attempt.file))
        forget(attempt.note, attempt.name)
    if not in_time:
        raise TrainerError(
            f"{attempt.domain}: the training job was not done after "
            f"{attempt.trainer.timeout_minutes:g} minutes and was ended; make it quicker, or raise "
            "adapter.trainer.timeout_minutes"
        )
    _require_success(attempt, process.returncode, output.last.get("stderr"))


def _command(attempt: Attempt) -> list[str]:
    """Program and arguments.

    Raises:
        ConfigError: when there is no such program.
    """
    program, *arguments = attempt.trainer.command or [""]
    place = str(attempt.params.parent / program) if "/" in program else program
    found = shutil.which(place)
    if found is None:
        raise ConfigError(
            f"{attempt.params}: adapter.trainer.command: there is no program {program!r}; write "
            "its path, or one that PATH finds, and see that it may be run"
        )
    return [found, *arguments]


def _begin(attempt: Attempt, process: subprocess.Popen[bytes]) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        note(attempt, psutil.Process(process.pid))
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(b"go\n")
        process.stdin.close()


def _listen(attempt: Attempt, process: subprocess.Popen[bytes], output: Output, beat: Beat) -> bool:
    """Log what the job says until it has ended; returns whether that was in time."""
    with selectors.DefaultSelector() as streams:
        for name in ("stdout", "stderr"):
            stream = getattr(process, name)
            os.set_blocking(stream.fileno(), False)
            streams.register(stream, selectors.EVENT_READ, name)
        while not (ended := _has_ended(process)) and datetime.now(UTC) < attempt.deadline:
            _read(streams, output, _STEP_SECONDS)
            beat()
        _end_group(process)
        # What its children have said until now; one that left the group may hold a stream open.
        end = time.monotonic() + GRACE_SECONDS
        while streams.get_map() and _read(streams, output, 0) and time.monotonic() < end:
            pass
    return ended


def _read(streams: selectors.BaseSelector, output: Output, seconds: float) -> bool:
    """Take what the streams hold, after waiting at most so long; returns whether they held any."""
    ready = streams.select(seconds)
    for key, _ in ready:
        data = os.read(key.fd, 1 << 16)
        output.take(key.data, data)
        if not data:
            streams.unregister(key.fileobj)
    return bool(ready)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the job's first process has ended; it keeps its number, and the group its own."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return process.returncode is not None or os.waitid(os.P_PID, process.pid, ended) is not None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End all processes of the job's group: asked first where the first one still runs."""
    if process.returncode is not None:
        return
    if not _has_ended(process):
        os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        while not _has_ended(process) and time.monotonic() < end:
            time.sleep(0.02)
    # Before its first process is waited for: until then the group's number is no other's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def _require_success(attempt: Attempt, code: int, said: str | None) -> None:
    """See that a job has succeeded by its exit code.

    Raises:
        TrainerStoppedError, TrainerError: with the last line of its stderr.
    """
    if code == 0:
        return
    last = f": {said}" if said else "; it said nothing on stderr"
    if code < 0 or code == KILLED_BY_SHELL:
        killed = _signal_name(-code if code < 0 else signal.SIGKILL)
        raise TrainerStoppedError(
            f"{attempt.domain}: the training job was killed by {killed}, perhaps for want of "
            f"memory{last}"
        )
    kind = TrainerStoppedError if code == TRY_AGAIN else TrainerError
    raise kind(f"{attempt.domain}: the training job ended with exit code {code}{last}")


def _signal_name(number: int) -> str:
    """Real-time signals have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
