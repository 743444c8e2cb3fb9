"""Off-policy estimates on the Open Bandit data: each logging policy valued from the other's log."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import DATA, finish, options, table
from driftune.config.gate import Gate
from driftune.evaluation.offpolicy import ESTIMATORS, Estimate, evaluate
from driftune.evaluation.propensity import shares, weigh_choices

OBD = DATA.parent / "obd_small"
CAMPAIGNS = ("men", "women")
SMOOTHING = 200.0


def load(folder: Path) -> dict[tuple[str, str], tuple[pd.DataFrame, int]]:
    """The impressions of each (campaign, logging policy), and how many items the campaign has."""
    frame = pd.read_parquet(folder / "impressions.parquet")
    items = {name: len(pd.read_parquet(folder / f"items_{name}.parquet")) for name in CAMPAIGNS}
    return {
        (str(campaign), str(policy)): (rows.reset_index(drop=True), items[str(campaign)])
        for (campaign, policy), rows in frame.groupby(["campaign", "policy"])
    }


def followed(log: pd.DataFrame, items: int) -> np.ndarray:
    """The policy that made a log: how often each item stood at each position, (3, items)."""
    cells = (log["position"] - 1) * items + log["item_id"]
    counts = np.bincount(cells, minlength=3 * items).reshape(3, items)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def value(
    log: pd.DataFrame, target: np.ndarray, rewards: np.ndarray, gate: Gate
) -> dict[str, Estimate]:
    """Value a policy, (3, items) by position, from a log; each impression is its own cluster."""
    weighted = weigh_choices(
        log["propensity_score"], log["item_id"], target[log["position"] - 1], rewards
    )
    return evaluate(log["click"], weighted, np.arange(len(log)), gate)


def click_rates(log: pd.DataFrame, items: int) -> np.ndarray:
    """Clicks per impression of each item, (items,), drawn toward the log's own rate."""
    clicks = np.bincount(log["item_id"], log["click"], minlength=items)
    shown = np.bincount(log["item_id"], minlength=items)
    return np.asarray((clicks + SMOOTHING * log["click"].mean()) / (shown + SMOOTHING))


def on_policy(log: pd.DataFrame, gate: Gate) -> Estimate:
    """What the logging policy itself earned."""
    same = weigh_choices(np.ones(len(log)), np.zeros(len(log)), [1.0], [0.0])
    return evaluate(log["click"], same, np.arange(len(log)), gate)["ips"]


def crossed(folder: Path, gate: Gate) -> Iterator[dict[str, Any]]:
    """Value each policy from the other's log, beside what it earned itself.

    The reward model is the click rates of the target's own log: it has not seen the impressions
    that it helps to judge. The log of ``bts`` has its probabilities of the items shown only; what
    it would have shown elsewhere is taken from how often it showed each item at each position.
    """
    logs = load(folder)
    for campaign in CAMPAIGNS:
        for target, logger in (("bts", "random"), ("random", "bts")):
            own, items = logs[campaign, target]
            policy = followed(own, items) if target == "bts" else np.full((3, items), 1 / items)
            yield {
                "campaign": campaign,
                "target": target,
                "log": logger,
                "earned": on_policy(own, gate),
                **value(logs[campaign, logger][0], policy, click_rates(own, items), gate),
            }


def learned(folder: Path, gate: Gate) -> Iterator[dict[str, Any]]:
    """Value softmax policies over item scores, learned on the first half of a random log.

    Each log's second half values them; two logs of one campaign should agree.
    """
    logs = load(folder)
    for campaign in CAMPAIGNS:
        train, items = logs[campaign, "random"]
        half = train["timestamp"].median()
        rates = click_rates(train[train["timestamp"] <= half], items)
        for temperature in (1.0, 0.5):
            policy = np.tile(shares(rates, temperature), (3, 1))
            for logger in ("random", "bts"):
                log = logs[campaign, logger][0]
                rest = log[log["timestamp"] > half]
                yield {
                    "campaign": campaign,
                    "target": f"softmax, temperature {temperature:g}",
                    "log": logger,
                    "earned": on_policy(rest, gate),
                    **value(rest, policy, rates, gate),
                }


def _shown(estimate: Estimate) -> str:
    if estimate.refused:
        return "refused"
    return "{:.2f} ({:.2f} to {:.2f})".format(
        *(100 * part for part in (estimate.value, estimate.low, estimate.high))
    )


def main() -> None:
    """Run the benchmark."""
    parser = options(str(__doc__))
    parser.add_argument("--data", type=Path, default=OBD, help="folder of the Open Bandit sample")
    data, gate = parser.parse_args().data, Gate()
    found = [*crossed(data, gate), *learned(data, gate)]
    names = ("earned", *ESTIMATORS)
    table(
        ["campaign", "target", "log", "effective", *names],
        [
            [
                *(row[name] for name in ("campaign", "target", "log")),
                f"{row['ips'].ess:,.0f}",
                *(_shown(row[name]) for name in names),
            ]
            for row in found
        ],
    )
    print("clicks per 100 impressions; earned: by the target (softmax: by the log's own policy)")
    finish(
        {
            "estimates": [
                {n: asdict(each) if isinstance(each, Estimate) else each for n, each in row.items()}
                for row in found
            ]
        }
    )


if __name__ == "__main__":
    main()
