"""Windows: which days each domain is compared with, and what the windows hold.

Every domain that is known has windows, also one without an impression on the day: see
``references`` for the days of its reference, and ``problem`` for what keeps one from being drawn.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from driftune.checksums import is_damaged
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.cells import FIRST, MOST, NEW, NONE
from driftune.drift.compare import Windows
from driftune.drift.counts import Counted, read_counts, write_counts
from driftune.drift.domains import DayDomains, day_domains
from driftune.drift.drawing import Drawing
from driftune.drift.giving_way import to_replace
from driftune.drift.partitions import declared_names
from driftune.drift.problem import Problem, fault
from driftune.drift.profiles import Profile, Profiler, Served, whole
from driftune.drift.references import (
    confirmed_first,
    later_days,
    served_by,
    settled_days,
    trained_days,
)
from driftune.drift.triggers.columns import lake_columns
from driftune.errors import DriftuneError, LedgerBusyError, LedgerError
from driftune.features.encoder import Encoder
from driftune.intake.erasures import check_erasures
from driftune.intake.lost import check_days
from driftune.io import read_json, write_sealed
from driftune.lake.duck import connect, parquet
from driftune.lake.table import Lake
from driftune.models.backbone import trained_until
from driftune.models.recommender import Recommender
from driftune.registry.champions import Champion, champions_for
from driftune.registry.decision_queries import decision_ids
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.redeciding import decisions_made, standing_decisions
from driftune.registry.rows import DayRecord
from driftune.training.pretrain import backbone_folder, load_item_groups, load_model

log = logging.getLogger("driftune")
# Domains that a line of the log names.
NAMED = 3


@dataclass(frozen=True)
class DomainWindow:
    """A domain's windows of a day, as plain values: ``settled`` are the reference days that the
    champion's predictions can be compared with, ``hours`` those of the day with impressions,
    ``problem`` says why nothing was drawn, if so. The decision is the ``number``-th of the domain,
    day, revision and backbone, and takes the place of the one that ``replaces`` names, if any.
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
    problem: Problem | None = None
    number: int = 1
    replaces: str | None = None

    @classmethod
    def of_decision(cls, row: Decision, hours: int = 24, number: int = 1) -> "DomainWindow":
        """The windows that a decision was made by; no decision keeps its ``hours``."""
        return cls(
            domain=row.domain,
            key=row.domain_key,
            day=date.fromisoformat(row.day),
            revision=row.revision,
            backbone=row.backbone,
            champion=row.champion_version,
            reference=list(row.scores.reference),
            settled=list(row.scores.settled),
            hours=hours,
            data_version=row.data_version,
            number=number,
        )

    @property
    def decision_id(self) -> str:
        """The decision's id: one per domain, day, revision of the day, backbone and ``number``."""
        return decision_id(self.day, self.key, self.revision, self.backbone, self.number)


def decision_id(day: date, key: str, revision: int, backbone: str, number: int = 1) -> str:
    """The id of a decision about a domain (key) on a day in its revision: the first, or the
    ``number``-th that took the place of one before it.
    """
    made_again = f".{number}" if number > 1 else ""
    return f"{day}.{key}.r{revision}.{backbone[:8]}{made_again}"


def require_decidable(config: Config, ledger: Ledger, day: date) -> None:
    """See that nothing which all domains share keeps a day from being decided.

    Raises:
        LedgerError: when the day was not ingested.
        LakeError: when the lake has lost a day that the windows rest on, or an erasure.
        ConfigError: when a trigger names a column that the lake has not.
        Exception: what the model's files cannot be read with.
    """
    _opened(config, ledger, day)


def _opened(
    config: Config, ledger: Ledger, day: date
) -> tuple[DayRecord, tuple[Encoder, Recommender, str]]:
    """The day's record, and the model, once nothing speaks against deciding the day."""
    record = ledger.day(day)
    if record is None:
        raise LedgerError(f"{day} is not in the lake; run driftune run --day {day}")
    model = load_model(config)
    check_days(config, ledger, day)
    check_erasures(config, ledger)
    if config.drift.measured:
        lake_columns(config, Lake.of(config), config.drift.measured)
    return record, model


