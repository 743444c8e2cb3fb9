"""Groups: which of a day's decisions are adapted together, and where."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from driftune.adaptation.domain_rows import touching
from driftune.adaptation.split import span
from driftune.config import Config
from driftune.config.runner import UNITS
from driftune.lake.duck import connect, literal
from driftune.lake.table import Lake
from driftune.registry.records import Decision

# Of a row while its domain is trained: ids, numbers and keys, what is kept below the adapters.
ROW_BYTES = 4096


def trained_together(config: Config) -> bool:
    """Whether decisions may share a training; a job of the user's own gets one at a time.

    The one place that says so; where it is false, each decision is a group of its own.
    """
    return config.adapter.trainer is None


def rows_of(config: Config, decisions: Sequence[Decision]) -> dict[str, int]:
    """How many rows of the lake each decision's adaptation reads at most, by its id.

    Raises:
        LakeError: when the lake's log cannot be read.
    """
    view, spans = Lake.of(config), {}
    for row in decisions:
        spans[row.id] = span(config, date.fromisoformat(row.day), row.scores.since)
    if not spans:
        return {}
    begins, ends = min(b for b, _ in spans.values()), max(e for _, e in spans.values())
    days = touching(config, view.contents, begins, ends)
    keys = sorted({row.domain_key for row in decisions})
    if not days:
        return dict.fromkeys(spans, 0)
    with connect(reach=[view.place]) as con:
        counted = con.execute(
            f"SELECT domain_key, day, count(*) FROM {view.relation(days)} "
            f"WHERE domain_key IN ({', '.join(map(literal, keys))}) GROUP BY ALL"
        ).fetchall()
    found = dict.fromkeys(spans, 0)
    for row in decisions:
        inside = {each.isoformat() for each in touching(config, days, *spans[row.id])}
        found[row.id] = sum(
            n for key, day, n in counted if key == row.domain_key and str(day) in inside
        )
    return found


def deal(rows: Mapping[str, int], workers: int, most: int) -> list[list[list[str]]]:
    """Deal decisions to workers by their rows: for each worker its groups, one after the other.

    The largest first, each to the worker with the fewest rows so far; equal ones by their ids. A
    group has at most ``most`` rows, or is one decision. Workers without any are left out.
    """
    hands: list[list[str]] = [[] for _ in range(max(1, workers))]
    held = np.zeros(len(hands), dtype=np.int64)
    for decision_id in sorted(rows, key=lambda each: (-rows[each], each)):
        worker = int(held.argmin())
        hands[worker].append(decision_id)
        held[worker] += rows[decision_id]
    return [_groups(rows, hand, most) for hand in hands if hand]


def _groups(rows: Mapping[str, int], hand: Sequence[str], most: int) -> list[list[str]]:
    groups: list[list[str]] = []
    total = 0
    for decision_id in hand:
        if not groups or total + rows[decision_id] > most:
            groups.append([])
            total = 0
        groups[-1].append(decision_id)
        total += rows[decision_id]
    return groups


def most_rows(config: Config, workers: int) -> int:
    """Rows that one of so many workers holds at once: ``resources.memory`` is that of all."""
    if not trained_together(config):
        return 0
    memory = config.resources.memory
    held = float(memory[:-2]) * UNITS[memory[-2:]]
    return max(1, int(held / ROW_BYTES / max(1, workers)))
