"""The profile of a day: what its accepted rows look like, for the days after it to compare with.

Counts are of all accepted rows. Columns are looked at through about ``LOOKED`` rows drawn by a
hash, what repeats through all rows of as many users, so that the cost does not grow with the day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from driftune.config import Config
from driftune.config.columns import SqlRole
from driftune.config.workspace import Workspace
from driftune.errors import BackboneError
from driftune.features.encoder import load_encoder
from driftune.lake import roles
from driftune.lake.clock import day_end, day_start
from driftune.lake.duck import Connection, connect, identifier, one_row, parquet
from driftune.quality.belonging import measure_attribute
from driftune.quality.day_profile import FORMAT, ColumnProfile, DayProfile, DomainCounts
from driftune.quality.drawn import Coded, Drawn, in_parts, most_frequent, read_drawn
from driftune.quality.staged import Staged

# A UUID, or a long run of hexadecimal digits.
_HEX = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{8,}"
LOOKED = 200_000
# A column with more values than these is known by the most frequent of them alone.
VALUES = 300
# Bins per doubling: histograms of one scale can be added up over days and compared.
BINS = 4
ZERO_AT = 4000
NUMBER, VALUE, IDENTITY = "number", "value", "id"


@dataclass(frozen=True)
class Column:
    """A column of the staged day: its name in params.yaml's terms, and what it holds."""

    name: str
    staged: str
    kind: str


def columns_of(config: Config) -> list[Column]:
    """The columns that roles and features name, in that order, the time apart."""
    given = config.columns

    def source(name: str) -> str:
        role = getattr(given, name)
        return name if isinstance(role, SqlRole) else str(role)

    found = [
        Column(source("user"), "user_id", IDENTITY),
        Column(source("item"), "item_id", IDENTITY),
    ]
    if given.request is not None:
        found.append(Column(source("request"), "request_id", IDENTITY))
    if given.category is not None:
        found.append(Column(source("category"), "category", VALUE))
    found += [Column(name, f"f_{name}", VALUE) for name in config.features.categorical]
    found += [
        Column(source(name), name, NUMBER)
        for name in roles.OPTIONAL_NUMBERS
        if getattr(given, name) is not None
    ]
    found += [Column(name, f"x_{name}", NUMBER) for name in config.features.numerical]
    return found


