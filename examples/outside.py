"""Trains a recommender outside of Driftune, from plain Parquet logs: rows, pasts, a loop.

The columns of the table have the names that ``recommender.columns`` and ``recommender.history``
give them, so that the model reads the same when it is trained and when Driftune scores with it.
Change ``COLUMNS`` to the names in your logs, and ``ZONE`` to the time zone of params.yaml.
"""

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor

from driftune.models.recommender import Recommender

COLUMNS = {
    "user": "user_id",
    "item": "item_id",
    "time": "event_time",
    "category": "category",
    "price": "price",
    "click": "click",
    "convert": "ordered",
}
DOMAIN = ("scene", "region")
# As ``timezone`` in params.yaml: of hours and days, and of times without an offset.
ZONE = "UTC"


@dataclass(frozen=True)
class Logged:
    """Rows as ``Recommender.inputs`` takes them; Driftune's own encoding is not there."""

    table: pa.Table
    ids: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int64))
    numbers: Tensor = field(default_factory=lambda: torch.empty(0, 0))


def read_logs(paths: Sequence[Path], length: int = 0) -> pa.Table:
    """The rows of log files in time order, with pasts of ``length`` clicks at most."""
    delivered = pa.concat_tables([pq.read_table(path) for path in paths])
    table = delivered.select([*COLUMNS.values()]).rename_columns([*COLUMNS])
    domain = pc.binary_join_element_wise(*(delivered[name] for name in DOMAIN), " · ")
    time = table["time"]
    if time.type.tz is not None:
        time = time.cast(pa.timestamp("us", ZONE))
        table = table.set_column(table.column_names.index("time"), "time", time)
    table = table.append_column("domain", domain).append_column("hour", pc.hour(time))
    table = table.sort_by([("time", "ascending"), ("item", "ascending")])
    return with_pasts(table, length) if length else table


def with_pasts(
    table: pa.Table,
    length: int,
    columns: Sequence[str] = ("item", "category"),
    days: int = 28,
) -> pa.Table:
    """``history_*``: what the row's user clicked before the row's instant, oldest first.

    ``length`` and ``days``: as in ``recommender.history``; without its ``lag_hours``.
    """
    rows = table.select(["user", "time", "click", *columns]).to_pylist()
    known: dict[str, deque[dict]] = defaultdict(lambda: deque(maxlen=length))
    pasts, waiting, instant = [], [], None
    for row in rows:
        if row["time"] != instant:
            for event in waiting:
                known[event["user"]].append(event)
            waiting, instant = [], row["time"]
        first = row["time"].date() - timedelta(days=days)
        pasts.append([event for event in known[row["user"]] if event["time"].date() >= first])
        if row["click"] == 1:
            waiting.append(row)
    for name in columns:
        lists = [[event[name] for event in past] for past in pasts]
        kind = pa.list_(table.schema.field(name).type)
        table = table.append_column(f"history_{name}", pa.array(lists, kind))
    return table


def write_vocabulary(path: Path, table: pa.Table, columns: Sequence[str]) -> None:
    """Write the values of each column, in alphabetical order."""
    found = {name: sorted(pc.unique(table[name]).drop_null().to_pylist()) for name in columns}
    path.write_text(json.dumps(found, ensure_ascii=False, indent=0), encoding="utf-8")


def read_vocabulary(path: Path) -> dict[str, pa.Array]:
    """The values of each column, whose places are the model's ids."""
    return {name: pa.array(v) for name, v in json.loads(path.read_text("utf-8")).items()}


def fit(model: Recommender, table: pa.Table, epochs: int = 4, rate: float = 5e-3) -> None:
    """Train the model in place, with the loss that Driftune trains adapters by."""
    torch.manual_seed(7)
    inputs, loss = model.inputs(Logged(table)), model.row_losses()
    labels = [torch.tensor(table[name].to_numpy()).float() for name in ("click", "convert")]
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-5)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(table.num_rows).split(512):
            output = model(*(each[batch] for each in inputs))
            optimiser.zero_grad()
            loss(output, [each[batch] for each in labels]).mean().backward()
            optimiser.step()


def save(model: Recommender, path: Path) -> None:
    """Write the weights beside their file and rename them: a model that is served has it mapped."""
    part = path.with_name(f"{path.name}.part")
    save_file({name: each.contiguous() for name, each in model.state_dict().items()}, part)
    part.replace(path)
