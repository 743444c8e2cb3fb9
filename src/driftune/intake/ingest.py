"""One day from its source into the lake: the calls in their order, without orchestration."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError, LakeError, SourceError
from driftune.intake.columns import read_columns, record_columns
from driftune.intake.commit import commit
from driftune.intake.erasures import check_erasures
from driftune.intake.lost import check_days
from driftune.intake.negatives import Drawn, draw
from driftune.intake.stage import content_hash, stage
from driftune.intake.turns import turn
from driftune.io import write_json
from driftune.lake.duck import connect, first_line, is_out_of_room
from driftune.lake.scratch import scratch
from driftune.lake.source import Fetched, fetch
from driftune.lake.suppressed import erased_meanwhile, read_suppressed, unless_erased
from driftune.lake.table import Lake, short_hash
from driftune.quality.check import Check
from driftune.quality.checkpoint import Checkpoint, validate
from driftune.quality.day_profile import read_profile, write_profile
from driftune.quality.quarantine import write_quarantine
from driftune.quality.record import DayQuality, read_quality, record_quality
from driftune.quality.refusal import refusal
from driftune.quality.released import finish, read_release, rules_hash, withdraw
from driftune.quality.staged import Staged, within_reach
from driftune.registry.ledger import Ledger
from driftune.registry.rows import DayRecord

log = logging.getLogger("driftune")


@dataclass(frozen=True)
class Ingested:
    """The day's quality, its revision, and whether this call changed the rows in the lake."""

    quality: DayQuality
    revision: int
    changed: bool


def is_judged(config: Config, fetched: Fetched, quality: DayQuality, *, again: bool = True) -> bool:
    """Whether a record is of this delivery, and judged by the rules and releases of now.

    Without ``again`` the rules do not matter.
    """
    wanted = content_hash(config, fetched, domains_for(config, fetched.day))
    every = read_release(Workspace(config), fetched.day)
    released = every.of(fetched.delivery)
    if all(entry.done for entry in released.entries):
        # A table of no day that changed since lets the day be, with what was released of it.
        released = every.of(quality.delivery or fetched.delivery)
    if quality.rules:
        alike = not again or quality.rules == rules_hash(config, released)
        return quality.basis == wanted and alike
    # Records of old do not say by which rules they were made.
    content = read_suppressed(config).content(fetched.day, wanted)
    return quality.content_hash == content and not released.entries


def domains_for(config: Config, day: date, opened: Path | None = None) -> list[str] | None:
    """Domains that count as known on ``day``; None on reference days, where all do.

    ``opened``: a database that is open in this process and may read the lake.
    """
    days = config.reference.days
    if day in days:
        return None
    view = Lake.of(config)
    with connect(opened, reach=[view.place]) as con:
        rows = con.execute(
            f"SELECT DISTINCT domain FROM {view.relation(days)} ORDER BY domain"
        ).fetchall()
    return [name for (name,) in rows]


def unchanged(
    config: Config, ledger: Ledger, fetched: Fetched, *, again: bool = True
) -> Ingested | None:
    """The day's earlier result when it is of exactly this delivery and still stands, else None.

    It stands when lake and ledger hold its rows and, with ``again``, when it was judged by the
    rules of now. A redelivery that was refused in between is withdrawn then.

    Raises:
        LakeError: when list, ledger and lake do not agree on who was erased.
    """
    check_erasures(config, ledger)
    workspace, day = Workspace(config), fetched.day
    row, quality = ledger.day(day), read_quality(workspace, day)
    if row is None or quality is None or row.content_hash != quality.content_hash:
        return None
    if not _is_stored(config, row) or not _has_records(config, day):
        return None
    if not is_judged(config, fetched, quality, again=again):
        return None
    _withdraw_redelivery(workspace, day)
    if again:
        for delivery in {quality.delivery, fetched.delivery}:
            finish(workspace, day, delivery)
    # A run that was killed after its commit has announced nothing.
    _announce_refused_domains(ledger, quality, row.revision)
    return Ingested(quality, row.revision, changed=False)


def held(
    config: Config, ledger: Ledger, fetched: Fetched, *, again: bool = True
) -> Ingested | None:
    """``unchanged``, and where the day has to be taken in, whether the lake is fit for that.

    Raises:
        LakeError: when the lake has lost a day that this one is compared with.
    """
    known = unchanged(config, ledger, fetched, again=again)
    if known is None:
        check_days(config, ledger, fetched.day)
    return known


