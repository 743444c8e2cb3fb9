"""A log of news lists, whose articles live for a day and half of whose readers are new.

Calibration and AUC of the base on held-out rows: unknown ids trained or not, and counters of days
before or up to an hour old.
"""

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.common import finish, options, say, table

FIRST = date(2026, 3, 2)
ARTICLES, READERS, TOPICS = 150, 600, 5
DAY, LIVES = 86_400, 30 * 3600
WAYS: dict[str, dict[str, Any]] = {
    "unknown ids not trained": {"backbone": {"id_dropout": 0}},
    "as shipped (id_dropout: auto)": {},
    "auto, lag_hours: 1": {"features": {"counters": {"lag_hours": 1}}},
}
FIGURES = ("ctr_auc", "ctr_calibration", "ctr_log_loss")


def main() -> None:
    """Run the benchmark."""
    from driftune.cli.console import quiet_exit

    given = options(__doc__ or "").parse_args()
    quiet_exit()
    days, lists = (4, 500) if given.quick else (8, 1500)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    for seed in (1,) if given.quick else (1, 2, 3):
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), seed, days, lists)
            for name, changes in WAYS.items():
                found[name].append(judged(Path(folder), days, {"seed": seed, **changes}))
                say(f"seed {seed}, {name}: {found[name][-1]}")
    lines = [
        [name, *(f"{_mean(each, figure):.4f}" for figure in FIGURES)]
        for name, each in found.items()
    ]
    table(["base", "AUC", "predicted per click", "log loss"], lines)
    finish({"benchmark": "news", "days": days, "lists": lists, "ways": found})


def write_log(folder: Path, seed: int, days: int, lists: int) -> None:
    """Write days of lists: 3 to 11 live articles each, newer ones more often."""
    rng = np.random.default_rng(seed)
    born = np.sort(rng.integers(0, DAY * days, ARTICLES * days))
    topic, appeal = rng.integers(TOPICS, size=len(born)), rng.normal(size=len(born))
    taste = rng.normal(0, 0.7, (READERS + days * lists, TOPICS))
    for number in range(days):
        rows = []
        for second in np.sort(rng.integers(3600, DAY, lists)) + number * DAY:
            live = np.flatnonzero((born <= second) & (born > second - LIVES))
            weight = np.exp((born[live] - second) / 36_000)
            size = min(len(live), int(rng.integers(3, 12)))
            shown = rng.choice(live, size, replace=False, p=weight / weight.sum())
            # Every other reader has never been there.
            reader = int(rng.integers(READERS if rng.random() < 0.5 else len(taste)))
            logit = appeal[shown] + taste[reader, topic[shown]] - 2 - 0.08 * np.arange(size)
            clicks = rng.random(size) < 1 / (1 + np.exp(-logit))
            parts = [f"N{item}-{int(click)}" for item, click in zip(shown, clicks, strict=True)]
            time = pd.Timestamp(FIRST) + pd.Timedelta(seconds=int(second))
            rows.append((f"u{reader}", time, str(rng.choice(["web", "app"])), " ".join(parts)))
        frame = pd.DataFrame(rows, columns=["user", "time", "section", "shown"])
        frame.to_csv(folder / f"{FIRST + timedelta(days=number)}.csv", index=False)


def judged(folder: Path, days: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Pre-train on the days in a workspace of its own; the base's figures on held-out rows."""
    from driftune.config.loading import load_config
    from driftune.registry.ledger import Ledger
    from driftune.training.pretrain import encode, evaluate, train

    explode = {"columns": {"shown": "shown"}, "separator": " ", "clicked": {"suffix": "-"}}
    params = {
        "source": {"uri": f"{folder}/{{day}}.csv", "explode": explode},
        "reference": {"first": f"{FIRST}", "last": f"{FIRST + timedelta(days=days - 1)}"},
        "columns": {
            "user": "user",
            "item": "shown",
            "time": {"column": "time"},
            "domain": "section",
            "click": "list_clicked",
        },
        **changes,
    }
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "params.yaml"
        path.write_text(yaml.safe_dump(params), encoding="utf-8")
        config = load_config(path, env={})
        with Ledger(config) as ledger:
            encode(config, ledger)
            dropped = train(config)["id_dropout"]
            return {**evaluate(config), "id_dropout": dropped}


def _mean(runs: Sequence[dict[str, Any]], figure: str) -> float:
    return float(np.mean([float(run[figure]) for run in runs]))


if __name__ == "__main__":
    main()
