"""A small platform for benchmarks of operation: 20 domains, tiny logs, a tiny backbone.

In a domain users click by category; the tastes of one domain after another may turn round.
"""

import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.common import ROOT
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.deployment.processes import Process, wait_until
from driftune.no_telemetry import QUIET

FIRST = date(2026, 1, 5)
REFERENCE_DAYS = 7
CATEGORIES = ("noodles", "coffee", "salads", "burgers", "sushi")
RATES = np.array([0.5, 0.35, 0.2, 0.12, 0.05])


@dataclass(frozen=True)
class SmallWorld:
    """A project's folder with params.yaml and daily files.

    Every ``turn_days`` the tastes of another domain turn round; 0: of none.
    """

    root: Path
    rows: int = 3000
    turn_days: int = 0
    scenes: int = 4
    regions: int = 5

    @property
    def params(self) -> Path:
        """Where params.yaml lies."""
        return self.root / "params.yaml"

    @property
    def config(self) -> Config:
        """The configuration, loaded."""
        return load_config(self.params, env={})

    def day(self, number: int) -> date:
        """The day ``number`` after the reference days (from 0)."""
        return FIRST + timedelta(days=REFERENCE_DAYS + number)

    def make(self) -> "SmallWorld":
        """Write params.yaml and the reference days."""
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["source"] |= {"uri": "logs/{day}.parquet"}
        last = FIRST + timedelta(days=REFERENCE_DAYS - 1)
        params["reference"] = {"first": f"{FIRST}", "last": f"{last}", "holdout": 0.2}
        params["drift"] |= {"min_rows": 60, "min_clicks": 10}
        params["gate"] |= {"min_rows": 60, "min_positives": 10, "min_users": 20, "resamples": 200}
        params["backbone"] |= {"hidden": [16], "epochs": 2, "embedding": 4}
        params["adapter"] |= {"epochs": 2, "hidden": 16, "bottleneck": 4}
        (self.root / "logs").mkdir(parents=True, exist_ok=True)
        self.params.write_text(yaml.safe_dump(params), encoding="utf-8")
        for number in range(-REFERENCE_DAYS, 0):
            self.write(number)
        return self

    def write(self, number: int) -> Path:
        """Write the file of a day."""
        day = self.day(number)
        rng = np.random.default_rng([7, day.toordinal()])
        rows = self.rows
        domain = rng.integers(0, self.scenes * self.regions, rows)
        category = rng.integers(0, len(CATEGORIES), rows)
        # How often the domain's tastes have turned by this day.
        domains = self.scenes * self.regions
        turned = max(number, 0) // self.turn_days if self.turn_days else 0
        turns = (turned + domains - 1 - domain) // domains
        rate = np.where(turns % 2 == 0, RATES[category], RATES[::-1][category])
        click = rng.random(rows) < rate
        frame = pd.DataFrame(
            {
                "user_id": _names("u", rng.integers(0, 800, rows)),
                "item_id": _names("i", rng.integers(0, 150, rows)),
                "event_time": pd.Timestamp(day)
                + pd.to_timedelta(np.sort(rng.integers(0, 86_400, rows)), unit="s"),
                "scene": _names("scene", domain // self.regions),
                "region": _names("region", domain % self.regions),
                "category": np.array(CATEGORIES)[category],
                "price": rng.gamma(2, 10, rows).round(2),
                "request_id": _names(f"{day}-", np.arange(rows) // 4),
                "position": rng.integers(1, 9, rows),
                "propensity": rng.random(rows).round(4),
                "restaurant_id": _names("r", rng.integers(0, 40, rows)),
                "click": click.astype("int8"),
                "ordered": (click & (rng.random(rows) < 0.3)).astype("int8"),
            }
        )
        path = self.root / "logs" / f"{day}.parquet"
        frame.to_parquet(path, index=False)
        return path


def _names(prefix: str, numbers: np.ndarray) -> np.ndarray:
    return np.char.add(prefix, numbers.astype(str))


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """A Prefect server as a process of its own; the API's URL is in the environment meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    settings = {**QUIET, "PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    os.environ |= {**settings, "PREFECT_LOGGING_LEVEL": "CRITICAL"}
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = Process("server", command, home / "server.log", dict(os.environ))
    try:
        wait_until(lambda: _answers(f"{url}/health"), (server,), 180, "the server")
        yield url
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
