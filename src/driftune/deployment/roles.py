"""What the roles of params.yaml make of real rows, and what a first run needs and lacks."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.deployment.odd import odd
from driftune.errors import DriftuneError, LakeError
from driftune.intake.stage import stage
from driftune.lake import roles
from driftune.lake.duck import Connection, connect, identifier
from driftune.lake.scratch import scratch
from driftune.lake.side_tables import Matched
from driftune.lake.source import Fetched, SourceFile, arrived, fetch
from driftune.lake.table import Lake
from driftune.quality.staged import Staged
from driftune.registry.rows import Finding

# Of a larger day the first file alone is looked at, and values on so many rows.
MOST_BYTES, VALUE_ROWS = 256 << 20, 100_000
VALUES = 10
_CANONICAL = {
    "user": "user_id",
    "item": "item_id",
    "time": "event_time",
    "domain": "domain",
    "click": "click_value",
    "convert": "convert_value",
    "category": "category",
    "price": "price",
    "request": "request_id",
    "position": "position",
    "propensity": "propensity",
}


@dataclass(frozen=True)
class RoleValues:
    """What a role makes of the rows: its ``source`` (a column, several, or an expression), and
    pairs of a delivered value (null of an expression) and what it is read as."""

    role: str
    source: str
    values: list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class DomainRows:
    """A domain's accepted rows and clicks on the day."""

    domain: str
    rows: int
    clicks: int


@dataclass(frozen=True)
class SeenRoles:
    """The day that was looked at, its findings, and what its roles are."""

    day: date
    findings: list[Finding]
    roles: list[RoleValues] = field(default_factory=list)
    domains: list[DomainRows] = field(default_factory=list)


def see_roles(config: Config) -> SeenRoles:
    """Stage the newest reference day as a run would, and look at what came out of it."""
    day = config.reference.last
    try:
        with scratch(config, day) as folder:
            fetched = fetch(config, day, folder)
            try:
                return _seen(config, fetched, folder)
            except LakeError as error:
                if not _is_lake_damaged(config):
                    return SeenRoles(day, [{"what": f"source: {error}", "ok": False}])
                # The check of the lake says what is wrong with it.
                what = f"source: {len(fetched.files)} file(s) of {day}, not read: see the lake"
                return SeenRoles(day, [{"what": what, "ok": True}])
    except DriftuneError as error:
        return SeenRoles(day, [{"what": str(error), "ok": False}])


def _seen(config: Config, fetched: Fetched, folder: Path) -> SeenRoles:
    day = fetched.day
    files, part = _bounded(fetched)
    staged = stage(config, replace(fetched, files=files), None, folder / "doctor.duckdb")
    with connect(staged.database, reach=staged.reach) as con:
        columns = len(staged.evolution.types)
        source = f"source: {len(fetched.files)} file(s) of {day}{part}, {columns} columns"
        domains = _domains(con)
        findings: list[Finding] = [{"what": source, "ok": True}, _rejected(config, con, staged)]
        findings += [_table(each) for each in staged.matched]
        findings += _enough(config, domains, bool(part))
        findings += odd(con, config, sum(d.rows for d in domains), sum(d.clicks for d in domains))
        values = [_values(con, *each) for each in _sources(config, staged.evolution.types)]
    return SeenRoles(day, [*findings, *_days(config)], values, domains)


def _is_lake_damaged(config: Config) -> bool:
    try:
        _ = Lake.of(config).days
    except LakeError:
        return True
    return False


def _bounded(fetched: Fetched) -> tuple[tuple[SourceFile, ...], str]:
    """The files that are looked at, and what is said where they are not all."""
    if len(fetched.files) == 1 or sum(file.size for file in fetched.files) <= MOST_BYTES:
        return fetched.files, ""
    return fetched.files[:1], ", of which the first was looked at"


def _rejected(config: Config, con: Connection, staged: Staged) -> Finding:
    """How many rows would go to quarantine, and by which rules."""
    rows = con.execute("SELECT reasons, count(*) FROM broken GROUP BY reasons").fetchall()
    reasons: Counter[str] = Counter()
    for text, number in rows:
        for reason in text.split(", "):
            reasons[reason] += number
    rejected = sum(number for _, number in rows)
    share = rejected / max(1, staged.rows)
    said = f"roles: {rejected:,} of {staged.rows:,} rows would go to quarantine"
    if reasons:
        said += (
            " (" + ", ".join(f"{name} {number:,}" for name, number in reasons.most_common(5)) + ")"
        )
    most = config.quality.max_rejected_share
    if share > most:
        worst = reasons.most_common(1)[0][0]
        said += f", more than quality.max_rejected_share ({most:g}): the day would be refused; "
        said += f"correct {_key(worst)}"
        return {"what": said, "ok": False}
    return {"what": said, "ok": True}


