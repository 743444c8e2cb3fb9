"""A bundle against the project: whether rows of the lake get the scores of training."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from driftune.config import Config
from driftune.errors import BundleError
from driftune.features.counters import build_counters, counter_joins, counter_select, history
from driftune.features.days import hashed
from driftune.features.encoder import (
    Encoder,
    encoded_fields,
    encoded_numbers,
    load_vocabulary,
    number_columns,
)
from driftune.features.raw import build_pasts, raw_joins, raw_select
from driftune.lake import roles
from driftune.lake.clock import day_start
from driftune.lake.duck import Connection, identifier, literal
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterBank
from driftune.project import Project
from driftune.registry.champions import champions_for, load_version
from driftune.registry.status import domain_names
from driftune.serving.manifest import Manifest
from driftune.serving.scorer import Scorer
from driftune.training.rows import Rows, from_arrow
from driftune.training.scoring import score

SAMPLE, TOLERATED = 2000, 1e-6


def check_bundle(project: Project, bundle: str | Path, rows: int = SAMPLE) -> str:
    """Score some rows of the lake's newest day with a bundle and as training does; what was seen.

    Raises:
        BundleError: in one line, when they differ, or the bundle is behind the project.
    """
    scorer = Scorer.open(bundle)
    said, view = scorer.manifest, project.lake()
    _check_state(project, said, view, bundle)
    if lost := [*said.roles.expressions, *(f"tables.{name}" for name in said.tables)]:
        return (
            f"bundle {said.bundle[:12]}: is of the project as it is; its scores are not compared, "
            f"as the lake does not hold what {lost[0]} is made of"
        )
    newest = view.days[-1]
    delivered, encoded = sample(project.config, project.served.encoder, view, newest, said, rows)
    found = scorer.score(delivered)
    bank = AdapterBank()
    for key, domain in said.domains.items():
        if domain.part is not None:
            bank.put(
                key,
                load_version(
                    project.config, project.ledger, key, domain.version, project.served.backbone
                ),
            )
    p_click, p_ctcvr = score(project.served.model, encoded, bank)
    wrong = np.abs(found["p_click"].to_numpy() - p_click)
    if said.conversions:
        wrong = np.maximum(wrong, np.abs(found["p_ctcvr"].to_numpy() - p_ctcvr))
    largest = float(wrong.max(initial=0.0))
    # A row without a score differs by NaN.
    if not largest <= TOLERATED:
        bad = ~(wrong <= TOLERATED)
        raise BundleError(
            f"{bundle}: {int(bad.sum()):,} of {len(p_click):,} rows of {newest} have other scores "
            f"than training gives them (by up to {largest:.2g}); export it again"
        )
    how = "bit for bit" if largest == 0 else f"to {largest:.1g}"
    return (
        f"bundle {said.bundle[:12]}, counters up to {said.day}: {len(p_click):,} rows of {newest} "
        f"have the scores of training {how}"
    )


def _check_state(project: Project, said: Manifest, view: Lake, bundle: str | Path) -> None:
    """See that the bundle is of this project as it is."""
    again = f"export it again: driftune export --to {bundle}"
    if said.backbone != project.served.backbone or said.encoder != (
        project.served.encoder.fingerprint
    ):
        raise BundleError(f"{bundle}: is of another model or encoder than the project's; {again}")
    if view.version(day for day in view.days if day <= said.day) != said.data:
        raise BundleError(f"{bundle}: days up to {said.day} are others in the lake now; {again}")
    names = domain_names(project.ledger) | {key: one.name for key, one in said.domains.items()}
    champions, _ = champions_for(
        project.config, project.ledger, project.served.backbone, sorted(names)
    )
    for key, name in names.items():
        serves, domain = champions[key].serves, said.domains.get(key)
        had = 0 if domain is None or domain.part is None else domain.version
        if serves != had:
            raise BundleError(
                f"{bundle}: has version {had} of {name}, and {serves} serves now; {again}"
            )


def sample(
    config: Config, encoder: Encoder, view: Lake, day: date, said: Manifest, most: int
) -> tuple[pa.Table, Rows]:
    """Rows of a day of the lake as they were delivered, and encoded with the bundle's counters.

    Ids come as the lake's text. They are drawn by a hash, the same ones every time.
    """
    # What was folded into one domain no longer says what it was called.
    folded = f"domain <> {literal(roles.OTHER_DOMAIN)}" if said.other else "true"
    with connect_within(config, [view.place, encoder.vocabulary]) as con:
        _draw(con, view, day, most, folded)
        delivered = con.sql(
            f"SELECT {', '.join(_delivered(config, said))} FROM drawn"
        ).to_arrow_table()
        return delivered, _encoded(con, config, encoder, view, said)


def encoded_sample(
    config: Config, encoder: Encoder, view: Lake, day: date, said: Manifest, most: int = SAMPLE
) -> Rows:
    """Rows of a day of the lake, encoded with the bundle's counters: of any project."""
    with connect_within(config, [view.place, encoder.vocabulary]) as con:
        _draw(con, view, day, most)
        return _encoded(con, config, encoder, view, said)


