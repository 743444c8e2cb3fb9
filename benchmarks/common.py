"""What every benchmark does: options, tables, one JSON line at the end."""

import argparse
import json
import math
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data" / "kuairand_pure_14d"


def options(text: str, *, data: bool = False) -> argparse.ArgumentParser:
    """A parser with ``--quick`` and, where real data is read, ``--data``."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--quick", action="store_true", help="a small run, within 60 s on 2 cores")
    if data:
        parser.add_argument("--data", type=Path, default=DATA, help="folder of KuaiRand-Pure days")
    return parser


def with_device(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Let a parser take ``--device``."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or mps")
    return parser


def there(given: str) -> "torch.device":
    """The device that was given, once it is seen to be there; else the benchmark ends in a line."""
    import torch

    try:
        device = torch.device(given)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SystemExit(f"--device {given}: {str(error).splitlines()[0]}") from None
    return device


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import os

    import torch

    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns; the first is text, the others are right-aligned."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    for row in cells:
        first = row[0].ljust(widths[0])
        print("  ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]))


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def finish(figures: dict[str, Any]) -> None:
    """Print the figures as one JSON object, the last line."""
    print(json.dumps(_finite({**figures, "machine": machine()}), ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
