"""Rows of all domains that a pooled start is trained on: none that a gate of the day judges by."""

from datetime import date

import numpy as np
import pyarrow as pa

from driftune.adaptation.domain_rows import touching
from driftune.adaptation.split import cut, span
from driftune.config import Config
from driftune.errors import LakeError
from driftune.features.days import encode_day
from driftune.features.encoder import Encoder
from driftune.lake.duck import connect, parquet
from driftune.lake.table import Lake
from driftune.training.rows import Rows, columns, domains, from_arrow

# More are thinned evenly: what holds for all domains is learned from these.
MOST = 1 << 16


def pooled_rows(
    config: Config, encoder: Encoder, view: Lake, day: date, most: int = MOST
) -> tuple[Rows, Rows]:
    """The domains' rows to train on and to select by, in order of time, about ``most`` together.

    Each domain's rows are cut as those of an adaptation are: what its gate judges by is left out,
    and what selects for it selects here. A domain with too few rows to be adapted has no part.

    Raises:
        LakeError: when a day is missing or damaged, or no domain has enough rows.
    """
    begins, ends = span(config, day, None)
    days = touching(config, view.contents, begins, ends)
    files = [encode_day(config, encoder, each, view) for each in days]
    if not files:
        raise LakeError(f"{day}: no rows for a pooled start")
    read = parquet(*files, options="file_row_number = true, filename = true")
    inside = f"epoch_us(event_time) >= {begins} AND epoch_us(event_time) < {ends}"
    with connect(reach=files) as con:
        every = con.sql(
            f"SELECT domain_key, epoch_us(event_time) AS time FROM {read} WHERE {inside} "
            "ORDER BY domain_key, time"
        ).to_arrow_table()
        stride = max(1, -(-every.num_rows // most))
        some = con.sql(
            f"SELECT {columns(encoder)} FROM {read} "
            f"WHERE {inside} AND file_row_number % {stride} = 0 "
            "ORDER BY event_time, filename, file_row_number"
        ).to_arrow_table()
    limits, rows = _limits(config, every, day), from_arrow(encoder, some)
    chosen, gate = (
        np.array([limits.get(key, (0, 0))[n] for key in rows.domain_key.tolist()], dtype=np.int64)
        for n in (0, 1)
    )
    train, select = rows.time < chosen, (rows.time >= chosen) & (rows.time < gate)
    if not train.any() or not select.any():
        raise LakeError(f"{day}: no domain has enough rows for a pooled start")
    return rows.take(train), rows.take(select)


def _limits(config: Config, every: pa.Table, day: date) -> dict[str, tuple[int, int]]:
    """Instants that each domain's selection and gate rows begin at; of those that can be adapted.

    ``every``: domain and time of all rows, by domain and in order of time.
    """
    names, domain = domains(every)
    time = every.column("time").to_numpy()
    first = np.flatnonzero(np.diff(domain, prepend=-1))
    found = {}
    for start, own in zip(first.tolist(), np.split(time, first[1:]), strict=True):
        cuts = cut(config, own, day)
        if 0 < cuts.select < cuts.gate < len(own):
            found[str(names[domain[start]])] = (int(own[cuts.select]), int(own[cuts.gate]))
    return found
