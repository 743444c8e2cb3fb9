"""Which modules of the project's folder a factory's code imports."""

import ast
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# Who imports a user's code holds it: what is found depends on the process's state.
IMPORTING = threading.RLock()


def files_of(root: Path, module: str) -> list[Path]:
    """The files that importing a module runs, where it lies in the folder."""
    return list(_files(root.resolve(), module))


def imported(root: Path, files: list[Path]) -> list[Path]:
    """Files under ``root`` that these import, and those that they import; none of ``files``."""
    root = root.resolve()
    known = {path.resolve() for path in files}
    found: list[Path] = []
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        for other in _imports(root, path):
            if other.resolve() not in known:
                known.add(other.resolve())
                found.append(other)
                waiting.append(other)
    return sorted(found)


def _imports(root: Path, path: Path) -> Iterator[Path]:
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _base(root, path, node)
            yield from _files(root, base)
            for alias in node.names:
                yield from _files(root, f"{base}.{alias.name}" if base else alias.name)


def _base(root: Path, path: Path, node: ast.ImportFrom) -> str:
    """The module of a ``from … import``, with the package that dots stand for."""
    module = node.module or ""
    if not node.level or not path.is_relative_to(root):
        return module
    folder = path.relative_to(root).parts[: -node.level]
    return ".".join([*folder, *([module] if module else [])])


def _files(root: Path, module: str) -> Iterator[Path]:
    """The files that importing a module runs, where it lies in the folder."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if place.name and file.is_file():
                yield file
                break
