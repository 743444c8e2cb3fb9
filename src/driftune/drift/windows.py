"""Windows: which days each domain is compared with, and what the windows hold.

The reference of a domain is the days that its champion was trained on and, up to a number, the
first ones since then on which it was found stable: confirmed. Later ones are not added, so that
slow drift does not move the reference along. A rejection leaves the champion and its reference as
they were, and its day confirms nothing; after a rollback the reference is that of the version now
serving, with the days that confirmed it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.cells import FIRST, MOST, NEW, NONE
from driftune.drift.compare import Windows
from driftune.drift.counts import Counted, read_counts, write_counts
from driftune.drift.profiles import Profile, Profiler, Served, whole
from driftune.drift.rules import NO_HISTORY
from driftune.errors import LedgerError
from driftune.features.encoder import Encoder
from driftune.io import read_json, write_json
from driftune.lake.duck import connect, parquet
from driftune.lake.table import Lake
from driftune.models.backbone import trained_until
from driftune.quality.record import refused_domains
from driftune.registry.champions import Champion, champions_for
from driftune.registry.decision_queries import decision_behind, decision_ids
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.past import days_served
from driftune.training.pretrain import backbone_folder, load_model

# Days that the champion's predictions are compared with at least, however young the counters.
MIN_SETTLED = 3


@dataclass(frozen=True)
class DomainWindow:
    """A domain's windows of a day, as plain values: ``settled`` are the reference days that the
    champion's predictions can be compared with, ``hours`` those of the day with impressions,
    ``refused`` says why data quality kept the domain's rows out: there is nothing to measure then.
    """

    domain: str
    key: str
    day: date
    revision: int
    backbone: str
    champion: int
    reference: list[date]
    settled: list[date]
    hours: int
    data_version: str
    refused: str | None = None

    @property
    def decision_id(self) -> str:
        """The decision's id: one per domain, day, revision of the day, and backbone."""
        return decision_id(self.day, self.key, self.revision, self.backbone)


def decision_id(day: date, key: str, revision: int, backbone: str) -> str:
    """The id of the one decision about a domain (key) on a day in its revision."""
    return f"{day}.{key}.r{revision}.{backbone[:8]}"


def draw_windows(config: Config, ledger: Ledger, day: date) -> list[DomainWindow]:
    """Draw the windows of the day's domains, unless all of them have their decision.

    Domains are judged together, so that either all are drawn or none. Those whose champion was
    trained on the day itself, or on later ones, get none.

    Raises:
        LedgerError: when the day was not ingested.
    """
    record = ledger.day(day)
    if record is None:
        raise LedgerError(f"{day} is not in the lake; run driftune run --day {day}")
    encoder, model, backbone = load_model(config)
    view = Lake.of(config)
    rows = view.relation([day])
    with connect() as con:
        domains = dict(
            con.execute(f"SELECT DISTINCT domain_key, domain FROM {rows} ORDER BY 1").fetchall()
        )
        ((hours,),) = con.execute(f"SELECT count(DISTINCT hour) FROM {rows}").fetchall()
    kept_out = refused_domains(Workspace(config), day)
    domains |= {key: name for key, (name, _) in kept_out.items()}
    champions, bank = champions_for(config, ledger, backbone, list(domains))
    confirmed = _confirmed(ledger, backbone, day)
    windows = []
    for key, domain in domains.items():
        champion = champions[key]
        # A day that the champion was trained on, or one before, says nothing about drift since.
        if day <= max(champion.reference):
            continue
        since = [each for each in confirmed[(key, champion.serves)] if each in view.contents]
        reference = reference_days(config, champion, since)
        windows.append(
            DomainWindow(
                domain=domain,
                key=key,
                day=day,
                revision=record.revision,
                backbone=backbone,
                champion=champion.serves,
                reference=reference,
                settled=_settled(config, champion, reference),
                hours=hours,
                data_version=view.version([day, *reference]),
                refused=kept_out[key][1] if key in kept_out else None,
            )
        )
    decided = decision_ids(ledger, day)
    if all(window.decision_id in decided for window in windows):
        return []
    served = _served(config, ledger, champions, backbone)
    profiler = Profiler(config, encoder, model, bank, view, served)
    _write_windows(config, profiler, day, windows)
    return windows


def reference_days(config: Config, champion: Champion, since: Sequence[date]) -> list[date]:
    """The days that a champion is measured against; ``since``: days that confirmed it."""
    most = config.drift.reference_days
    trained = sorted(champion.reference)[-most:]
    later = sorted(day for day in since if day > trained[-1])
    return [*trained, *later[: most - len(trained)]]


