"""What a pruning found: files past their time, and what is kept, with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from driftune.lake.store import StoredFile
from driftune.registry.mlflow_left import Left


@dataclass(frozen=True)
class Aged:
    """Something past its time: its ``kind`` is a key of ``retention`` or ``leftovers``.

    ``paths`` are its files or folders, ``held`` those of the lake; ``key`` and ``version`` name an
    adapter, ``day`` a day of the lake or of Data Docs (ISO), ``left`` what lies in MLflow.
    """

    kind: str
    what: str
    paths: tuple[Path, ...] = ()
    held: tuple[StoredFile, ...] = ()
    day: str | None = None
    key: str | None = None
    version: int | None = None
    left: Left | None = None

    @property
    def bytes(self) -> int:
        """The size of its files; what is gone meanwhile counts for nothing."""
        return sum(map(size, self.paths)) + sum(file.size for file in self.held)


@dataclass(frozen=True)
class Kept:
    """Why something of a kind is not dropped."""

    kind: str
    why: str


Finding = Aged | Kept


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for file in files:
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