def _draw(con: Connection, view: Lake, day: date, most: int, which: str = "true") -> None:
    drawn = f"md5(concat_ws(' ', user_id, item_id, {literal(str(day))}, epoch_us(event_time)))"
    con.execute(
        f"CREATE TEMP TABLE drawn AS FROM {view.relation([day])} WHERE {which} "
        f"ORDER BY {drawn}, event_time, user_id, item_id LIMIT {most}"
    )


def _delivered(config: Config, said: Manifest) -> list[str]:
    """Select list of the delivered columns over the lake's."""
    columns, features = config.columns, config.features
    found: dict[str, str] = {}
    texts = {"user": "user_id", "item": "item_id", "category": "category", "request": "request_id"}
    read = [] if config.recommender is None else config.recommender.columns
    for name, text in texts.items():
        role = getattr(columns, name)
        if isinstance(role, str) and (name != "request" or name in read):
            found[role] = text
    for prefix, given in (("f", features.categorical), ("x", features.numerical)):
        for name, role in given.items():
            if isinstance(role, str):
                found[role] = identifier(f"{prefix}_{name}")
    for name in ("price", *features.debias, *(["position"] if "position" in read else [])):
        role = getattr(columns, name)
        if isinstance(role, str):
            found[role] = name
    if isinstance(columns.domain, list) and len(columns.domain) > 1:
        for number, part in enumerate(columns.domain, 1):
            found[part] = roles.domain_part("domain", number)
    else:
        [named] = columns.domain if isinstance(columns.domain, list) else [columns.domain]
        if isinstance(named, str):
            found[named] = "domain"
    time = columns.time
    if time.column is not None and time.unit == "timestamp" and time.format is None:
        # Pasts are those of the day after: its rows are shown then.
        shown = "event_time" if config.recommender is None else _moment(config, said)
        found[time.column] = f"timezone('UTC', {shown})"
    return [f"{text} AS {identifier(name)}" for name, text in found.items()]


def _moment(config: Config, said: Manifest) -> str:
    """The first instant of the day after the bundle's, as SQL."""
    after = said.day + timedelta(days=1)
    return f"TIMESTAMP '{day_start(config, after).isoformat(sep=' ')}'"


def _encoded(con: Connection, config: Config, encoder: Encoder, view: Lake, said: Manifest) -> Rows:
    after, moment = said.day + timedelta(days=1), _moment(config, said)
    time = config.columns.time
    timed = time.column is not None and time.unit == "timestamp" and time.format is None
    hour = "" if timed else ", 23::TINYINT AS hour"
    if timed and config.recommender is not None:
        hour = ", 0::TINYINT AS hour"
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW day_rows AS SELECT * REPLACE ({moment} AS event_time{hour}) "
        "FROM drawn"
    )
    past = view.relation(history(config, sorted(view.contents), after))
    build_counters(con, config, past, after)
    load_vocabulary(con, encoder)
    raw = [f"{text} AS {identifier(name)}" for name, text in number_columns(config).items()]
    numbered = ", ".join(part for part in [*raw, counter_select(config)] if part)
    fields, joins = encoded_fields(config, encoder)
    build_pasts(con, config, view, after)
    parts = [fields, encoded_numbers(encoder, "day_rows"), *raw_select(config)]
    encoded = ", ".join(part for part in parts if part)
    table = con.sql(
        f"""
        SELECT click, "convert", {hashed("user_id")} AS user_hash, domain_key,
               epoch_us(event_time) AS time, -1::BIGINT AS request_hash,
               position::FLOAT AS position, propensity::FLOAT AS propensity, {encoded}
        FROM (
            SELECT day_rows.*, {numbered}, day_rows.rowid_drawn AS place
            FROM (SELECT *, row_number() OVER () AS rowid_drawn FROM day_rows) AS day_rows
            {counter_joins(config)}
        ) AS day_rows {joins} {raw_joins(config)} ORDER BY place
        """
    ).to_arrow_table()
    return from_arrow(encoder, table)
