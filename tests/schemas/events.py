"""What happened on a day, before any log writes it: impressions in lists, with clicks."""

from datetime import date

import numpy as np
import pandas as pd

KINDS = ("news", "sport", "money", "food")
# What each kind's items are clicked at.
RATES = np.array([0.45, 0.3, 0.2, 0.1])
ITEMS, USERS, SHOWN = 48, 120, 4


def events(day: date, rows: int = 1600, domains: int = 2, seed: int = 0) -> pd.DataFrame:
    """Impressions of a day, ``SHOWN`` to a list, all of a list in one of ``domains``.

    Columns: ``list``, ``place`` (from 0), ``user``, ``item``, ``kind`` (whole numbers), ``time``,
    ``domain`` (a whole number), ``price`` and ``click``.
    """
    random = np.random.default_rng([seed, day.toordinal()])
    lists = rows // SHOWN
    # No list has an item twice.
    item = np.stack([random.permutation(ITEMS)[:SHOWN] for _ in range(lists)]).ravel()
    once = pd.DataFrame(
        {
            "list": np.arange(lists),
            "user": random.integers(0, USERS, lists),
            "time": pd.Timestamp(day)
            + pd.to_timedelta(np.sort(random.choice(86_400, lists, replace=False)), unit="s"),
            "domain": np.arange(lists) % domains,
        }
    )
    frame = once.loc[once.index.repeat(SHOWN)].reset_index(drop=True)
    frame["place"] = np.arange(len(frame)) % SHOWN
    frame["item"] = item
    frame["kind"] = item % len(KINDS)
    frame["price"] = (5 + item * 1.5).round(2)
    frame["click"] = (random.random(len(frame)) < RATES[frame["kind"]]).astype(int)
    return frame


def lists_of(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each list: what is said once, and a Python list of all else."""
    each = {name: (name, list) for name in ("item", "kind", "price", "click")}
    once = {name: (name, "first") for name in ("user", "time", "domain")}
    return frame.groupby("list").agg(**once, **each).reset_index()
