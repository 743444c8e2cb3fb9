"""A snapshot of what rows of the day after it read from days before: counters, by their keys.

It is made by the same SQL as encoded days are (``features.counters``, ``features.encoder``), so
that each figure is the very number that training would have.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from driftune.config import Config
from driftune.errors import BundleError, LakeError
from driftune.features.counters import (
    build_counters,
    counter_columns,
    counter_joins,
    counter_select,
    history,
    lake_column,
)
from driftune.features.encoder import Encoder, encoded_numbers, require_roles
from driftune.lake.clock import day_start
from driftune.lake.duck import Connection, identifier
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake
from driftune.serving.lookup import bucket
from driftune.serving.manifest import Counter

# Places of a key's fields are packed into 63 bits.
_MOST = 1 << 62


class Snapshot(NamedTuple):
    """Files (Arrow) of the fields' texts and of the counters, by their names, and what they are."""

    fields: dict[str, bytes]
    counters: dict[str, bytes]
    described: list[Counter]


def take_snapshot(config: Config, encoder: Encoder, view: Lake, last: date) -> Snapshot:
    """The counters that rows of the day after ``last`` have, and the texts of all ids.

    With ``lag_hours`` they are those of a row at that day's first instant.

    Raises:
        LakeError: when the lake lacks the day.
        BackboneError: when the roles no longer give what the encoder was fitted on.
    """
    if last not in view.files:
        raise LakeError(f"the lake lacks {last}; bring it in first: driftune run --day {last}")
    require_roles(config, encoder)
    described, tables = [], []
    with connect_within(config, [view.place, encoder.vocabulary]) as con:
        keys = config.features.counters.per
        if keys:
            _build(con, config, view, last)
        for number, key in enumerate(keys):
            table, counter = _of_key(con, config, encoder, number, key)
            tables.append(table)
            described.append(counter)
    texts = _texts(encoder, described, tables)
    fields = {
        f"{number}.arrow": written(_with_ids(encoder, name, texts[name]))
        for number, name in enumerate(encoder.fields)
    }
    counters = {
        f"{number}.arrow": written(_with_places(table, counter, texts))
        for number, (table, counter) in enumerate(zip(tables, described, strict=True))
    }
    return Snapshot(fields, counters, described)


def _build(con: Connection, config: Config, view: Lake, last: date) -> None:
    """Create the counters' tables as the day after has them."""
    day = last + timedelta(days=1)
    past = view.relation(history(config, sorted(view.contents), day))
    needed = sorted({lake_column(part) for key in config.features.counters.per for part in key})
    moment = f"TIMESTAMP '{day_start(config, day).isoformat(sep=' ')}'"
    # With a lag counters are made for the keys that the day has: here for all that there are.
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW day_rows AS SELECT DISTINCT {', '.join(needed)}, "
        f'{moment} AS event_time, 0::TINYINT AS click, 0::TINYINT AS "convert", '
        f"DATE '{day}' AS day FROM {past}"
    )
    build_counters(con, config, past, day)


