"""Export: a domain's rows of some days as Parquet, as the lake has them and as the model does.

The columns of the lake, and beside them ``c_*``, ``x_*`` and ``r_*`` of the encoded day: each
row's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.features.days import KEPT_LATER, ORDER, encode_day, hashed
from driftune.features.encoder import (
    Encoder,
    encoded_fields,
    encoded_numbers,
    load_vocabulary,
    number_columns,
)
from driftune.features.raw import PREFIX
from driftune.io import replacing
from driftune.lake.duck import Connection, identifier, literal, one_row, parquet
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake

# Of the lake's own making.
_INNER = "_"
Interval = tuple[int, int]


def export_rows(
    config: Config,
    encoder: Encoder,
    view: Lake,
    key: str,
    days: Sequence[date],
    parts: Mapping[Path, Interval],
) -> dict[Path, int]:
    """Write a domain's rows of the days into files; returns how many rows each has.

    Rows come in the order in which training reads them: by time, then as their day has them.

    Args:
        view: the lake at one moment.
        key: the domain's.
        parts: the files, and of which interval of time (microseconds since 1970, the end not
            included) each has the rows.

    Raises:
        LakeError: when a day is not in the lake, or is damaged.
        ValueError: when an encoded day is not of the rows that the lake has.
    """
    encoded = {day: encode_day(config, encoder, day, view) for day in days}
    folders = {path.parent for path in parts}
    first, last = (bound(part[side] for part in parts.values())
                   for side, bound in ((0, min), (1, max)))  # fmt: skip
    reach = [view.place, encoder.vocabulary, *encoded.values(), *folders]
    with connect_within(config, reach) as con:
        load_vocabulary(con, encoder)
        for number, (day, file) in enumerate(encoded.items()):
            _raw(con, config, encoder, view, (day, key))
            _encoded(con, config, encoder, file, key)
            _require_same(con, day)
            mode = (
                "CREATE TEMP TABLE exported AS" if number == 0 else "INSERT INTO exported BY NAME"
            )
            con.execute(
                f"""
                {mode}
                SELECT raw.* EXCLUDE (place, tie), encoded.* EXCLUDE (place, mark),
                       {number} AS _day
                FROM raw JOIN encoded USING (place)
                WHERE epoch_us(event_time) >= {first} AND epoch_us(event_time) < {last}
                """
            )
        return {path: _write(con, path, part) for path, part in parts.items()}


def _raw(
    con: Connection, config: Config, encoder: Encoder, view: Lake, of: tuple[date, str]
) -> None:
    """Create temp table ``raw``: the domain's rows of a day, ``place`` their order among all that
    are alike, ``tie`` the first place of those that the day's order does not tell apart."""
    day, key = of
    fields, joins = encoded_fields(config, encoder)
    # What the encoded day has under the same name is the row's value as the model reads it.
    own = {name for name in view.types(con) if name.startswith(_INNER)} | set(_names(encoder))
    con.execute(
        "CREATE OR REPLACE TEMP VIEW day_rows AS "
        f"SELECT * FROM (FROM {view.whole_relation(con, [day])} UNION ALL BY NAME "
        f"FROM {KEPT_LATER}) WHERE domain_key = {literal(key)}"
    )
    names = [column[0] for column in con.execute("DESCRIBE day_rows").fetchall()]
    kept = ", ".join(f"day_rows.{identifier(name)}" for name in names if name not in own)
    order = ", ".join(f"day_rows.{identifier(column)}" for column in ORDER)
    plain = [f"{text} AS {identifier(name)}" for name, text in number_columns(config).items()]
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        SELECT {", ".join([kept, fields, *plain])}, rank() OVER (ORDER BY {order}) AS tie
        FROM day_rows {joins}
        """
    )
    numbers = _own_numbers(config, encoder)
    scaled = replace(
        encoder,
        numbers=tuple(encoder.numbers[n] for n in numbers),
        means=tuple(encoder.means[n] for n in numbers),
        scales=tuple(encoder.scales[n] for n in numbers),
    )
    read = ", ".join(["*", *([encoded_numbers(scaled, "ranked")] if numbers else [])])
    kept = ", ".join(identifier(name) for name in names if name not in own)
    alike = _alike(encoder, range(len(numbers)))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE raw AS "
        f"SELECT {kept}, tie, row_number() OVER (ORDER BY {alike}) AS place "
        f"FROM (SELECT {read} FROM ranked)"
    )


def _encoded(con: Connection, config: Config, encoder: Encoder, file: Path, key: str) -> None:
    """Create temp table ``encoded``: the same rows as the model reads them, by the same ``place``;
    ``spot`` is where the encoded day has them."""
    names = ", ".join(map(identifier, _names(encoder)))
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE found AS
        SELECT {names}, user_hash, epoch_us(event_time) AS moment,
               row_number() OVER (ORDER BY file_row_number) AS spot
        FROM {parquet(file, options="file_row_number = true")} WHERE domain_key = {literal(key)}
        """
    )
    alike = _alike(encoder, _own_numbers(config, encoder))
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE encoded AS
        SELECT {names}, spot, hash(user_hash, moment) AS mark,
               row_number() OVER (ORDER BY {alike}) AS place
        FROM found JOIN (SELECT tie, row_number() OVER (ORDER BY tie) AS spot FROM raw) USING (spot)
        """
    )


def _require_same(con: Connection, day: date) -> None:
    """See that both tables are of the same rows."""
    mark = f"hash({hashed('user_id')}, epoch_us(event_time))"
    query = (
        "SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM found), "
        f"(SELECT count(*) FROM raw JOIN encoded USING (place) WHERE {mark} = encoded.mark)"
    )
    counts = one_row(con, query)
    if len(set(counts)) != 1:
        raise ValueError(f"{day}: the encoded day does not have the rows of the lake")


def _write(con: Connection, path: Path, part: Interval) -> int:
    inside = f"epoch_us(event_time) >= {part[0]} AND epoch_us(event_time) < {part[1]}"
    with replacing(path) as file:
        con.execute(
            f"COPY (SELECT * EXCLUDE (_day, spot) FROM exported WHERE {inside} "
            f"ORDER BY event_time, _day, spot) TO {literal(str(file))} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    return int(one_row(con, f"SELECT count(*) FROM exported WHERE {inside}")[0])


def _names(encoder: Encoder) -> list[str]:
    """The encoded columns."""
    fields = [f"c_{number}" for number in range(len(encoder.fields))]
    numbers = [f"x_{number}" for number in range(len(encoder.numbers))]
    return [*fields, *numbers, *(f"{PREFIX}{name}" for name in encoder.raw)]


def _own_numbers(config: Config, encoder: Encoder) -> list[int]:
    """Which of the numbers a row has of its own; counters come from other rows."""
    own = number_columns(config)
    return [number for number, name in enumerate(encoder.numbers) if name in own]


def _alike(encoder: Encoder, numbers: Iterable[int]) -> str:
    """What tells apart rows that the day's order does not, as the model reads them."""
    fields = [f"c_{number}" for number in range(len(encoder.fields))]
    return ", ".join(["tie", *fields, *(f"x_{number}" for number in numbers)])
