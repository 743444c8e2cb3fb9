"""Scores of a day's rows by the champions, what they replaced, and the frozen base."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.features.days import encode_day
from driftune.features.encoder import Encoder
from driftune.lake.duck import connect, parquet
from driftune.models.adapters import AdapterBank
from driftune.models.recommender import Recommender
from driftune.registry.ledger import BASE
from driftune.training.rows import Rows, columns, from_arrow
from driftune.training.scoring import score

log = logging.getLogger("driftune")
# Rows that are held in memory at once, unless one domain has more.
BATCH = 1 << 20


@dataclass(frozen=True)
class Scored:
    """A domain's rows of a day: labels and user ids (n,), and scores (n,) by version."""

    labels: np.ndarray
    users: np.ndarray
    scores: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Contest:
    """Who is compared in a domain: the champion's version and the one that it replaced, if any."""

    key: str
    champion: int
    previous: int | None


def score_day(
    config: Config,
    encoder: Encoder,
    model: Recommender,
    day: date,
    contests: Sequence[Contest],
    champions: AdapterBank,
    previous: AdapterBank,
) -> Iterator[tuple[Contest, Scored]]:
    """Score all rows that the domains have on the day, once per model; domains without any: none.

    The labels are those of the gate's metric.
    """
    of_key = {contest.key: contest for contest in contests}
    encoded = encode_day(config, encoder, day)
    for keys in _batches(encoded, list(of_key)):
        rows = _rows(encoder, encoded, keys)
        base = _metric(config, rows, model, None)
        champion = _metric(config, rows, model, champions)
        again = np.isin(rows.domain_key, [key for key in keys if of_key[key].previous])
        before = np.full(len(rows), np.nan)
        if again.any():
            before[again] = _metric(config, rows.take(again), model, previous)
        labels = rows.click.numpy()
        if config.gate.metric == "ctcvr_auc":
            labels = labels * rows.convert.numpy()
        for key in keys:
            contest, own = of_key[key], rows.domain_key == key
            scores = {BASE: base[own], contest.champion: champion[own]}
            if contest.previous:
                scores[contest.previous] = before[own]
            yield contest, Scored(labels[own], rows.user[own], scores)


def score_each(
    config: Config,
    encoder: Encoder,
    model: Recommender,
    day: date,
    contests: Sequence[Contest],
    champions: AdapterBank,
    previous: AdapterBank,
) -> Iterator[tuple[Contest, Scored | Exception]]:
    """As ``score_day``; what fails for one domain is its error, in the place of its scores."""
    left = {contest.key: contest for contest in contests}
    try:
        for contest, scored in score_day(
            config, encoder, model, day, contests, champions, previous
        ):
            del left[contest.key]
            yield contest, scored
        return
    except Exception as error:
        log.debug("%s: champions are scored one by one: %s", day, error, exc_info=error)
    for key, contest in left.items():
        banks = champions.alone(key), previous.alone(key)
        try:
            yield from list(score_day(config, encoder, model, day, [contest], *banks))
        except Exception as error:
            yield contest, error


def _metric(config: Config, rows: Rows, model: Recommender, bank: AdapterBank | None) -> np.ndarray:
    p_click, p_ctcvr = score(model, rows, bank)
    return p_ctcvr if config.gate.metric == "ctcvr_auc" else p_click


def _batches(encoded: Path, keys: list[str]) -> list[list[str]]:
    """The keys that have rows, in groups that fit in memory."""
    with connect(reach=[encoded]) as con:
        counts = con.execute(
            f"SELECT domain_key, count(*) FROM {parquet(encoded)} "
            "WHERE domain_key IN (SELECT unnest(?)) GROUP BY 1 ORDER BY 1",
            [keys],
        ).fetchall()
    found: list[list[str]] = []
    held = 0
    for key, count in counts:
        if not found or held + count > BATCH:
            found.append([])
            held = 0
        found[-1].append(key)
        held += count
    return found


def _rows(encoder: Encoder, encoded: Path, keys: list[str]) -> Rows:
    numbered = parquet(encoded, options="file_row_number = true")
    with connect(reach=[encoded]) as con:
        table = con.sql(
            f"SELECT {columns(encoder)} FROM {numbered} "
            "WHERE domain_key IN (SELECT unnest(?)) ORDER BY file_row_number",
            params=[keys],
        ).to_arrow_table()
    return from_arrow(encoder, table)
