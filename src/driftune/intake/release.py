"""Releases: rows or domains of a day's quarantine let in, or the day judged again.

What was released holds for the delivery that was looked at. It is pending until a run under it has
ended. The next run or release of the day ends one that broke off, and does not take it back: its
rows may be in the lake already, and a person asked for them. Where the day is refused under it, it
is withdrawn.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from driftune.config import Config
from driftune.config.quality import DOMAIN_REFUSED, DOMAIN_RULES, RELEASABLE, ROW_RULES
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.errors import DriftuneError, SourceError
from driftune.intake.ingest import Ingested, domains_for, take_in, unchanged
from driftune.intake.stage import content_hash
from driftune.intake.turns import turn
from driftune.lake.scratch import scratch
from driftune.lake.source import Fetched, fetch
from driftune.lake.table import Lake
from driftune.owners import user_name
from driftune.quality.record import DayQuality, read_quality
from driftune.quality.released import Entry, keep, read_release
from driftune.registry.ledger import Ledger


def release_day(
    config: Config,
    ledger: Ledger,
    day: date,
    reasons: Sequence[str],
    domains: Sequence[str],
    why: str,
) -> Ingested:
    """Record a release and bring the day in again under it.

    The rows come from the day's source: when it fails, or the day is still refused, the release
    is withdrawn and the lake is as it was. Without reasons and domains the day is judged again by
    the rules of now; where it already is, nothing is recorded.

    Raises:
        DriftuneError: for a reason or domain that cannot be released, without a ``why``, or when
            the source holds another delivery than the one that was judged.
        SourceError: when the day's source is gone.
        DayRefusedError: when the day is refused all the same.
        LakeError: when another run of the day does not end, or the disk is full.
    """
    wrong = [reason for reason in reasons if reason not in RELEASABLE]
    if wrong:
        raise DriftuneError(_never(wrong[0]))
    if not why.strip():
        raise DriftuneError("--why is empty; say why the rows are good, it is kept in the audit")
    workspace = Workspace(config)
    with turn(config, day), scratch(config, day) as folder:
        before = read_release(workspace, day).entries
        judged = _judged(workspace, day)
        try:
            fetched = fetch(config, day, folder)
        except SourceError as error:
            raise _nothing(day, error) from None
        if not reasons and not domains:
            known = unchanged(config, ledger, fetched)
            if known is not None:
                return known
        else:
            # With another table of no day it is still what was looked at.
            basis = content_hash(config, fetched, domains_for(config, day))
            judged = _same_delivery(day, judged, {"", fetched.delivery}, basis)
        entry = Entry(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            by=user_name(),
            why=" ".join(why.split()),
            reasons=sorted(set(reasons)),
            domains=_refused(day, judged, domains),
            content=fetched.delivery,
            done=False,
        )
        keep(workspace, day, [*before, entry])
        return _take_in_under(config, ledger, fetched, folder, entry)


def _take_in_under(
    config: Config, ledger: Ledger, fetched: Fetched, folder: Path, entry: Entry
) -> Ingested:
    """Take the day in under a release that is written down; it is withdrawn where that fails."""
    workspace, day = Workspace(config), fetched.day
    content_before = Lake.of(config).contents.get(day)
    try:
        return take_in(config, ledger, fetched, folder)
    except BaseException as error:
        # Rows that are in the lake stay released: the next run of the day ends what broke off.
        if Lake.of(config).contents.get(day) == content_before:
            kept = read_release(workspace, day).entries
            keep(workspace, day, [other for other in kept if other != entry])
        if isinstance(error, SourceError):
            raise _nothing(day, error) from None
        raise


def _judged(workspace: Workspace, day: date) -> list[DayQuality]:
    """The records of the day, that of a refused redelivery first.

    Raises:
        DriftuneError: when there is none.
    """
    records = [read_quality(workspace, day, redelivery=beside) for beside in (True, False)]
    found = [record for record in records if record is not None]
    if not found:
        raise DriftuneError(f"{day}: was never validated; run driftune run --day {day} first")
    return found


def _same_delivery(
    day: date, judged: list[DayQuality], deliveries: Collection[str], basis: str
) -> list[DayQuality]:
    """The records of a delivery, or of the same rows by ``basis``.

    Raises:
        DriftuneError: when there is none: nobody has looked at its quarantine.
    """
    same = [record for record in judged if record.delivery in deliveries or record.basis == basis]
    if not same:
        raise DriftuneError(
            f"{day}: was delivered anew since it was judged; run driftune run --day {day}, see "
            f"driftune quarantine show {day}, then release"
        )
    return same


def _refused(day: date, judged: list[DayQuality], domains: Sequence[str]) -> list[str]:
    """Names of domains (given by name or key) that are to be let in.

    Of a day that was refused whole, those that broke a critical rule may be.

    Raises:
        DriftuneError: for one that is not refused.
    """
    found: dict[str, str] = {}
    for quality in judged:
        for row in quality.refused:
            found |= {row["domain"]: row["domain"], row["key"]: row["domain"]}
        for check in quality.checks if quality.verdict == "refused" else []:
            if check["rule"] in DOMAIN_RULES and check["severity"] == "critical":
                for name in check.get("about", ()):
                    found |= {name: name, domain_key(name): name}
    for domain in domains:
        if domain not in found:
            there = ", ".join(sorted(set(found.values()))) or "none"
            raise DriftuneError(f"{day}: domain '{domain}' is not refused; refused are: {there}")
    return sorted({found[domain] for domain in domains})


def _nothing(day: date, error: SourceError) -> SourceError:
    return SourceError(
        f"{day}: nothing was released, its rows are read from the source again: {error}"
    )


def _never(reason: str) -> str:
    can = ", ".join(RELEASABLE)
    if reason == DOMAIN_REFUSED:
        return "a refused domain is released by its name: --domain NAME"
    if reason == "domain_unknown":
        return (
            "domain_unknown cannot be released: set domains.unknown: other, or take the domain's "
            "days among the reference days"
        )
    if reason in ROW_RULES:
        return f"{reason} cannot be released: such rows cannot be encoded; what can: {can}"
    return f"'{reason}' is no reason of a rejected row that can be released; there are {can}"