def draw_windows(
    config: Config, ledger: Ledger, day: date, *, again: bool = False
) -> list[DomainWindow]:
    """Draw the windows of the domains that are known on the day, unless all have their decision.

    Domains are judged together, so that either all are drawn or none. Those whose champion was
    trained on the day itself, or on later ones, get none but that of the decision that they have.
    What fails for a domain alone is the problem of its window. ``again``: decisions that give way
    count as none (see ``giving_way.to_replace``).

    Raises:
        LedgerError: when the day was not ingested.
        LakeError: when the lake has lost a day that the windows rest on, or an erasure.
        Exception: what the drawing of every domain has failed with.
    """
    record, (encoder, model, backbone) = _opened(config, ledger, day)
    view = Lake.of(config)
    known = day_domains(config, ledger, view, day)
    champions, bank = champions_for(config, ledger, backbone, list(known.names))
    # A day that the champion was trained on, or one before, says nothing about drift since.
    judged = {key: each for key, each in champions.items() if day > max(each.reference)}
    _tell_later(day, [known.names[key] for key in champions if key not in judged])
    revision = record.revision
    made = decisions_made(ledger, day, revision, backbone)
    replaced = to_replace(config, ledger, record, backbone, judged) if again else {}
    numbers = {key: made.get(key, 1) + (key in replaced) for key in judged}
    wanted = {key: decision_id(day, key, revision, backbone, each) for key, each in numbers.items()}
    decided = decision_ids(ledger, day)
    if set(wanted.values()) <= decided:
        return []
    present = {key: each for key, each in judged.items() if key not in known.problems}
    served, faults = _served(config, ledger, present, backbone)
    groups = load_item_groups(config, encoder, backbone)
    drawing = Drawing(Profiler(config, encoder, model, bank, view, served, groups), faults=faults)
    references = _draw(config, ledger, drawing, present, day, backbone)
    kept = {key for key, each in wanted.items() if each in decided}
    kept |= (made.keys() - judged.keys()) | (replaced.keys() & drawing.faults.keys())
    _write_windows(config, drawing, day, staying=kept)
    drawn = [
        DomainWindow(
            domain=known.names[key],
            key=key,
            day=day,
            revision=revision,
            backbone=backbone,
            champion=champion.serves,
            reference=reference,
            settled=settled_days(config, champion, reference),
            hours=known.hours,
            data_version=view.version([day, *reference]),
            problem=_problem(known, drawing, key),
            number=numbers[key],
            replaces=replaced.get(key),
        )
        for key, champion in judged.items()
        for reference in [references.get(key, [])]
    ]
    standing = standing_decisions(ledger, day, revision, backbone)
    return [*drawn, *_as_compared(standing, judged, made, known.hours)]


def _as_compared(
    standing: Mapping[str, Decision],
    judged: Collection[str],
    made: Mapping[str, int],
    hours: int,
) -> list[DomainWindow]:
    """The windows of decisions that stand though another champion serves their domains by now.

    They are measured as they were, so that domains that are decided later, after an error, are
    judged among as many others as they would have been with them.
    """
    return [
        DomainWindow.of_decision(row, hours, made[key])
        for key, row in ((key, row.readable()) for key, row in standing.items())
        if key not in judged and row.score is not None
    ]


def _problem(known: DayDomains, drawing: Drawing, key: str) -> Problem | None:
    """Why a domain (key) has no windows, if so."""
    if key in drawing.faults:
        return fault(known.names[key], "its windows cannot be drawn", drawing.faults[key])
    return known.problems.get(key)


def _tell_later(day: date, names: Sequence[str]) -> None:
    """Say in the log which domains the day is too early for."""
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        log.info(
            "%s is not decided for %s%s: the champion was trained on it or on later days",
            day,
            ", ".join(names[:NAMED]),
            more,
        )


def _served(
    config: Config, ledger: Ledger, champions: Mapping[str, Champion], backbone: str
) -> tuple[dict[str, Served], dict[str, Exception]]:
    """Who serves each domain, and the errors of those of which the ledger's record is damaged."""
    served, faults = dict[str, Served](), dict[str, Exception]()
    # The card names every domain: it is read once for all.
    base_until = trained_until(backbone_folder(config))
    for key, champion in champions.items():
        try:
            served[key] = served_by(ledger, key, champion, backbone, base_until)
        except LedgerBusyError:
            raise
        except LedgerError as error:
            faults[key] = error
    return served, faults


def _draw(
    config: Config,
    ledger: Ledger,
    drawing: Drawing,
    champions: Mapping[str, Champion],
    day: date,
    backbone: str,
) -> dict[str, list[date]]:
    """Draw the day and the references of the domains with rows; returns each one's reference.

    Raises:
        Exception: what the drawing of every domain has failed with.
    """
    wanted: dict[date, list[str]] = defaultdict(list)
    held = drawing.profiler.lake.contents
    confirmed = confirmed_first(config, ledger, champions, held, backbone, day)
    trained = {key: trained_days(config, champion) for key, champion in champions.items()}
    for key, days in trained.items():
        for each in (day, *days):
            wanted[each].append(key)
    drawing.draw(wanted)
    wanted, later = defaultdict(list), dict[str, list[date]]()
    for key, champion in champions.items():
        since = confirmed.get((key, champion.serves), [])
        since = [each for each in since if each in held]
        later[key] = later_days(config, champion, drawing.days_of(key, trained[key]), since)
        for each in later[key]:
            wanted[each].append(key)
    drawing.draw(wanted)
    if champions and drawing.faults.keys() >= champions.keys():
        raise next(iter(drawing.faults.values()))
    return {key: drawing.days_of(key, [*trained[key], *later[key]]) for key in champions}