def windows_path(config: Config, day: date) -> Path:
    """Where the day's windows lie: the very counts that were compared."""
    return Workspace(config).home / "drift" / f"{day}" / "windows.parquet"


def read_windows(config: Config, window: DomainWindow) -> Windows | None:
    """What a domain's windows hold; None when the day or its reference holds nothing."""
    counted = read_counts(windows_path(config, window.day), window.key)
    profiles = {date.fromisoformat(each.label): Profile(whole(each.parts)) for each in counted}
    reference = {day: profiles[day] for day in window.reference if day in profiles}
    if window.day not in profiles or not reference:
        return None
    return Windows(
        key=window.key,
        day=window.day,
        current=profiles[window.day],
        reference=reference,
        settled=frozenset(window.settled),
        weekday_days=config.drift.weekday_days,
        top_categories=config.drift.top_categories,
        min_rows=config.drift.min_rows,
        seed=config.seed,
    )


def category_names(config: Config, day: date) -> dict[int, str]:
    """The names of the category cells of the day's windows."""
    names = read_json(windows_path(config, day).with_name("categories.json"))
    cells = {FIRST + place: str(name) for place, name in enumerate(names)}
    return {**cells, NONE: "no category", NEW: "new categories", FIRST + MOST: "other categories"}


def _write_windows(
    config: Config, profiler: Profiler, day: date, windows: Sequence[DomainWindow]
) -> None:
    wanted: dict[date, list[str]] = defaultdict(list)
    for window in windows:
        if window.refused is not None:
            continue
        for each in (day, *window.reference):
            wanted[each].append(window.key)
    path = windows_path(config, day)
    write_json(path.with_name("categories.json"), _categories(profiler.encoder))
    write_counts(
        path,
        [
            Counted(key, each.isoformat(), profile.parts)
            for each, keys in sorted(wanted.items())
            for key, profile in profiler.of_day(each, keys).items()
        ],
    )


def _categories(encoder: Encoder) -> list[str]:
    with connect() as con:
        found = con.execute(
            f"SELECT value FROM {parquet(encoder.vocabulary)} "
            f"WHERE field = 'category' ORDER BY id LIMIT {MOST}"
        ).fetchall()
    return [value for (value,) in found]


def _confirmed(ledger: Ledger, backbone: str, day: date) -> dict[tuple[str, int], list[date]]:
    """Days before ``day`` that confirmed the champion that served, per domain key and champion.

    Those that were found stable, and the first ones on which there was nothing to judge by: else a
    champion without history would never get one.
    """
    found: dict[tuple[str, int], list[date]] = defaultdict(list)
    for served in days_served(ledger, backbone, day):
        days = found[(served.domain_key, served.champion_version)]
        first = served.rule == NO_HISTORY and len(days) < MIN_SETTLED
        if served.state == "stable" or first:
            days.append(served.day)
    return found


def _settled(config: Config, champion: Champion, reference: Sequence[date]) -> list[date]:
    """The reference days but those on which the lake's counters were young and growing."""
    if champion.serves != BASE:
        return list(reference)
    grown = config.reference.first + timedelta(days=config.features.counters.half_life_days)
    least = max(MIN_SETTLED, -(-len(reference) // 2))
    return [
        day
        for place, day in enumerate(reference)
        if day >= grown or place >= len(reference) - least
    ]


def _served(
    config: Config, ledger: Ledger, champions: Mapping[str, Champion], backbone: str
) -> dict[str, Served]:
    base = Served(backbone[:16], trained_until(backbone_folder(config)))
    found = {}
    for key, champion in champions.items():
        if champion.serves == BASE or champion.folder is None:
            found[key] = base
            continue
        mark = f"{backbone[:16]} {champion.folder.name}"
        found[key] = Served(mark, _gate_begins(ledger, key, champion))
    return found


def _gate_begins(ledger: Ledger, key: str, champion: Champion) -> int:
    """From when on (microseconds since 1970) rows had no part in training an adapter."""
    decision = decision_behind(ledger, key, champion.serves)
    if decision is not None:
        split = None if decision.training is None else decision.training.split
        if split is not None and split.gate is not None and split.gate.first:
            return _microseconds(split.gate.first)
    # Without that record none of its days, in whatever zone, counts as unseen.
    return _microseconds((max(champion.reference) + timedelta(days=2)).isoformat())


def _microseconds(moment: str) -> int:
    return int(np.datetime64(moment, "us").astype(np.int64))
