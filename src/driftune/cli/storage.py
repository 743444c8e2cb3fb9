"""Errors of the operating system and of databases that are no crash of ours, in one line each."""

import errno

from driftune.redact import redact

_ROOM = "free some space (driftune prune) and say it again"
# What to do, by the system's number.
_TOLD = {
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "see that its owner may read and write it",
}
_PLACE = 200
# How DuckDB, safetensors, Delta Lake and SQLite say it, each in a class of its own.
_FULL = ("no space left on device", "database or disk is full", "disk i/o error")


def told(error: BaseException) -> str | None:
    """The line for an error of storage, None for any other.

    A full disk counts whoever met it, and also where it is the cause of the error.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        line = _line(each)
        if line is not None:
            return line
        each = each.__cause__ or each.__context__
    return None


def _line(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        if error.errno not in _TOLD:
            return None
        place = str(error.filename or "a file")
        place = place if len(place) <= _PLACE else f"{place[:100]}…{place[-60:]}"
        return f"{place}: {(error.strerror or '').lower()}; {_TOLD[error.errno]}"
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    if any(said in text.lower() for said in _FULL):
        return f"the disk is full ({redact(text)[:_PLACE]}); {_ROOM}"
    return None
