"""What the README shows, run as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_adapters_alone_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(compile(code, str(README), "exec"), found)
    assert set(found["report"].domains) == {"north", "harbour"}  # type: ignore[attr-defined]
    assert sorted(path.name for path in (tmp_path / "north-adapter").iterdir()) == [
        "adapter.safetensors",
        "card.json",
    ]