def windows_path(config: Config, day: date) -> Path:
    """Where the day's windows lie: the very counts that were compared."""
    return Workspace(config).home / "drift" / f"{day}" / "windows.parquet"


def read_profiles(config: Config, window: DomainWindow) -> dict[date, Profile]:
    """What a domain's windows hold, by day: of the day itself and of its reference.

    Raises:
        DriftuneError: when their file is damaged.
    """
    return profiles_of(config, [window])[window.key]


def profiles_of(config: Config, windows: Sequence[DomainWindow]) -> dict[str, dict[date, Profile]]:
    """As ``read_profiles``, of several domains of one day, by key: their file is read once.

    Raises:
        DriftuneError: when their file is damaged.
    """
    held: dict[str, dict[date, Profile]] = {window.key: {} for window in windows}
    for day in {window.day for window in windows}:
        path = windows_path(config, day)
        if is_damaged(path):
            raise DriftuneError(f"{path}: is damaged; run driftune run --day {day} again")
        own = {window.key: window for window in windows if window.day == day}
        found = {(key, label): parts for key, label, parts in read_counts(path, own)}
        for key, window in own.items():
            for each in (day, *window.reference):
                if (key, each.isoformat()) in found:
                    held[key][each] = Profile(whole(found[key, each.isoformat()]))
    return held


def compared(config: Config, window: DomainWindow, held: Mapping[date, Profile]) -> Windows:
    """The domain's windows as signals compare them; ``held``: as ``read_profiles`` has them."""
    return Windows(
        key=window.key,
        day=window.day,
        current=held[window.day],
        reference={day: profile for day, profile in held.items() if day != window.day},
        settled=frozenset(window.settled),
        weekday_days=config.drift.weekday_days,
        top_categories=config.drift.top_categories,
        min_rows=config.drift.min_rows,
        seed=config.seed,
        lacking=lacking_roles(config),
        partitions=declared_names(config.features.categorical, config.features.numerical),
    )


def lacking_roles(config: Config) -> frozenset[str]:
    """The roles that signals need and the log has not."""
    columns = config.columns
    given = {"category": columns.category, "price": columns.price}
    return frozenset(name for name, role in given.items() if role is None)


def read_windows(config: Config, window: DomainWindow) -> Windows | None:
    """What a domain's windows hold; None when the day or its reference holds nothing."""
    held = read_profiles(config, window)
    if window.day not in held or len(held) < 2:
        return None
    return compared(config, window, held)


def category_names(config: Config, day: date) -> dict[int, str]:
    """The names of the category cells of the day's windows; those of groups of items where the
    log gives no category.

    Raises:
        DriftuneError: when their file is damaged.
    """
    path = windows_path(config, day).with_name("categories.json")
    try:
        found = read_json(path)
    except ValueError:
        raise DriftuneError(f"{path}: is damaged; run driftune run --day {day} again") from None
    names = found["names"] if isinstance(found, dict) else found
    cells = {FIRST + place: str(name) for place, name in enumerate(names)}
    if config.columns.category is None:
        return {**cells, NONE: "no item", NEW: "new items", FIRST + MOST: "other items"}
    return {**cells, NONE: "no category", NEW: "new categories", FIRST + MOST: "other categories"}


def _write_windows(config: Config, drawing: Drawing, day: date, staying: Collection[str]) -> None:
    """Write what was drawn; the windows of decisions that stay (keys) stay with them."""
    path = windows_path(config, day)
    held: list[Counted] = []
    if staying and path.exists() and not is_damaged(path):
        held = [each for each in read_counts(path) if each.key in staying]
    theirs = {each.key for each in held}
    groups = drawing.profiler.groups
    names = _categories(drawing.profiler.encoder) if groups is None else groups.names[:MOST]
    write_sealed(path.with_name("categories.json"), {"names": list(names)})
    write_counts(
        path,
        held
        + [
            Counted(key, each.isoformat(), profile.parts)
            for (key, each), profile in drawing.profiles.items()
            if key not in drawing.faults and key not in theirs
        ],
    )


def _categories(encoder: Encoder) -> list[str]:
    with connect(reach=[encoder.vocabulary]) as con:
        found = con.execute(
            f"SELECT value FROM {parquet(encoder.vocabulary)} "
            f"WHERE field = 'category' ORDER BY id LIMIT {MOST}"
        ).fetchall()
    return [value for (value,) in found]
