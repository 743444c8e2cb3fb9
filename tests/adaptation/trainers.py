"""Training jobs of the user's own, as tests name them in params.yaml."""

import re
import shlex
from pathlib import Path

import yaml

from tests.conftest import World

ROOT = Path(__file__).parents[2]
# Of a shell's job: its own folder, and where it is to write.
HERE, WRITE_TO = '"$(dirname "$1")"', '"$(dirname "$1")/write_to"'


def documented(folder: Path) -> Path:
    """The script that docs/howto/own-training.md shows, as a file."""
    page = (ROOT / "docs/howto/own-training.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)
    path = folder / "train.py"
    path.write_text(code, encoding="utf-8")
    return path


def name_trainer(world: World, command: list[str] | None, **more: float | str) -> None:
    """Let params.yaml name a training job."""
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    params["adapter"]["trainer"] = {**({"command": command} if command else {}), **more}
    world.params.write_text(yaml.dump(params), encoding="utf-8")


def shell(script: str) -> list[str]:
    """The command of a job that is a few words of a shell; ``$1`` is its JSON file."""
    return ["sh", "-c", script, "train"]


def leaves(made: Path) -> str:
    """The words of a job that leaves these files."""
    return f"cp {shlex.quote(str(made))}/* {WRITE_TO}/"
