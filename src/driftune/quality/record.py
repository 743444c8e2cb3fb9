"""The quality record of a day: verdict, checks, rejected rows, counts per domain."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.io import read_json, write_sealed
from driftune.lake.duck import connect, one_row
from driftune.quality.parts import (
    CheckRecord,
    DomainRecord,
    Example,
    RefusedDomain,
    Rejection,
    ReleaseRecord,
)
from driftune.quality.quarantine import accepted_hash, count_rejected, examples
from driftune.quality.staged import Staged

if TYPE_CHECKING:
    from driftune.quality.checkpoint import Checkpoint

log = logging.getLogger("driftune")


@dataclass(frozen=True)
class DayQuality:
    """What the validation of a day found. ``verdict``: ok, warning or refused.

    ``content_hash`` is that of the accepted rows. ``refused``: the domains whose rows of the day
    are kept out, with the sentences of what they broke; ``released``: what was let in by hand.
    ``delivery`` is the hash of the files' bytes, ``basis`` that of their rows, ``rules`` of what
    they were judged by. ``drawn``: rows without a click that were drawn beside the delivered ones
    (``drawn_from``: what they were drawn from). Records of old lack these.
    """

    day: date
    content_hash: str
    verdict: str
    rows: int
    rejected: int
    checks: list[CheckRecord]
    rejections: list[Rejection]
    examples: list[Example]
    domains: list[DomainRecord]
    hours: list[int]
    refused: list[RefusedDomain] = field(default_factory=list)
    released: list[ReleaseRecord] = field(default_factory=list)
    delivery: str = ""
    basis: str = ""
    rules: str = ""
    drawn: int = 0
    drawn_from: str = ""

    @property
    def accepted(self) -> int:
        """Delivered rows that go to the lake."""
        return self.rows - self.rejected

    @property
    def held(self) -> int:
        """Rows that go to the lake, delivered and drawn ones."""
        return self.accepted + self.drawn

    def problems(self) -> list[str]:
        """The broken rules as sentences with their counts, critical ones first."""
        ordered = sorted(self.checks, key=lambda check: check["severity"] != "critical")
        broken = [check for check in ordered if not check["success"]]
        return [self.problem(check) for check in broken if check["severity"] != "info"]

    @staticmethod
    def problem(check: CheckRecord) -> str:
        """A broken rule as a sentence with its count."""
        figure = "no value"
        if check.get("detail"):
            figure = check["detail"]
        elif check["unexpected"] is not None:
            figure = f"{check['unexpected']} rows"
        elif check["observed"] is not None:
            figure = f"observed {check['observed']:.4g}"
        return f"{check['sentence'].rstrip('.')} — broken: {figure}"

    def write(self, target: Path) -> None:
        """Write the record as JSON, with its checksum; one without drawn rows is as it was."""
        unused = () if self.drawn_from else ("drawn", "drawn_from")
        values = {name: value for name, value in vars(self).items() if name not in unused}
        write_sealed(target, {**values, "day": self.day.isoformat()})


def record_quality(
    staged: Staged,
    checkpoint: "Checkpoint",
    target: Path,
    rules: str,
    drawn: Mapping[str, int],
    drawn_from: str,
) -> DayQuality:
    """Collect a delivery's figures and write its record.

    Args:
        staged: the delivery.
        checkpoint: what was found of it.
        target: the record.
        rules: the hash of what judged it.
        drawn: the rows that are drawn beside its own, by domain.
        drawn_from: what they are drawn from; empty where none are.
    """
    with connect(staged.database, reach=staged.reach) as con:
        rows, rejected = one_row(
            con, "SELECT coalesce(sum(n), 0), coalesce(sum(n) FILTER (rejected), 0) FROM tally"
        )
        domains = con.execute(
            """
            SELECT domain, coalesce(sum(n) FILTER (NOT rejected), 0),
                   coalesce(sum(n) FILTER (rejected), 0),
                   coalesce(sum(clicks) FILTER (NOT rejected), 0),
                   coalesce(sum(conversions) FILTER (NOT rejected), 0)
            FROM tally WHERE domain IS NOT NULL GROUP BY domain ORDER BY 2 DESC, 1 LIMIT 1000
            """
        ).fetchall()
        hours = con.execute(
            "SELECT DISTINCT hour FROM tally WHERE NOT rejected ORDER BY hour"
        ).fetchall()
    quality = DayQuality(
        day=staged.day,
        content_hash=staged.erased.content(staged.day, accepted_hash(staged)),
        verdict=checkpoint.verdict,
        rows=int(rows),
        rejected=int(rejected),
        checks=[check.record() for check in checkpoint.checks],
        rejections=count_rejected(staged),
        examples=examples(staged),
        domains=_domains(domains, checkpoint, drawn, converts=staged.has_conversions),
        hours=[hour for (hour,) in hours],
        refused=[
            {
                "domain": name,
                "key": domain_key(name),
                "why": [found.detail for found in broken],
                "rules": [found.rule for found in broken],
            }
            for name, broken in sorted(checkpoint.judged.refused.items())
        ],
        released=[entry.record() for entry in staged.released.entries],
        delivery=staged.fetched.delivery,
        basis=staged.content_hash,
        rules=rules,
        drawn=sum(drawn.values()),
        drawn_from=drawn_from,
    )
    quality.write(target)
    return quality


def _domains(
    counted: Sequence[tuple[str, int, int, int, int]],
    checkpoint: "Checkpoint",
    drawn: Mapping[str, int],
    *,
    converts: bool,
) -> list[DomainRecord]:
    """Each domain's counts with its own verdict, also of those whose rows are missing.

    ``converts``: the log has conversions.
    """
    severities = {check.rule: check.severity for check in checkpoint.checks}
    reasons: dict[str, list[str]] = {}
    for finding in checkpoint.judged.findings.domains:
        if finding.broken and severities.get(finding.rule) in ("critical", "warning"):
            details = reasons.setdefault(finding.about, [])
            if finding.detail not in details:
                details.append(finding.detail)
    counts = {name: figures for name, *figures in counted}
    absent = {name: [0, 0, 0, 0] for name in sorted(reasons) if name not in counts}
    rows: list[DomainRecord] = []
    for name, (accepted, rejected, clicks, conversions) in {**counts, **absent}.items():
        verdict = "warning" if name in reasons else "ok"
        row: DomainRecord = {
            "domain": name,
            "key": domain_key(name),
            "rows": int(accepted),
            "rejected": int(rejected),
            "clicks": int(clicks),
            "verdict": "refused" if name in checkpoint.judged.refused else verdict,
            "reasons": reasons.get(name, []),
        }
        if converts:
            row["conversions"] = int(conversions)
        if drawn:
            row["drawn"] = drawn.get(name, 0)
        rows.append(row)
    return rows


class _Record(BaseModel):
    """What a record that is read back must be like."""

    model_config = ConfigDict(strict=True)

    day: date = Field(strict=False)
    content_hash: str
    verdict: str
    rows: int
    rejected: int
    checks: list[CheckRecord]
    rejections: list[Rejection]
    examples: list[Example]
    domains: list[DomainRecord]
    hours: list[int]
    refused: list[RefusedDomain] = []
    released: list[ReleaseRecord] = []
    delivery: str = ""
    basis: str = ""
    rules: str = ""
    drawn: int = 0
    drawn_from: str = ""


def read_quality(workspace: Workspace, day: date, *, redelivery: bool = False) -> DayQuality | None:
    """Read the record of a day, or of its refused redelivery.

    None when there was no such delivery or its record is damaged.
    """
    path = workspace.quality(day, redelivery=redelivery)
    if not path.exists():
        return None
    try:
        values = read_json(path)
        return DayQuality(**{**values, "day": _Record.model_validate(values).day})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        reason = f"{where}: {first['msg']}"
    except (OSError, ValueError, TypeError) as error:
        reason = str(error)
    log.warning("%s: its quality record %s cannot be read: %s", day, path, reason)
    return None


def refused_domains(workspace: Workspace, day: date) -> dict[str, tuple[str, str]]:
    """Name of each domain (by key) whose rows of an accepted day are kept out, and why."""
    quality = read_quality(workspace, day)
    if quality is None or quality.verdict == "refused":
        return {}
    return {row["key"]: (row["domain"], "; ".join(row["why"])) for row in quality.refused}