def _is_stored(config: Config, record: DayRecord) -> bool:
    """Whether the lake holds what the ledger says of a day, and its files are whole."""
    view, day = Lake.of(config), date.fromisoformat(record.day)
    if view.contents.get(day) != short_hash(record.content_hash):
        return False
    # Early releases did not count the rows of a file.
    return view.rows[day] in (0, record.rows) and view.damage(day) is None


def _has_records(config: Config, day: date) -> bool:
    """Whether what later days are compared with is whole; a day of an early release has none."""
    try:
        read_profile(Workspace(config), day)
        read_columns(config, day)
    except LakeError:
        return False
    return True


def check(config: Config, staged: Staged) -> DayQuality:
    """Validate a staged day: checkpoint, Data Docs record, quarantine, quality record.

    The records of an accepted delivery stay when a later one is refused, whose own lie beside.

    Raises:
        SourceError: when the day's files changed meanwhile.
        LakeError: when the records cannot be written.
    """
    try:
        # Kept open, for all that looks at the staged day to join it.
        with connect(staged.database, reach=staged.reach, memory=config.resources.memory):
            return _checked(config, staged)
    except (OSError, duckdb.Error) as error:
        staged.fetched.check_unchanged()
        home = Workspace(config).home
        remedy = f"make room in {home}" if is_out_of_room(error) else f"see to {home} and its files"
        raise LakeError(
            f"{staged.day}: its validation cannot be computed or kept ({first_line(error)}); "
            f"the lake is unchanged; {remedy}, then run the day again"
        ) from None


def _checked(config: Config, staged: Staged) -> DayQuality:
    workspace, day = Workspace(config), staged.day
    released = read_release(workspace, day)
    if others := len(released.entries) - len(staged.released.entries):
        log.warning(
            "%s: %d release%s of another delivery hold%s no more; see driftune quarantine show %s",
            *(day, others, "" if others == 1 else "s", "s" if others == 1 else "", day),
        )
    checkpoint = validate(config, staged)
    changed = [
        Check(change.rule, severity, change.sentence, False, change.rows, None)
        for change in staged.evolution.changes
        if (severity := config.quality.severity_of(change.rule)) != "off"
    ]
    checkpoint = replace(checkpoint, checks=(*checkpoint.checks, *changed, *_empty(staged)))
    with unless_erased(config, day, staged.erased.state):
        return _recorded(config, staged, checkpoint)


def _recorded(config: Config, staged: Staged, checkpoint: Checkpoint) -> DayQuality:
    workspace, day = Workspace(config), staged.day
    accepted = read_quality(workspace, day)
    beside = (
        checkpoint.verdict == "refused" and accepted is not None and accepted.verdict != "refused"
    )
    if not beside:
        _withdraw_redelivery(workspace, day)
    write_json(workspace.docs_record(day, redelivery=beside), checkpoint.docs)
    write_quarantine(staged, workspace.quarantine(day, redelivery=beside))
    if checkpoint.verdict != "refused":
        write_profile(workspace, checkpoint.judged.profile)
    target = workspace.quality(day, redelivery=beside)
    found = draw(config, staged) if checkpoint.verdict != "refused" else Drawn()
    checkpoint = replace(checkpoint, checks=(*checkpoint.checks, *_fewer(config, found)))
    rules = rules_hash(config, staged.released)
    return record_quality(staged, checkpoint, target, rules, found.domains, found.source)


def _empty(staged: Staged) -> list[Check]:
    """The check that a day without an accepted row breaks, whatever the limits in params.yaml: it
    would take the place of rows that can be learnt from."""
    with connect(staged.database, reach=staged.reach) as con:
        if con.execute("SELECT 1 FROM tally WHERE NOT rejected LIMIT 1").fetchall():
            return []
    sentence = "At least one row is accepted."
    return [Check("no_rows", "critical", sentence, False, staged.rows, None)]


def _fewer(config: Config, found: Drawn) -> list[Check]:
    """The check that clicks without enough drawn rows break, where any are drawn."""
    severity = config.quality.severity_of("negatives_fewer")
    if config.negatives is None or not found.source or severity == "off":
        return []
    with_item = ", ".join(["category", "price", *found.columns])
    sentence = (
        f"Every click has {config.negatives.per_positive} rows drawn for it; with their item come "
        f"{with_item}."
    )
    return [Check("negatives_fewer", severity, sentence, not found.fewer, found.fewer, None)]


def _withdraw_redelivery(workspace: Workspace, day: date) -> None:
    for path in (workspace.quality, workspace.docs_record, workspace.quarantine):
        path(day, redelivery=True).unlink(missing_ok=True)


