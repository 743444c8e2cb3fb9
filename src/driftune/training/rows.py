"""Encoded impressions as tensors: Arrow columns to torch without a detour over rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.features.encoder import Encoder
from driftune.features.raw import PREFIX
from driftune.lake.duck import connect, identifier, literal, parquet


@dataclass(frozen=True)
class Rows:
    """Impressions in a fixed order: ids (n, fields), numbers (n, numbers), all else (n,).

    ``user`` and ``request`` are hashes (request −1: no list is named), ``time`` is microseconds
    since 1970; ``position`` and ``propensity`` are NaN where the log has none. ``stated``: columns
    of ``numbers`` that are another value, the same for all rows, when rows are scored. ``table``
    (n rows, Arrow): the columns that a recommender of the user's own reads as they were logged, and
    ``stated_raw`` those of them that are another value, as ``stated``.
    """

    ids: Tensor
    numbers: Tensor
    click: Tensor
    convert: Tensor
    user: np.ndarray
    domain_key: np.ndarray
    time: np.ndarray
    request: np.ndarray
    position: np.ndarray
    propensity: np.ndarray
    table: pa.Table = field(default_factory=lambda: pa.table({}))
    stated: tuple[tuple[int, float], ...] = ()
    stated_raw: tuple[tuple[str, float], ...] = ()

    def __len__(self) -> int:
        return len(self.click)

    def take(self, index: np.ndarray) -> "Rows":
        """The rows at ``index`` (positions or a mask), in that order."""
        positions = np.flatnonzero(index) if index.dtype == bool else index
        chosen = torch.from_numpy(np.ascontiguousarray(positions))
        return Rows(
            self.ids[chosen],
            self.numbers[chosen],
            self.click[chosen],
            self.convert[chosen],
            self.user[positions],
            self.domain_key[positions],
            self.time[positions],
            self.request[positions],
            self.position[positions],
            self.propensity[positions],
            self.table.take(pa.array(positions)) if self.table.num_columns else self.table,
            self.stated,
            self.stated_raw,
        )

    def part(self, first: int, count: int) -> "Rows":
        """So many rows from the ``first`` on, or those that there are; nothing is copied."""
        some = slice(first, first + count)
        return Rows(
            self.ids[some],
            self.numbers[some],
            self.click[some],
            self.convert[some],
            self.user[some],
            self.domain_key[some],
            self.time[some],
            self.request[some],
            self.position[some],
            self.propensity[some],
            self.table.slice(first, count),
            self.stated,
            self.stated_raw,
        )

    def as_scored(self) -> "Rows":
        """The rows as they are scored: where each was shown must not decide what it is worth."""
        if not self.stated:
            return self
        numbers = self.numbers.clone()
        for column, value in self.stated:
            numbers[:, column] = value
        table = self.table
        for name, value in self.stated_raw:
            column = table.column_names.index(name)
            same = pa.scalar(value, table.schema.field(column).type)
            table = table.set_column(column, name, pa.repeat(same, len(self)))
        return replace(self, numbers=numbers, table=table)

    def as_shown(self) -> "Rows":
        """The rows to be scored where each was shown: what is compared with its clicks."""
        return replace(self, stated=(), stated_raw=()) if self.stated else self


def load_rows(encoder: Encoder, files: Sequence[Path], domain_key: str | None = None) -> Rows:
    """Load encoded days in time order; with ``domain_key`` only that domain's rows."""
    where = f"WHERE domain_key = {literal(domain_key)}" if domain_key is not None else ""
    with connect(reach=files) as con:
        table = con.sql(
            f"""
            SELECT {columns(encoder)}
            FROM {parquet(*files, options="file_row_number = true, filename = true")} {where}
            ORDER BY event_time, filename, file_row_number
            """
        ).to_arrow_table()
    return from_arrow(encoder, table)


def load_domains(
    encoder: Encoder, files: Sequence[Path], domain_keys: Sequence[str], begins: int, ends: int
) -> dict[str, Rows]:
    """Rows of several domains in one pass over encoded days, each as ``load_rows`` gives it.

    ``begins`` and ``ends`` (not included): instants, microseconds since 1970.
    """
    keys = ", ".join(map(literal, domain_keys))
    with connect(reach=files) as con:
        table = con.sql(
            f"""
            SELECT {columns(encoder)}
            FROM {parquet(*files, options="file_row_number = true, filename = true")}
            WHERE domain_key IN ({keys})
              AND epoch_us(event_time) >= {begins} AND epoch_us(event_time) < {ends}
            ORDER BY domain_key, event_time, filename, file_row_number
            """
        ).to_arrow_table()
    names, domain = domains(table)
    starts = np.flatnonzero(np.diff(domain, prepend=-1))
    counts = np.diff(starts, append=len(domain))
    empty = from_arrow(encoder, table.slice(0, 0))
    found = {
        str(names[domain[start]]): from_arrow(encoder, table.slice(start, count))
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True)
    }
    return {key: found.get(key, empty) for key in domain_keys}


def columns(encoder: Encoder) -> str:
    """Select list over encoded days that ``from_arrow`` needs."""
    names = [f"c_{n}" for n in range(len(encoder.fields))]
    names += [f"x_{n}" for n in range(len(encoder.numbers))]
    names += ["click", '"convert"', "user_hash", "domain_key", "epoch_us(event_time) AS time"]
    names += ["request_hash", "position", "propensity"]
    names += [identifier(f"{PREFIX}{name}") for name in encoder.raw]
    return ", ".join(names)


def from_arrow(encoder: Encoder, table: pa.Table) -> Rows:
    """Make tensors of an Arrow table with the columns of an encoded day, rows as they come."""

    def matrix(names: list[str], kind: type) -> Tensor:
        values = np.empty((table.num_rows, len(names)), dtype=kind)
        for position, name in enumerate(names):
            values[:, position] = table.column(name).to_numpy()
        return torch.from_numpy(values)

    def column(name: str) -> np.ndarray:
        values: np.ndarray = table.column(name).to_numpy(zero_copy_only=False)
        return values

    names, domain = domains(table)
    return Rows(
        ids=matrix([f"c_{n}" for n in range(len(encoder.fields))], np.int64),
        numbers=matrix([f"x_{n}" for n in range(len(encoder.numbers))], np.float32),
        click=torch.from_numpy(column("click").astype(np.float32)),
        convert=torch.from_numpy(column("convert").astype(np.float32)),
        user=column("user_hash"),
        domain_key=names[domain],
        time=column("time"),
        request=column("request_hash"),
        position=column("position"),
        propensity=column("propensity"),
        table=table.select([f"{PREFIX}{n}" for n in encoder.raw]).rename_columns([*encoder.raw]),
        stated=encoder.stated,
        stated_raw=tuple(each for each in encoder.debias if each[0] in encoder.raw),
    )


def domains(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The domain keys of a table, as they first occur, and each row's position among them."""
    encoded = table.column("domain_key").dictionary_encode().unify_dictionaries().combine_chunks()
    return np.array(encoded.dictionary.to_pylist(), dtype=str), encoded.indices.to_numpy()
