"""The most memory that this process has held meanwhile, as Linux counts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SELF = Path("/proc/self")


@dataclass
class Peak:
    """Bytes that were held beyond those at the start; None where the system does not tell."""

    size: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure what is held meanwhile, files that are mapped into memory among it."""
    found = Peak()
    try:
        # 5 sets the highest mark back to what is held now: proc_pid_clear_refs(5).
        (_SELF / "clear_refs").write_text("5")
        start = _held("VmRSS")
    except (OSError, KeyError):
        start = None
    yield found
    if start is not None:
        found.size = max(0, _held("VmHWM") - start)


def _held(name: str) -> int:
    lines = (_SELF / "status").read_text().splitlines()
    figures = dict(line.split(":", 1) for line in lines)
    return int(figures[name].split()[0]) << 10


def shown(size: int) -> str:
    """A number of bytes, for people."""
    power, unit = next(
        (each for each in ((9, "GB"), (6, "MB"), (3, "kB")) if size >= 10 ** each[0]), (0, "bytes")
    )
    return f"{size / 10**power:.3g} {unit}"
