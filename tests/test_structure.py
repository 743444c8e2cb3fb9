"""The code stays readable: short files and functions, few parameters, types that say something."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

# Together: the syntax trees are made once.
pytestmark = pytest.mark.xdist_group("structure")

ROOT = Path(__file__).parents[1]
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION, LONGER_FUNCTIONS = 60, 5
PARAMETERS, FUNCTIONS_WITH_MORE = 8, 3
UNTYPED = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """The project's modules in folders, by their path."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(*folders: str) -> Iterator[tuple[str, Function]]:
    """All functions and methods in folders, by path and name."""
    for path, module in modules(*folders):
        for node in ast.walk(module):
            if isinstance(node, Function):
                yield f"{path}: {node.name}", node


def parameters(function: Function) -> list[ast.arg]:
    """Everything that a call may give, but for self and cls."""
    given = function.args
    several = [each for each in (given.vararg, given.kwarg) if each is not None]
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]
    return [each for each in named if each.arg not in ("self", "cls")]


def annotations(module: ast.Module) -> Iterator[ast.expr]:
    """The annotations of parameters, results and variables."""
    for node in ast.walk(module):
        if isinstance(node, Function):
            yield from (each.annotation for each in parameters(node) if each.annotation)
            if node.returns is not None:
                yield node.returns
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation


def says_nothing(annotation: ast.expr) -> bool:
    """Whether it holds ``Any`` or ``object``, in quotes too."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name) and node.id in ("Any", "object"):
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "Any" in node.value:
            return True
    return False


def test_files_are_short() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "flows").glob("*.py")]
    files += (ROOT / "tasks").glob("*.py")
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {path: count for path, count in lines.items() if count > LINES_OF_A_FILE} == {}


def test_functions_are_short_and_take_few_parameters() -> None:
    long, wide = [], []
    for name, function in functions("src", "flows", "tasks"):
        if (function.end_lineno or 0) - function.lineno + 1 > LINES_OF_A_FUNCTION:
            long.append(name)
        if len(parameters(function)) > PARAMETERS:
            wide.append(name)
    assert len(long) <= LONGER_FUNCTIONS, long
    assert len(wide) <= FUNCTIONS_WITH_MORE, wide


def test_annotations_say_something() -> None:
    untyped = {
        path: count
        for path, module in modules("src")
        if (count := sum(map(says_nothing, annotations(module))))
    }
    assert sum(untyped.values()) <= UNTYPED, untyped
