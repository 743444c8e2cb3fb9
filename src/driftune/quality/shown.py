"""Quarantine as a person asks for it: a day's rejected rows, counted and shown."""

from datetime import date
from typing import Any

from driftune.config import Config
from driftune.domains import domain_key
from driftune.errors import DriftuneError
from driftune.logs import roles
from driftune.logs.duck import connect, first_line, literal
from driftune.quality.record import read_quality
from driftune.quality.release import read_release
from driftune.workspace import Workspace


def quarantined(
    config: Config, day: date, reason: str | None, domain: str | None, limit: int
) -> dict[str, Any]:
    """What a day's quarantine holds: counts by reason and domain, rows as delivered, releases.

    ``rows`` are at most ``limit``, of a reason and a domain (name or key) where those are given.
    A later delivery that was refused has its own quarantine, which goes first.

    Raises:
        DriftuneError: when the day was never validated, or the quarantine cannot be read.
    """
    workspace = Workspace(config)
    beside = workspace.quality(day, redelivery=True).exists()
    quality = read_quality(workspace, day, redelivery=beside)
    if quality is None:
        raise DriftuneError(f"{day} was never validated; run driftune run --day {day}")
    wanted = [
        row
        for row in quality.rejections
        if (reason is None or row["reason"] == reason)
        and (domain is None or domain in (row["domain"], domain_key(row["domain"])))
    ]
    name = None if domain is None else (wanted[0]["domain"] if wanted else domain)
    return {
        "day": day.isoformat(),
        "verdict": quality.verdict,
        "rejected": quality.rejected,
        "refused_domains": quality.refused,
        "counts": wanted,
        "rows": _rows(config, day, beside, reason, name, limit),
        "releases": list(read_release(workspace, day).entries),
    }


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
    if domain is not None:
        where.append(f"({roles.domain_expression(config)}) = ?")
        values.append(domain)
    with connect(timezone=config.timezone) as con:
        try:
            cursor = con.execute(
                f"SELECT * FROM read_parquet({literal(str(path))}) "
                f"WHERE {' AND '.join(where)} ORDER BY _file, _row LIMIT {int(limit)}",
                values,
            )
        except Exception as error:
            raise DriftuneError(f"{path}: cannot be read ({first_line(error)})") from None
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
