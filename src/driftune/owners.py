"""Owners of work: processes, whether they still run, and the people who start them."""

import getpass
import os
import socket
import time
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path

# Debian's word for the home of a user who has none.
NO_HOME = "/nonexistent"


def user_name() -> str:
    """Who is at work, for the audit; a container's user may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def complete_identity(env: MutableMapping[str, str]) -> None:
    """Let packages that ask for a name or a home get one, in a container whose user has none.

    Great Expectations does when it is imported, DVC when it runs. Nothing can be in that home.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        env["LOGNAME"] = user_name()
    try:
        Path.home()
    except RuntimeError:
        env["HOME"] = NO_HOME


def new_owner() -> str:
    """The name of a claim by this process."""
    return f"{place()}:{os.getpid()}:{time.time_ns()}"


def has_ended(owner: str) -> bool:
    """Whether the owner of a claim was a process of this machine that is no more."""
    where, pid, _ = owner.rsplit(":", 2)
    if where != place():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def place() -> str:
    """Where process numbers are this process's own: host, boot and process namespace, hashed."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(str(Path(path).readlink()) if "/ns/" in path else Path(path).read_text())
        except OSError:
            parts.append("")
    return f"{socket.gethostname()[:12]}-{sha256(repr(parts).encode()).hexdigest()[:12]}"