def measure(config: Config, staged: Staged) -> DayProfile:
    """Profile a staged day."""
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        domains = _domains(con, converts=config.columns.convert is not None)
        delivered, rows, files, last = one_row(
            con,
            """
            SELECT coalesce(sum(n), 0)::BIGINT,
                   coalesce(sum(n) FILTER (NOT rejected), 0)::BIGINT,
                   count(DISTINCT file), max(last) FILTER (NOT rejected)
            FROM tally
            """,
        )
        hours = dict(
            con.execute(
                "SELECT hour, sum(n)::BIGINT FROM tally WHERE NOT rejected GROUP BY 1"
            ).fetchall()
        )
        _draw(con, config, max(1, rows // LOOKED))
        columns, vocabulary = _columns(con, config)
        repeated, trace = _repeats(con)
    silent = None
    if last is not None:
        silent = (day_end(config, staged.day) - last).total_seconds() / 3600
    return {
        "format": FORMAT,
        "day": staged.day.isoformat(),
        "content_hash": staged.content_hash,
        "delivered": delivered,
        "rows": rows,
        "files": files,
        "silent_hours": silent,
        "written_early": _written_early(config, staged),
        "hours": [hours.get(hour, 0) for hour in range(24)],
        "domains": domains,
        "columns": columns,
        "vocabulary": vocabulary,
        "repeated": repeated,
        "trace": trace,
    }


def _domains(con: Connection, *, converts: bool) -> dict[str, DomainCounts]:
    """Counts of each domain that is known, by its name; ``converts``: the log has conversions."""
    counted = con.execute(
        """
        SELECT domain, sum(n)::BIGINT,
               coalesce(sum(n) FILTER (rejected), 0)::BIGINT,
               coalesce(sum(n) FILTER (reasons = 'duplicate'), 0)::BIGINT,
               coalesce(sum(clicked) FILTER (NOT rejected), 0)::BIGINT,
               coalesce(sum(converted) FILTER (NOT rejected), 0)::BIGINT
        FROM tally
        WHERE domain IS NOT NULL AND NOT contains(reasons, 'domain_unknown')
        GROUP BY domain ORDER BY domain
        """
    ).fetchall()
    found: dict[str, DomainCounts] = {
        name: {
            "delivered": delivered,
            "rows": delivered - rejected,
            "rejected": rejected,
            "copies": copies,
            "clicks": clicks,
        }
        for name, delivered, rejected, copies, clicks, _ in counted
    }
    if converts:
        for name, *_, conversions in counted:
            found[name]["conversions"] = conversions
    return found


def _columns(con: Connection, config: Config) -> tuple[dict[str, ColumnProfile], str | None]:
    """The profiles of the columns by name, and the fingerprint of the encoder that they know."""
    columns = columns_of(config)
    profiles: dict[str, ColumnProfile] = {}
    (rows,) = one_row(con, "SELECT count(*) FROM drawn")
    for part in in_parts(columns, rows):
        wanted = {name: None for column in part for name in _read(config, column)}
        drawn = read_drawn(con, list({"user_id": None, "item_id": None} | wanted))
        for column in part:
            profiles[column.name] = _column(drawn, column)
            # What the policy that serves lists decides belongs to no item.
            if column.kind != IDENTITY and column.staged not in ("position", "propensity"):
                attribute = measure_attribute(drawn, column.staged, number=column.kind == NUMBER)
                profiles[column.name] = {**profiles[column.name], **attribute}
    vocabulary, known = _known(con, config)
    for role, share in known.items():
        name = next(column.name for column in columns if column.staged == f"{role}_id")
        profiles[name]["known"] = share
    return profiles, vocabulary


def _read(config: Config, column: Column) -> list[str]:
    """The names in ``drawn`` of a column and of what is made of it."""
    return [column.staged, *_made(config, column)]


def _made(config: Config, column: Column) -> dict[str, str]:
    """What ``drawn`` has of a column beside its values, by name, as SQL."""
    name = identifier(column.staged)
    if column.kind == IDENTITY:
        # What an id looks like, its letters kept: u00017 and u00342 look alike, i0017 does not.
        hexed = f"regexp_replace({name}, '{_HEX}', '#', 'g')"
        return {f"{column.staged} form": f"regexp_replace({hexed}, '[0-9]+', '9', 'g')"}
    if column.kind == VALUE:
        return {}
    finite = f"(CASE WHEN isfinite({name}) THEN {name} END)"
    size = f"{ZERO_AT} + floor({BINS} * log2(abs({finite})))"
    code = f"(sign({finite}) * CASE WHEN {finite} = 0 THEN 0 ELSE {size} END)::INTEGER"
    made = {f"{column.staged} bin": code}
    low, high = config.quality.ranges.get(column.staged.removeprefix("x_"), (None, None))
    bounds = [f"{finite} < {low}"] * (low is not None)
    bounds += [f"{finite} > {high}"] * (high is not None)
    if bounds:
        made[f"{column.staged} outside"] = f"({' OR '.join(bounds)})::INTEGER"
    return made


def _draw(con: Connection, config: Config, step: int) -> None:
    """Draw ``looked`` (one of ``step`` accepted rows) and ``by_user`` (all rows of one of ``step``
    users) in one reading of the day, which costs more than everything that is then made of them.

    Only what is looked at is read. Numbers that are NaN or infinite, of rows that were let in all
    the same, are null in them.
    """
    trace = ("user_id", "item_id", "request_id", "event_time", "click_label")
    columns = {name: name for name in trace}
    for each in columns_of(config):
        name = columns[each.staged] = identifier(each.staged)
        if each.kind == NUMBER:
            columns[each.staged] = f"CASE WHEN isfinite({name}) THEN {name} END"
        columns |= _made(config, each)
    read = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE drawn AS
        SELECT {read},
               hash(row_id) % {step} = 0 AS is_looked, hash(user_id) % {step} = 0 AS is_of_user
        FROM staged
        WHERE rejected = 0 AND (hash(row_id) % {step} = 0 OR hash(user_id) % {step} = 0);
        CREATE OR REPLACE TEMP VIEW looked AS FROM drawn WHERE is_looked;
        CREATE OR REPLACE TEMP VIEW by_user AS FROM drawn WHERE is_of_user;
        """
    )


def _column(drawn: Drawn, column: Column) -> ColumnProfile:
    values, looked = drawn.columns[column.staged], drawn.looked
    counts = values.counts(looked)
    found: ColumnProfile = {
        "kind": column.kind,
        "looked": int(looked.sum()),
        "nulls": int((looked & (values.codes < 0)).sum()),
        "distinct": int((counts > 0).sum()),
    }

    def counted(made: Coded, most: int | None) -> dict[str, int]:
        frequent = most_frequent(made.values, made.counts(looked), most)
        return {each.text: each.rows for each in frequent}

    if column.kind == NUMBER:
        found["bins"] = counted(drawn.columns[f"{column.staged} bin"], None)
        outside = drawn.columns.get(f"{column.staged} outside")
        if outside is not None:
            found["outside"] = int(outside.counts(looked) @ outside.values.to_numpy())
    elif column.kind == VALUE:
        found["values"] = counted(values, VALUES)
        found["whole"] = found["distinct"] <= VALUES
    else:
        found["formats"] = counted(drawn.columns[f"{column.staged} form"], 50)
        found["top"] = counted(values, VALUES)
    return found


def _known(con: Connection, config: Config) -> tuple[str | None, dict[str, float]]:
    """The encoder's fingerprint and the shares of rows whose user and item it knows."""
    try:
        encoder = load_encoder(Workspace(config).model / "encoder")
    except BackboneError:
        return None, {}
    found = {}
    for role in ("user", "item"):
        row = one_row(
            con,
            f"""
            SELECT avg((value IS NOT NULL)::INTEGER) FROM looked LEFT JOIN (
                SELECT value FROM {parquet(encoder.vocabulary)}
                WHERE field = '{role}'
            ) ON value = {role}_id
            """,
        )
        found[role] = float(row[0] or 0.0)
    return encoder.fingerprint, found


def _repeats(con: Connection) -> tuple[float, str]:
    """The share of rows that show a user an item again in the same instant and list, and a trace
    of who saw and clicked what at which time of the day."""
    row = one_row(
        con,
        """
        SELECT 1 - count(DISTINCT hash(user_id, item_id, event_time, request_id))
                   / nullif(count(*), 0),
               count(*) || ' ' || coalesce(bit_xor(
                   hash(user_id, item_id, click_label, epoch_us(event_time) % 86400000000)), 0)
        FROM by_user
        """,
    )
    return float(row[0] or 0.0), str(row[1])


def _written_early(config: Config, staged: Staged) -> int:
    """How many of the day's files were last written while the day still went on.

    A time before the day says that the clock or the log is made up.
    """
    start, end = day_start(config, staged.day), day_end(config, staged.day)
    early = 0
    with connect(staged.database, reach=staged.reach) as con:
        names = con.execute("SELECT DISTINCT file FROM tally").fetchall()
    for (name,) in names:
        path = config.root / name
        if "://" not in name and path.exists():
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
            early += start <= written < end
    return early
