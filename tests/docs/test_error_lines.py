"""The error lines that docs/howto/troubleshooting.md explains are those that the code writes."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/troubleshooting.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\| `([^`]+)` \|", TEXT, re.M)


def pieces(node: ast.AST) -> str:
    """A text of the code, with `…` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(pieces, node.values))
    return "…"


def texts(file: Path) -> Iterator[str]:
    """Every text in a file, whole: also one that is put together of several by `+`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            yield pieces(node)


@cache
def written() -> str:
    """All texts of the library, one a line."""
    files = sorted((ROOT / "src/driftune").rglob("*.py"))
    return "\n".join(" ".join(text.split()) for file in files for text in texts(file))


@pytest.mark.parametrize("line", SHOWN)
@pytest.mark.few(12)
def test_each_line_is_one_of_the_code(line: str) -> None:
    parts = [part for part in line.split("…") if part.strip(" ;:,.'()")]
    assert parts
    # A text may be put together of a line's beginning and its end.
    for part in parts:
        assert part.strip(" ;,()") in written(), part


def test_the_commonest_are_there() -> None:
    assert len(SHOWN) >= 15
