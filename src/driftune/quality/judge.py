"""Judge a staged day: its profile, what stands out of it, and the domains that are kept out."""

from dataclasses import dataclass

from driftune.config import Config
from driftune.config.quality import DOMAIN_REFUSED
from driftune.lake.duck import connect
from driftune.quality.day_profile import DayProfile
from driftune.quality.finding import Finding
from driftune.quality.findings import Findings, find
from driftune.quality.profile import measure
from driftune.quality.staged import Staged
from driftune.quality.tally import tally
from driftune.quality.usual import history_of


@dataclass(frozen=True)
class Judged:
    """``refused``: domains whose rows of the day are kept out, with what they broke.

    ``refused_share`` is the share of the delivered rows that lie in domains that broke a critical
    rule; above the limit none of them is refused alone. ``released``: let in all the same.
    """

    profile: DayProfile
    findings: Findings
    refused: dict[str, tuple[Finding, ...]]
    refused_share: float
    released: frozenset[str]


def judge(config: Config, staged: Staged) -> Judged:
    """Profile the day and mark all rows of refused domains as rejected."""
    quality = config.quality
    profile, history = measure(config, staged), history_of(config, staged.day)
    findings = find(config, profile, history)
    released = frozenset(staged.released.domains)
    broken: dict[str, list[Finding]] = {}
    for finding in findings.domains:
        critical = quality.severity_of(finding.rule) == "critical"
        if finding.broken and critical and finding.about not in released:
            broken.setdefault(finding.about, []).append(finding)
    delivered = {name: row["delivered"] for name, row in profile["domains"].items()}
    share = sum(delivered.get(name, 0) for name in broken) / max(profile["delivered"], 1)
    if not broken or share > quality.domain.max_rows:
        return Judged(profile, findings, {}, share, released)
    refuse(config, staged, list(broken))
    rest = measure(config, staged)
    for name in broken:
        rest["domains"].pop(name, None)
    # What stands out of the other columns is asked of the rows that are left.
    left = find(config, rest, history)
    return Judged(
        rest,
        Findings(left.day, findings.domains, left.columns),
        {name: tuple(found) for name, found in broken.items()},
        share,
        released,
    )


def refuse(config: Config, staged: Staged, domains: list[str]) -> None:
    """Mark every row of some domains as rejected, beside the reasons that rows have already."""
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        con.execute(
            f"""
            CREATE TEMP TABLE refused AS
            SELECT row_id, concat_ws(', ', nullif(reasons, ''), '{DOMAIN_REFUSED}') AS reasons
            FROM staged WHERE domain IN (SELECT unnest(?::VARCHAR[]))
            """,
            [domains],
        )
        con.execute("DELETE FROM broken WHERE row_id IN (SELECT row_id FROM refused)")
        con.execute("INSERT INTO broken SELECT * FROM refused")
        tally(con)
