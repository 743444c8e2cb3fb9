"""Propose: thresholds for triggers from stable days, at a wanted rate of false alarms."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

from driftune.config import Config
from driftune.config.triggers import Measure, Trigger, as_measured, column_kinds
from driftune.drift.triggers.measure import Asked, measured_days
from driftune.drift.triggers.stable import stable_days
from driftune.registry.ledger import Ledger

# Rows that the database holds of one reading of the lake.
_HELD = 20_000_000


@dataclass(frozen=True)
class Proposal:
    """A trigger with a threshold from stable days.

    ``days``: stable domain-days that it rests on, of an entry that needs several days in a row
    such rows of days; ``rate``: false alarms to be expected per domain-day, None where there was
    nothing to measure. ``enough``: whether there were enough days for the wanted rate.
    """

    entry: Trigger
    days: int
    rate: float | None
    enough: bool


def propose(
    config: Config,
    ledger: Ledger,
    rate: float,
    days: int,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Proposal]:
    """Thresholds for the configured triggers, or for one of each column where none is configured.

    Args:
        rate: false alarms wanted per domain-day.
        days: newest days whose decisions are looked at.
        report: told what is under way, with how much of how much is done.

    Raises:
        LedgerError: when no day was decided yet.
        ConfigError: when the lake has no column that a trigger names.
    """
    entries = config.drift.measured or usual_triggers(config)
    asked = stable_days(config, ledger, entries, days)
    values: dict[Measure, dict[tuple[str, date], float]] = {}
    names: dict[str, list[Trigger]] = {}
    for number, (each, found) in enumerate(_measured(config, asked), start=1):
        if isinstance(found, Exception):
            raise found
        names[each.windows.key] = [*each.entries]
        for measure, value in found.items():
            if value is not None:
                place = (each.windows.key, each.windows.day)
                values.setdefault(measure, {})[place] = value
        if report is not None:
            report("measuring stable days", number, len(asked))
    return [_proposal(entry, values.get(entry.measure, {}), names, rate) for entry in entries]


def usual_triggers(config: Config) -> list[Trigger]:
    """A trigger for each column that roles and features name: Jensen–Shannon distance of
    categories, Wasserstein distance of numbers.
    """
    return [
        Trigger(
            column=name,
            method="wasserstein" if as_measured(kind, "wasserstein") == kind else "jensenshannon",
            above=0.0,
        )
        for name, kind in column_kinds(config).items()
    ]


def _measured(
    config: Config, asked: Sequence[Asked]
) -> Iterator[tuple[Asked, Mapping[Measure, float | None] | Exception]]:
    """As ``measured_days``, in parts that the database has room for."""
    part: list[Asked] = []
    held = 0
    for each in asked:
        rows = sum(min(count, config.drift.sample_rows) for count in each.wanted.rows)
        if part and held + rows > _HELD:
            yield from measured_days(config, part)
            part, held = [], 0
        part.append(each)
        held += rows
    if part:
        yield from measured_days(config, part)


def _proposal(
    entry: Trigger,
    values: Mapping[tuple[str, date], float],
    names: Mapping[str, Sequence[Trigger]],
    rate: float,
) -> Proposal:
    own = {place: value for place, value in values.items() if entry in names[place[0]]}
    is_p = entry.p is not None
    strengths = [*_in_a_row({k: -v if is_p else v for k, v in own.items()}, entry.days)]
    if not strengths:
        return Proposal(entry, 0, None, False)
    strengths.sort(reverse=True)
    # The k-th largest of n values that could be exchanged with the next one is exceeded by that
    # with probability k / (n + 1) at most.
    rank = floor(rate * (len(strengths) + 1) + 1e-9)
    enough, rank = rank >= 1, max(rank, 1)
    found = abs(strengths[rank - 1])
    changed = {"p": _down(found)} if is_p else {"above": _up(found)}
    expected = rank / (len(strengths) + 1)
    return Proposal(entry.model_copy(update=changed), len(strengths), expected, enough)


def _in_a_row(values: Mapping[tuple[str, date], float], days: int) -> Iterator[float]:
    """Of each row of so many days of a domain that follow one another, the weakest value."""
    for key, day in values:
        row = [(key, date.fromordinal(day.toordinal() + later)) for later in range(days)]
        if all(place in values for place in row):
            yield min(values[place] for place in row)


def _up(value: float) -> float:
    """Rounded up to three figures."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (floor(log10(value)) - 2)
    return float(f"{ceil(value / unit - 1e-9) * unit:.3g}")


def _down(value: float) -> float:
    """Rounded down to two figures, within what a p-value may be."""
    value = min(max(value, 1e-300), 0.99)
    unit = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{max(floor(value / unit + 1e-9), 1) * unit:.2g}")
