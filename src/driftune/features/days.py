"""Encoded days: each day of the lake once as ids and numbers, cached by what it came from."""

import hashlib
from datetime import date
from pathlib import Path

from driftune.checksums import is_whole, replacing_checked
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.features.counters import build_counters, counter_joins, counter_select, history
from driftune.features.encoder import (
    Encoder,
    encoded_fields,
    encoded_numbers,
    fit_vocabulary,
    load_vocabulary,
    number_columns,
    number_names,
    require_roles,
    save_encoder,
)
from driftune.features.raw import KEPT_LATER as KEPT_LATER
from driftune.features.raw import build_pasts, past_days, raw_joins, raw_select
from driftune.lake.duck import Connection, identifier, literal, one_row
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake

# Part of every encoded day's name: to be raised when the columns or their meaning change.
FORMAT = 2
# The order of a day's rows; those that are alike in all of it come in any order.
ORDER = (
    *("domain_key", "event_time", "user_id", "item_id", "click", "convert", "category", "price"),
    *("request_id", "position", "propensity"),
)


def fit_encoder(config: Config, days: list[date], folder: Path) -> Encoder:
    """Fit vocabularies and number statistics on the reference days and save them."""
    view = Lake.of(config)
    folder.mkdir(parents=True, exist_ok=True)
    fields, sizes = fit_vocabulary(config, view, days, folder / "vocabulary.parquet")
    names = number_names(config)
    with connect_within(config, [view.place]) as con:
        for day in days:
            _numbers(con, config, view, day)
            mode = "CREATE TEMP TABLE fitted AS" if day == days[0] else "INSERT INTO fitted"
            con.execute(f"{mode} SELECT {', '.join(map(identifier, names))} FROM numbered")
        # One thread: the order of a floating-point sum must not depend on the machine.
        con.execute("SET threads = 1")
        figures = ", ".join(
            f"avg({identifier(name)}), stddev_pop({identifier(name)})" for name in names
        )
        row = one_row(con, f"SELECT {figures} FROM fitted") if names else ()
    means = [round(value or 0.0, 9) for value in row[0::2]]
    scales = [round(value, 9) if value and value > 1e-6 else 1.0 for value in row[1::2]]
    return save_encoder(folder, config, fields, sizes, means, scales)


def encode_day(config: Config, encoder: Encoder, day: date, view: Lake | None = None) -> Path:
    """Encode one day, or return the file of an earlier run with the same inputs, if it is whole.

    The file holds ``c_*`` (ids), ``x_*`` (numbers), labels, hashes of user and request (−1: no
    request is named), position and propensity (null where not logged), the columns that drift
    windows and reports read, and ``r_*``, what a recommender of the user's own reads as it was
    logged; sorted by domain key and time.
    """
    view = view or Lake.of(config)
    target = encoded_path(config, encoder, day, view)
    if is_whole(target):
        return target
    require_roles(config, encoder)
    with connect_within(config, [view.place, encoder.vocabulary, target.parent]) as con:
        _numbers(con, config, view, day)
        load_vocabulary(con, encoder)
        build_pasts(con, config, view, day)
        fields, joins = encoded_fields(config, encoder)
        parts = [fields, encoded_numbers(encoder, "day_rows"), *raw_select(config)]
        encoded = ", ".join(part for part in parts if part)
        order = ", ".join(f"day_rows.{identifier(column)}" for column in ORDER)
        with replacing_checked(target) as part:
            con.execute(
                f"""
                COPY (
                    SELECT day, domain, domain_key, event_time, hour, category, price,
                           click, "convert",
                           {hashed("user_id")} AS user_hash,
                           coalesce({hashed("request_id")}, -1) AS request_hash,
                           position::FLOAT AS position, propensity::FLOAT AS propensity,
                           {encoded}
                    FROM numbered AS day_rows {joins} {raw_joins(config)}
                    ORDER BY {order}
                ) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)
                """
            )
    return target


def encoded_path(config: Config, encoder: Encoder, day: date, view: Lake) -> Path:
    """Where a day lies encoded, by all that it is made of."""
    past = history(config, sorted(view.contents), day)
    counters = config.features.counters.model_dump_json()
    made_of = f"{FORMAT} {encoder.fingerprint} {counters} {day} {view.version([day, *past])}"
    if config.recommender is not None:
        read = config.recommender.model_dump_json(include={"columns", "history"})
        made_of += f" {read} {view.version([day, *past_days(config, view, day)])}"
    name = f"{day}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.parquet"
    return Workspace(config).features / name


def _numbers(con: Connection, config: Config, view: Lake, day: date) -> None:
    """Create temp view ``numbered``: the day's rows with every raw number and counter."""
    con.execute(
        "CREATE OR REPLACE TEMP VIEW day_rows AS "
        f"FROM {view.relation([day])} UNION ALL BY NAME FROM {KEPT_LATER}"
    )
    past = history(config, sorted(view.contents), day)
    build_counters(con, config, view.relation(past) if past else None, day)
    raw = [f"{text} AS {identifier(name)}" for name, text in number_columns(config).items()]
    selected = ", ".join(part for part in [*raw, counter_select(config)] if part)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW numbered AS
        SELECT day_rows.*, {selected}
        FROM day_rows {counter_joins(config)}
        """
    )


def hashed(column: str) -> str:
    """A user's or request's hash as an SQL expression: the first 60 bits of its MD5."""
    return f"('0x' || substr(md5({column}), 1, 15))::BIGINT"
