"""Quarantine as a person asks for it: a day's rejected rows and its releases."""

from datetime import date
from typing import Any, TypedDict

from driftune.config import Config
from driftune.config.quality import DOMAIN_REFUSED, ROW_RULES
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.errors import DriftuneError
from driftune.lake import roles
from driftune.lake.duck import connect, first_line, parquet
from driftune.quality.parts import RefusedDomain, Rejection, ShownRelease
from driftune.quality.quarantine import USER
from driftune.quality.record import DayQuality, read_quality
from driftune.quality.released import read_release

IN_FORCE = "in force"
# Written down, but no run under it has ended: one that is at work, or was killed.
PENDING = "pending"
LAPSED = "of another delivery"
# Domains that an error names.
LISTED = 20


class Quarantined(TypedDict):
    """A day's quarantine: counts by reason and domain, rows as delivered, releases."""

    day: str
    verdict: str
    rejected: int
    refused_domains: list[RefusedDomain]
    counts: list[Rejection]
    rows: list[dict[str, Any]]
    releases: list[ShownRelease]


class NotThereError(DriftuneError):
    """A reason that does not exist, or a domain that the day does not have."""


def quarantined(
    config: Config, day: date, reason: str | None, domain: str | None, limit: int
) -> Quarantined:
    """What a day's quarantine holds: counts by reason and domain, rows as delivered, releases.

    ``rows`` are at most ``limit``. With a reason or a domain (name or key; empty for rows without
    one) rows, counts and refused domains are those of it alone. A later delivery that was refused
    has its own quarantine, which goes first.

    Raises:
        NotThereError: for a reason or domain that there is not.
        DriftuneError: when the day was never validated, or a record of it cannot be read.
    """
    workspace = Workspace(config)
    beside = workspace.quality(day, redelivery=True).exists()
    quality = read_quality(workspace, day, redelivery=beside)
    if quality is None:
        path = workspace.quality(day, redelivery=beside)
        what = f"{path}: is damaged" if path.exists() else f"{day}: was never validated"
        raise DriftuneError(f"{what}; run driftune run --day {day}")
    if reason is not None and reason not in (*ROW_RULES, DOMAIN_REFUSED):
        there = ", ".join((*ROW_RULES, DOMAIN_REFUSED))
        raise NotThereError(f"'{reason}' is no reason of a rejected row; there are {there}")
    name = None if domain is None else _domain(quality, domain)
    return {
        "day": day.isoformat(),
        "verdict": quality.verdict,
        "rejected": quality.rejected,
        "refused_domains": [
            row
            for row in quality.refused
            if name in (None, row["domain"]) and reason in (None, DOMAIN_REFUSED)
        ],
        "counts": [
            row
            for row in quality.rejections
            if reason in (None, row["reason"]) and name in (None, row["domain"])
        ],
        "rows": _rows(config, day, beside, reason, name, limit),
        "releases": releases(config, day),
    }


def releases(config: Config, day: date) -> list[ShownRelease]:
    """What was released of a day, oldest first, each with its ``state``.

    Raises:
        DriftuneError: when the record of releases is damaged.
    """
    workspace = Workspace(config)
    entries = read_release(workspace, day).entries
    if not entries:
        return []
    accepted, newest = (read_quality(workspace, day, redelivery=beside) for beside in (False, True))
    # What records of old are of is not known.
    known = [record.delivery for record in (accepted, newest) if record is not None]

    def state(content: str | None, done: bool) -> str:
        if content is None:
            return IN_FORCE
        if not done:
            return LAPSED if known and all(known) and content not in known else PENDING
        return IN_FORCE if accepted is None or accepted.delivery in ("", content) else LAPSED

    return [{**entry.record(), "state": state(entry.content, entry.done)} for entry in entries]


def _domain(quality: DayQuality, domain: str) -> str:
    """A domain of the day by its name or key."""
    names = {row["domain"] for row in quality.domains}
    names |= {row["domain"] for row in quality.refused}
    names |= {row["domain"] for row in quality.rejections}
    for name in sorted(names):
        if domain == name or (name and domain == domain_key(name)):
            return name
    there = sorted(names - {""})
    listed = ", ".join(there[:LISTED]) or "none"
    more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
    raise NotThereError(f"{quality.day}: has no domain '{domain}'; there are {listed}{more}")


def _rows(
    config: Config, day: date, beside: bool, reason: str | None, domain: str | None, limit: int
) -> list[dict[str, Any]]:
    path = Workspace(config).quarantine(day, redelivery=beside)
    if not path.exists() or not limit:
        return []
    where, values = ["true"], []
    if reason is not None:
        where.append("list_contains(string_split(_reasons, ', '), ?)")
        values.append(reason)
    with connect(reach=[path], timezone=config.timezone) as con:
        try:
            relation = parquet(path)
            columns = [row[0] for row in con.execute(f"DESCRIBE FROM {relation}").fetchall()]
            if domain is not None:
                # Quarantines of old do not name it.
                named = "_domain" if "_domain" in columns else roles.domain_expression(config)
                where.append(f"coalesce({named}, '') = ?")
                values.append(domain)
            shown = f"* EXCLUDE ({USER})" if USER in columns else "*"
            cursor = con.execute(
                f"SELECT {shown} FROM {relation} "
                f"WHERE {' AND '.join(where)} ORDER BY _file, _row LIMIT {int(limit)}",
                values,
            )
        except Exception as error:
            raise DriftuneError(f"{path}: cannot be read ({first_line(error)})") from None
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
