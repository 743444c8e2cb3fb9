"""The project's flows and tasks, loaded from where they lie: no other such name shadows them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import driftune

NAMES = ("tasks", "flows")
# A file of each by which the project's own is known.
_KNOWN_BY = {"tasks": "fanout.py", "flows": "daily.py"}


def load_entry_points() -> None:
    """Have ``flows`` and ``tasks`` stand for the project's own packages in this process.

    Processes that it spawns look for them along the same path, so the project's folder goes before
    every folder that holds others of these names.
    """
    root = project_root()
    if root is None:
        # Installed in some way of its own: the usual import finds them, or says what is missing.
        return
    for name in NAMES:
        there = sys.modules.get(name)
        if there is None or not _is_own(there, root):
            _load(name, root)
    _put_first(root)


def project_root(library: Path | None = None) -> Path | None:
    """The folder of ``flows`` and ``tasks``: that of the library, or the one above its ``src``."""
    library = library or Path(driftune.__file__).resolve().parent
    for folder in (library.parent, library.parents[1]):
        if all((folder / name / file).is_file() for name, file in _KNOWN_BY.items()):
            return folder
    return None


def _is_own(module: ModuleType, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(root)


def _load(name: str, root: Path) -> None:
    folder = root / name
    for other in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        del sys.modules[other]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _put_first(root: Path) -> None:
    """Put the project's folder before the first other one that holds such a name, or last."""
    for number, entry in enumerate(sys.path):
        folder = Path(entry)
        if folder.resolve() == root:
            return
        if any((folder / name).is_dir() or (folder / f"{name}.py").exists() for name in NAMES):
            sys.path.insert(number, str(root))
            return
    sys.path.append(str(root))