def _table(found: Matched) -> Finding:
    """How many rows find their key in a side table."""
    said = f"tables: {found.name} has {found.size:,} rows ({found.said}) and {found.lacking}"
    if found.rows and found.missing == found.rows:
        said += f"; correct tables.{found.name}.key and matches: ids are compared as written"
        return {"what": said, "ok": False}
    return {"what": said, "ok": True}


def _key(reason: str) -> str:
    """What to correct where a rule rejects many rows."""
    keys = {
        "user_missing": "columns.user",
        "item_missing": "columns.item",
        "time_unreadable": "columns.time",
        "other_day": "columns.time or timezone",
        "domain_missing": "columns.domain",
        "click_label": "columns.click",
        "convert_label": "columns.convert",
        "convert_without_click": "columns.convert",
        "number_unreadable": "columns.price, position, propensity or features.numerical",
    }
    if reason == "duplicate":
        return "the log: rows are there twice"
    return f"{keys.get(reason, 'columns')} in params.yaml"


def _domains(con: Connection) -> list[DomainRows]:
    found = con.execute(
        "SELECT domain, count(*), count(*) FILTER (click_value = 1) FROM staged "
        "WHERE rejected = 0 GROUP BY domain ORDER BY count(*) DESC, domain"
    ).fetchall()
    return [DomainRows(*row) for row in found]


def _enough(config: Config, domains: list[DomainRows], partly: bool) -> list[Finding]:
    """Whether there is enough to learn from and to measure."""
    rows, clicks = sum(d.rows for d in domains), sum(d.clicks for d in domains)
    if rows and clicks in (0, rows) and not (clicks and config.negatives):
        explode = config.source.explode
        key = "source.explode.clicked" if explode and explode.clicked else "columns.click"
        what = "every row is a click" if clicks else f"no row has a click ({key})"
        return [{"what": f"labels: {what}: nothing can be learnt from them", "ok": False}]
    least, needed = config.drift.min_rows, config.drift.min_clicks
    small = [d for d in domains if d.rows < least or d.clicks < needed]
    if partly or not domains:
        return []
    said = f"domains: {len(domains) - len(small)} of {len(domains)} have {least:,} rows and "
    said += f"{needed:,} clicks a day, as drift needs them"
    if small:
        first = small[0]
        said += f"; {first.domain} has {first.rows:,} and {first.clicks:,}"
    if len(small) == len(domains):
        said += (
            "; choose larger ones (columns.domain), or lower drift.min_rows and drift.min_clicks"
        )
    return [{"what": said, "ok": len(small) < len(domains)}]


def _days(config: Config) -> list[Finding]:
    """Reference days that have no file."""
    stored = Lake.of(config).days
    days = [day for day in config.reference.days if day not in stored]
    missing = [day for day in days if not arrived(config, day)]
    if not missing:
        return []
    named = ", ".join(map(str, missing[:3])) + (", …" if len(missing) > 3 else "")
    what = f"reference: {len(missing)} of {len(config.reference.days)} days have no file ({named})"
    return [
        {"what": f"{what}; correct reference.first and reference.last, or source.uri", "ok": False}
    ]


def _sources(config: Config, there: Collection[str]) -> list[tuple[str, str, str | None, str]]:
    """Of each role: its name, what params.yaml gives for it, its column if the day has it, and the
    canonical column."""
    found: list[tuple[str, str, str | None, str]] = []
    for role, canonical in _CANONICAL.items():
        given = config.columns.time.role if role == "time" else getattr(config.columns, role)
        if given is None:
            continue
        if isinstance(given, str):
            found.append((role, given, given if given in there else None, canonical))
        elif isinstance(given, list):
            found.append((role, ", ".join(given), None, canonical))
        else:
            found.append((role, roles.expression(given), None, canonical))
    for canonical, feature in config.features.roles().items():
        source = feature if isinstance(feature, str) else f"{canonical[2:]}: {feature.sql}"
        column = feature if isinstance(feature, str) and feature in there else None
        found.append(("feature", source, column, canonical))
    return found


def _values(
    con: Connection, role: str, source: str, column: str | None, canonical: str
) -> RoleValues:
    """The values that most of the first rows have, and what a role reads them as."""
    delivered = "NULL::VARCHAR" if column is None else f"raw.{identifier(column)}::VARCHAR"
    found = con.execute(
        f"SELECT {delivered} AS delivered, staged.{identifier(canonical)}::VARCHAR AS value "
        f"FROM (FROM staged LIMIT {VALUE_ROWS}) AS staged "
        "JOIN raw ON raw._driftune_id = staged.row_id "
        f"GROUP BY ALL ORDER BY count(*) DESC, value, delivered LIMIT {VALUES}"
    ).fetchall()
    return RoleValues(role, source, [(was, now) for was, now in found])
