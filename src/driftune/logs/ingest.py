"""One day from its source into the lake: the calls in their order, without orchestration."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import duckdb

from driftune.config import Config
from driftune.errors import DayRefusedError, LakeError, SourceError
from driftune.files import write_json
from driftune.logs.columns import Change, record_columns
from driftune.logs.commit import commit
from driftune.logs.duck import connect, first_line
from driftune.logs.lake import Lake, short_hash
from driftune.logs.scratch import scratch
from driftune.logs.source import Fetched, arrived, fetch
from driftune.logs.staging import Staged, content_hash, stage
from driftune.logs.suppressed import unless_erased
from driftune.quality.checkpoint import Check, Checkpoint, validate
from driftune.quality.profile import write_profile
from driftune.quality.quarantine import write_quarantine
from driftune.quality.record import DayQuality, read_quality, record_quality
from driftune.quality.release import read_release
from driftune.registry.ledger import Ledger
from driftune.workspace import Workspace


@dataclass(frozen=True)
class Ingested:
    """The day's quality and whether this call changed the lake."""

    quality: DayQuality
    revision: int
    changed: bool


def reference_days(config: Config) -> list[date]:
    """The days of the reference window, in order."""
    first, last = config.reference.first, config.reference.last
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def late_days(config: Config, ledger: Ledger, day: date) -> list[date]:
    """Days shortly before ``day`` that no run has taken in and whose files are there, in order.

    A day that was refused counts again when it is delivered anew.
    """
    before = (day - timedelta(days=n) for n in range(config.source.late_days, 0, -1))
    missed = [other for other in before if other > config.reference.last]
    return [
        other
        for other in missed
        if ledger.day(other) is None
        and arrived(config, other)
        and not _refused_already(config, other)
    ]


def _refused_already(config: Config, day: date) -> bool:
    quality = read_quality(Workspace(config), day)
    if quality is None or quality.verdict != "refused":
        return False
    with scratch(config, day) as folder:
        try:
            fetched = fetch(config, day, folder)
        except SourceError:
            return False
        return content_hash(config, fetched, domains_for(config, day)) == quality.content_hash


def domains_for(config: Config, day: date) -> list[str] | None:
    """Domains that count as known on ``day``; None on reference days, where all do."""
    days = reference_days(config)
    if day in days:
        return None
    with connect() as con:
        rows = con.execute(
            f"SELECT DISTINCT domain FROM {Lake.of(config).relation(days)} ORDER BY domain"
        ).fetchall()
    return [name for (name,) in rows]


def unchanged(config: Config, ledger: Ledger, fetched: Fetched) -> Ingested | None:
    """The day's earlier result when lake and ledger hold exactly this content, else None.

    A redelivery that was refused in between is withdrawn then.
    """
    wanted = content_hash(config, fetched, domains_for(config, fetched.day))
    row = ledger.day(fetched.day)
    if row is None or row.content_hash != wanted:
        return None
    view = Lake.of(config)
    if view.contents.get(fetched.day) != short_hash(wanted) or view.damage(fetched.day):
        return None
    quality = read_quality(Workspace(config), fetched.day)
    if quality is None or quality.content_hash != wanted:
        return None
    _withdraw_redelivery(Workspace(config), fetched.day)
    return Ingested(quality, row.revision, changed=False)


def check(config: Config, staged: Staged) -> DayQuality:
    """Validate a staged day: checkpoint, Data Docs record, quarantine, quality record.

    The records of an accepted delivery stay when a later one is refused, whose own lie beside.

    Raises:
        SourceError: when the day's files changed meanwhile.
        LakeError: when the records cannot be written.
    """
    try:
        return _checked(config, staged)
    except (OSError, duckdb.Error) as error:
        staged.fetched.check_unchanged()
        raise LakeError(
            f"{staged.day}: its validation cannot be kept ({first_line(error)}); the lake is "
            f"unchanged; make room in {Workspace(config).home}, then run the day again"
        ) from None


def _checked(config: Config, staged: Staged) -> DayQuality:
    day = staged.day
    checkpoint = validate(config, staged)
    changed = [
        Check(change.rule, severity, change.sentence, False, change.rows, None)
        for change in staged.evolution.changes
        if (severity := _severity(config, change)) != "off"
    ]
    checkpoint = replace(checkpoint, checks=(*checkpoint.checks, *changed))
    with unless_erased(config, day, staged.suppressed):
        return _recorded(config, staged, checkpoint)


def _recorded(config: Config, staged: Staged, checkpoint: Checkpoint) -> DayQuality:
    workspace, day = Workspace(config), staged.day
    held = read_quality(workspace, day)
    beside = checkpoint.verdict == "refused" and held is not None and held.verdict != "refused"
    if not beside:
        _withdraw_redelivery(workspace, day)
    write_json(workspace.docs_record(day, redelivery=beside), checkpoint.docs)
    write_quarantine(staged, workspace.quarantine(day, redelivery=beside))
    if checkpoint.verdict != "refused":
        write_profile(workspace, checkpoint.judged.profile)
    target = workspace.quality(day, redelivery=beside)
    return record_quality(staged, checkpoint, target, read_release(workspace, day))


def _severity(config: Config, change: Change) -> str:
    lost = change.severity == "critical"
    return change.severity if lost else config.quality.severity_of(change.rule)


def _withdraw_redelivery(workspace: Workspace, day: date) -> None:
    for path in (workspace.quality, workspace.docs_record, workspace.quarantine):
        path(day, redelivery=True).unlink(missing_ok=True)


def commit_day(config: Config, ledger: Ledger, staged: Staged, quality: DayQuality) -> Ingested:
    """Commit an accepted day to lake and ledger.

    Raises:
        DayRefusedError: when a critical rule is broken; nothing has changed then.
    """
    workspace = Workspace(config)
    if quality.verdict == "refused":
        beside = workspace.quality(quality.day, redelivery=True)
        raise DayRefusedError(
            f"{quality.day}: refused, the lake is unchanged: {'; '.join(quality.problems())}; "
            f"see {beside if beside.exists() else workspace.quality(quality.day)}"
        )
    version = commit(config, workspace.lake, staged)
    record_columns(config, staged.day, staged.evolution.types)
    revision = ledger.record_day(
        staged.day,
        content_hash=staged.content_hash,
        lake_version=version,
        rows=quality.accepted,
        rejected=quality.rejected,
        verdict=quality.verdict,
    )
    return Ingested(quality, revision, changed=True)


def ingest(config: Config, ledger: Ledger, day: date) -> Ingested:
    """Fetch, stage, validate and commit one day; the same content again is a no-op."""
    with scratch(config, day) as folder:
        fetched = fetch(config, day, folder)
        known = unchanged(config, ledger, fetched)
        if known is not None:
            return known
        staged = stage(config, fetched, domains_for(config, day), folder / "day.duckdb")
        return commit_day(config, ledger, staged, check(config, staged))


def ensure_reference(
    config: Config, ledger: Ledger, progress: Callable[[str, int, int], None] | None = None
) -> list[date]:
    """Bring every reference day into the lake; returns the days.

    Raises:
        SourceError: naming the first day whose files are missing or unusable.
    """
    days = reference_days(config)
    held = Lake.of(config).days
    for number, day in enumerate(days):
        if progress:
            progress(f"reference {day}", number, len(days))
        try:
            ingest(config, ledger, day)
        except SourceError as error:
            if day not in held:
                raise SourceError(f"reference day {error}") from None
    return days
