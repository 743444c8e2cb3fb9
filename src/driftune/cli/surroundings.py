"""Where the command line finds itself: its streams, its folder, a home, places to write to."""

import io
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from driftune.errors import DriftuneError

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def mend_streams() -> None:
    """Let streams that are closed lead nowhere, and let all write what their encoding lacks.

    A closed one's number would be given to the next file that is opened, into which others write.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  # it stays
    for stream in (sys.stdout, sys.stderr):
        # Names of domains in any script, on a terminal that knows ASCII alone.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def require_folder() -> None:
    """See that the working directory is there.

    Raises:
        DriftuneError: when it was removed.
    """
    try:
        Path.cwd()
    except OSError:
        raise DriftuneError(
            "the working directory is gone: it was removed or replaced; change to a folder that "
            "is there (cd), and say it again"
        ) from None


def require_temporary_folder() -> None:
    """See that files can be made in the temporary folder.

    Raises:
        DriftuneError: when there is none, or it is full or may not be written to.
    """
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(_PROBE))
            file.flush()
    except OSError as error:
        where = os.environ.get("TMPDIR") or tempfile.gettempdir() if _known() else "the usual ones"
        reason = (error.strerror or str(error)).lower()
        raise DriftuneError(
            f"temporary folder: {where}: {reason}; set TMPDIR to a folder with room that can be "
            "written to"
        ) from None


# Bytes that small files of other packages take in it.
_PROBE = 64 * 2**10


def _known() -> bool:
    with suppress(OSError):
        return bool(tempfile.gettempdir())
    return False


IN_PARAMS = "choose another place in params.yaml (or by DRIFTUNE__WORKSPACE)"


def require_writable(what: str, folder: Path, remedy: str = IN_PARAMS) -> None:
    """See that a folder, or the one that it will be made in, can be written to.

    ``remedy``: what else to do than to make it so.

    Raises:
        DriftuneError: when it cannot, with whose it is.
    """
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if not there.is_dir():
        raise DriftuneError(f"{what}: {there} is no folder; move it away, or {remedy}")
    if os.access(there, os.W_OK | os.X_OK):
        return
    read_only = bool(os.statvfs(there).f_flag & os.ST_RDONLY)
    why = (
        "is on a read-only file system" if read_only else f"may not be written to by {_identity()}"
    )
    raise DriftuneError(f"{what}: {there} {why}; see to that, or {remedy}")


def _identity() -> str:
    return f"uid {os.geteuid()}"


def has_home(env: Mapping[str, str]) -> bool:
    """Whether a home is known that can be written to: in containers there is often none."""
    try:
        home = Path(env.get("HOME") or "~").expanduser()
    except RuntimeError:
        return False
    return os.access(home, os.W_OK | os.X_OK)
