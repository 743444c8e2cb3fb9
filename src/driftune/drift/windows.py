"""Windows: fixed-size samples of a day and of the champion's reference days, per domain."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from driftune.config import Config
from driftune.files import replacing
from driftune.logs.duck import connect, literal
from driftune.logs.encoder import Encoder
from driftune.logs.features import encode_day
from driftune.models.adapters import AdapterBank
from driftune.models.backbone import Backbone
from driftune.training.rows import columns, from_arrow
from driftune.training.scoring import score
from driftune.workspace import Workspace

CURRENT, REFERENCE, NEWEST = "current", "reference", "newest"


def windows_path(config: Config, day: date) -> Path:
    """Where the day's windows lie: the very rows that were compared."""
    return Workspace(config).home / "drift" / f"{day}" / "windows.parquet"


def write_windows(
    config: Config,
    day: date,
    references: Mapping[str, list[date]],
    encoder: Encoder,
    model: Backbone,
    bank: AdapterBank,
    newest: Mapping[str, list[date]] | None = None,
) -> dict[str, dict[str, int]]:
    """Draw the windows of every domain in one query, score them, and write them to a file.

    ``references`` maps domain keys to the days that each domain's champion was confirmed on,
    ``newest`` some of them to those of these days that its predictions are compared with.
    Returns per domain key the rows and clicks available on each side.
    """
    days = sorted({day, *(other for window in references.values() for other in window)})
    files = ", ".join(literal(str(encode_day(config, encoder, each))) for each in days)
    size = config.drift.sample_rows
    fields = [f"c_{n}" for n in range(len(encoder.fields))]
    fields += [f"x_{n}" for n in range(len(encoder.numbers))]
    with connect() as con:
        con.execute("CREATE TEMP TABLE wanted (domain_key VARCHAR, day DATE, side VARCHAR)")
        con.executemany(
            "INSERT INTO wanted VALUES (?, ?, ?)", _wanted(day, references, newest or {})
        )
        # hash() of the row's identity: a sample that does not depend on file order or threads.
        # Rows that share user, time and item are told apart by all that the windows hold.
        con.execute(
            f"""
            CREATE TEMP TABLE drawn AS
            WITH marked AS (
                SELECT rows.*, side, hash(user_hash, event_time, c_1, click) AS h,
                    hash(category, price, {", ".join(fields)}) AS tie
                FROM read_parquet([{files}]) AS rows JOIN wanted USING (domain_key, day)
            ), ranked AS (
                SELECT *,
                    row_number() OVER (PARTITION BY domain_key, side ORDER BY h, tie) AS place,
                    count(*) OVER (PARTITION BY domain_key, side) AS side_rows,
                    row_number() OVER (
                        PARTITION BY domain_key, side, click ORDER BY h, tie
                    ) AS nth,
                    sum(click) OVER (PARTITION BY domain_key, side) AS side_clicks
                FROM marked
            )
            SELECT * FROM ranked WHERE place <= {size} OR (click = 1 AND nth <= {size})
            """
        )
        table = con.sql(
            f"SELECT {columns(encoder)} FROM drawn ORDER BY domain_key, side, place"
        ).to_arrow_table()
        predicted, _ = score(model, from_arrow(encoder, table), bank)
        plain = con.sql(
            "SELECT domain, domain_key, side, place, nth, side_rows, side_clicks, category, hour, "
            "price, click FROM drawn ORDER BY domain_key, side, place"
        ).to_arrow_table()
        counts = con.execute(
            """
            SELECT domain_key, side, any_value(domain), any_value(side_rows),
                   any_value(side_clicks)::BIGINT
            FROM drawn GROUP BY domain_key, side ORDER BY domain_key, side
            """
        ).fetchall()
    _write(plain, predicted, windows_path(config, day))
    return _counts(counts)


def read_window(path: Path, key: str) -> tuple[Any, Any]:
    """The domain's current and reference rows as pandas frames, ordered by place."""
    return _side(path, key, CURRENT), _side(path, key, REFERENCE)


def read_newest(path: Path, key: str) -> Any:
    """The rows that the domain's predictions are compared with; none where all are."""
    return _side(path, key, NEWEST)


def _side(path: Path, key: str, side: str) -> Any:
    import pyarrow.parquet as pq

    wanted = [("domain_key", "=", key), ("side", "=", side)]
    return pq.read_table(path, filters=wanted).to_pandas()


def _wanted(
    day: date, references: Mapping[str, list[date]], newest: Mapping[str, list[date]]
) -> list[tuple[str, date, str]]:
    wanted = [(key, day, CURRENT) for key in references]
    for side, windows in ((REFERENCE, references), (NEWEST, newest)):
        wanted += [(key, other, side) for key, window in windows.items() for other in window]
    return wanted


def _write(plain: Any, predicted: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as part:
        pq.write_table(plain.append_column("prediction", pa.array(predicted)), part)


def _counts(rows: list[tuple[str, str, str, int, int]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for key, side, _, shown, clicks in rows:
        counts.setdefault(key, {})[f"{side}_rows"] = shown
        counts[key][f"{side}_clicks"] = clicks
    return counts