def _of_key(
    con: Connection, config: Config, encoder: Encoder, number: int, key: Sequence[str]
) -> tuple[pa.Table, Counter]:
    """A counter's encoded figures by its key, and what a key without a count has."""
    per = len(counter_columns(config)) // len(config.features.counters.per)
    names = counter_columns(config)[per * number : per * (number + 1)]
    columns = [encoder.numbers.index(name) for name in names]
    figures = ", ".join(f"x_{column} AS x{place}" for place, column in enumerate(columns))
    parts = [lake_column(part) for part in key]
    others = {lake_column(part) for each in config.features.counters.per for part in each}
    nulls = [f"NULL::VARCHAR AS {column}" for column in sorted(others - set(parts))]
    lagged = config.features.counters.lag_hours is not None
    moment = "SELECT any_value(event_time) FROM all_rows" if lagged else "SELECT NULL"
    if number == 0:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE all_rows AS SELECT event_time FROM day_rows LIMIT 1"
        )
    raw = [name for name in encoder.numbers if name not in counter_columns(config)]
    unused = [f"NULL::DOUBLE AS {identifier(name)}" for name in raw]
    found = ", ".join([counter_select(config), *unused])

    def encoded(rows: str, selected: str) -> pa.Table:
        con.execute(f"CREATE OR REPLACE TEMP VIEW day_rows AS {rows}")
        return con.sql(
            f"""
            SELECT {selected}{figures} FROM (
                SELECT *, {encoded_numbers(encoder, "numbered")} FROM (
                    SELECT day_rows.*, {found} FROM day_rows {counter_joins(config)}
                ) AS numbered
            )
            """
        ).to_arrow_table()

    at = f"({moment}) AS event_time"
    given = ", ".join([*parts, *nulls, at])
    whole = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    named = "".join(f"{part} AS k{place}, " for place, part in enumerate(parts))
    table = encoded(f"SELECT {given} FROM counter_{number} WHERE {whole}", named)
    none = ", ".join([f"NULL::VARCHAR AS {column}" for column in sorted(others)] + [at])
    unseen = encoded(f"SELECT {none}", "").to_pylist()[0]
    return table, Counter(tuple(key), tuple(columns), tuple(unseen.values()))


def _texts(
    encoder: Encoder, described: Sequence[Counter], tables: Sequence[pa.Table]
) -> dict[str, pa.Array]:
    """All texts of each field that the vocabulary or a counter knows, in order."""
    vocabulary = pq.read_table(encoder.vocabulary)
    found: dict[str, list[pa.Array]] = {}
    for name in encoder.fields:
        of_field = vocabulary.filter(pc.equal(vocabulary["field"], name))
        found[name] = [pc.drop_null(of_field["value"]).combine_chunks()]
    for counter, table in zip(described, tables, strict=True):
        for place, name in enumerate(counter.key):
            found[name].append(table[f"k{place}"].unique())
    every = {
        name: pa.concat_arrays([part.cast(pa.string()) for part in parts]).unique()
        for name, parts in found.items()
    }
    return {name: texts.take(pc.sort_indices(texts)) for name, texts in every.items()}


def _with_ids(encoder: Encoder, field: str, texts: pa.Array) -> pa.Table:
    """Texts with the ids that the encoder gives them: the vocabulary's, or a bucket."""
    vocabulary = pq.read_table(encoder.vocabulary)
    known = vocabulary.filter(
        pc.and_(pc.equal(vocabulary["field"], field), pc.is_valid(vocabulary["value"]))
    )
    values = known["value"].combine_chunks().cast(pa.string())
    place = pc.index_in(texts, value_set=values)
    ids = known["id"].combine_chunks().cast(pa.int32()).take(place)
    unknown = pc.is_null(ids)
    buckets = pa.array(
        [bucket(text, encoder.buckets) for text in texts.filter(unknown).to_pylist()], pa.int32()
    )
    return pa.table({"value": texts, "id": pc.replace_with_mask(ids, unknown, buckets)})


def _with_places(table: pa.Table, counter: Counter, texts: Mapping[str, pa.Array]) -> pa.Table:
    """A counter whose keys are places among the fields' texts, in order."""
    different = 1
    for name in counter.key:
        different *= max(1, len(texts[name]))
    if different > _MOST:
        raise BundleError(
            f"features.counters.per: {[*counter.key]} has too many possible keys to be served; "
            "leave it out, or count by fewer fields"
        )
    placed = {
        f"k{place}": pc.index_in(table[f"k{place}"], value_set=texts[name])
        for place, name in enumerate(counter.key)
    }
    figures = {name: table[name] for name in table.column_names if name.startswith("x")}
    whole = pa.table({**placed, **figures})
    return whole.sort_by([(name, "ascending") for name in placed])


def written(table: pa.Table) -> bytes:
    """Return a table as an Arrow file: the same one gives the same bytes."""
    sink = pa.BufferOutputStream()
    plain = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_file(sink, plain.schema) as writer:
        writer.write_table(plain)
    return bytes(sink.getvalue())