def commit_day(config: Config, ledger: Ledger, staged: Staged, quality: DayQuality) -> Ingested:
    """Commit an accepted day to lake and ledger, and end the releases that it was judged under.

    Judged again with the same rows accepted, it keeps its revision.

    Raises:
        DayRefusedError: when a critical rule is broken; nothing has changed then, and releases
            that no run has ended are withdrawn.
        SourceUnavailableError: when users were erased meanwhile.
    """
    workspace, day = Workspace(config), staged.day
    if check_erasures(config, ledger).state != staged.erased.state:
        raise erased_meanwhile(day)
    if quality.verdict == "refused":
        ledger.announce(
            "refused_day",
            f"{day}.{staged.content_hash}",
            day=f"{day}",
            problems=list(quality.problems()),
        )
        beside = workspace.quality(day, redelivery=True)
        dropped = withdraw(workspace, day, staged.fetched.delivery)
        names = ", ".join(entry.names for entry in dropped)
        raise DayRefusedError(
            f"{day}: refused, the lake is unchanged: "
            f"{'; '.join(refusal(config, staged, quality))}; "
            f"see {beside if beside.exists() else workspace.quality(day)}"
            + (f"; the release ({names}) is withdrawn" if dropped else "")
        )
    recorded = ledger.day(day)
    same = (
        recorded is not None
        and recorded.content_hash == quality.content_hash
        and _is_stored(config, recorded)
    )
    if recorded is not None and same:
        version = recorded.lake_version
    else:
        version = commit(config, replace(staged, content_hash=quality.content_hash))
    record_columns(config, day, staged.evolution.types)
    revision = ledger.record_day(
        day,
        content_hash=quality.content_hash,
        lake_version=version,
        rows=quality.held,
        rejected=quality.rejected,
        verdict=quality.verdict,
    )
    finish(workspace, day, staged.fetched.delivery)
    trained = (workspace.model / "encoder" / "encoder.json").exists()
    if recorded is not None and not same and trained and day in config.reference.days:
        log.warning(
            "%s: is a reference day, and its content changed after pre-training, by its logs or a "
            "side table that came late; run driftune pretrain",
            day,
        )
    _announce_refused_domains(ledger, quality, revision)
    return Ingested(quality, revision, changed=not same)


def ingest(config: Config, ledger: Ledger, day: date, *, again: bool = True) -> Ingested:
    """Fetch, stage, validate and commit one day; the same content again is a no-op.

    With ``again`` the same content is judged again where the rules are others than it was judged
    by, or a release has not ended.
    """
    with turn(config, day), scratch(config, day) as folder:
        return take_in(config, ledger, fetch(config, day, folder), folder, again=again)


def take_in(
    config: Config, ledger: Ledger, fetched: Fetched, folder: Path, *, again: bool = True
) -> Ingested:
    """Take in a fetched day, as ``ingest`` does; the caller has the day's turn and scratch.

    Raises:
        LakeError: when the lake has lost a day that this one is compared with.
    """
    known = held(config, ledger, fetched, again=again)
    if known is not None:
        return known
    database = folder / "day.duckdb"
    # Kept open from here on: each step would open it anew.
    with connect(database, reach=within_reach(config, fetched, database)):
        staged = stage(config, fetched, domains_for(config, fetched.day, database), database)
        return commit_day(config, ledger, staged, check(config, staged))


def _announce_refused_domains(ledger: Ledger, quality: DayQuality, revision: int) -> None:
    """Queue a message for each domain whose rows are kept out of an accepted day."""
    for row in quality.domains:
        if row.get("verdict") == "refused":
            ledger.announce(
                "kept_out",
                f"{quality.day}.r{revision}.{row['key']}",
                domain=row["domain"],
                domain_key=row["key"],
                day=f"{quality.day}",
                rows=row["rejected"],
                reasons=row["reasons"],
            )


def ensure_reference(
    config: Config, ledger: Ledger, progress: Callable[[str, int, int], None] | None = None
) -> list[date]:
    """Bring every reference day into the lake; returns the days.

    One that is there stays as it was judged, whatever the rules of now: pre-training used it.

    Raises:
        SourceError: naming the first day whose files are missing or unusable.
    """
    days = config.reference.days
    stored = Lake.of(config).days
    for number, day in enumerate(days):
        if progress:
            progress(f"reference {day}", number, len(days))
        try:
            ingest(config, ledger, day, again=False)
        except SourceError as error:
            if day not in stored:
                raise SourceError(f"reference day {error}") from None
    return days
