"""KuaiRand-Pure (Gao et al., CIKM 2022) as daily impressions with user and video features."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product, takewhile
from pathlib import Path
from string import Template

import duckdb

from driftune.config.loading import load_config
from driftune.errors import SourceError
from driftune.io import write_text
from driftune.lake.duck import Connection, connect, identifier, literal, one_row
from driftune.progress import report

_Part = tuple[str, Path, dict[str, str]]  # table, file, types of the columns to read
_LAYOUTS = (
    ("log.parquet", "users.parquet", "videos.parquet"),
    ("log_standard_*_pure.csv", "user_features_pure.csv", "video_features_basic_pure.csv"),
)
_FLAGS = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view")
_STAYS = ("play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time")
_LOG = {
    **dict.fromkeys(("user_id", "video_id", "date", "hourmin", "time_ms"), "BIGINT"),
    **dict.fromkeys(_FLAGS, "TINYINT"),
    **dict.fromkeys(_STAYS, "BIGINT"),
    **dict.fromkeys(("is_profile_enter", "is_rand", "tab"), "TINYINT"),
}
_RANGES = [f"{what}_range" for what in ("follow_user_num", "fans_user_num", "friend_user_num")]
_USERS = {
    "user_id": "BIGINT",
    "user_active_degree": "VARCHAR",
    **dict.fromkeys(("is_lowactive_period", "is_live_streamer", "is_video_author"), "BIGINT"),
    **dict.fromkeys((*_RANGES, "register_days_range"), "VARCHAR"),
    **{f"onehot_feat{number}": "BIGINT" for number in range(5)},
}
_VIDEOS = {
    **dict.fromkeys(("video_id", "author_id"), "BIGINT"),
    **dict.fromkeys(("video_type", "upload_type", "tag"), "VARCHAR"),
    "music_type": "BIGINT",
    "video_duration": "DOUBLE",
}
# Asia/Shanghai is UTC+8 without clock changes; DuckDB's own zones need an extension.
_OFFSET_MS, _DAY_MS = 8 * 3_600_000, 24 * 3_600_000
_LAST_MS = 253_402_214_400_000  # 9999-12-31: what a calendar date can still hold
_EPOCH, _REFERENCE_FIRST = date(1970, 1, 1), date(2022, 4, 25)
_FULL_HOURS = 12  # as quality.min_hours by default: with fewer hours a day is a partial one

_PARAMS = Template("""\
# KuaiRand-Pure as Driftune reads it. Relative paths start at this file's folder.
# Sections and keys that are left out keep Driftune's defaults.
workspace: .
timezone: Asia/Shanghai    # the service's day; time_ms is UTC

source:
  uri: logs/impressions-{day}.parquet

reference:                 # the days that pre-training uses
  first: "$first"      # quoted: DVC reads no bare dates
  last: "$last"

columns:                   # a column's name, or {sql: expression}
  user: user_id
  item: video_id
  time: {column: time_ms, unit: ms}
  domain: {sql: "'tab ' || tab"}               # one domain per scene of the app
  click: is_click
  convert: {sql: "is_click * long_view"}       # a click that was watched for long
  category: {sql: "coalesce(category, 'none')"}  # the video's first tag

domains:
  unknown: other           # the tiny tabs come and go: fold them into one domain

features:
  categorical:             # is_lowactive_period is in the files too, but has one value only
    [author_id, video_type, upload_type, music_type,
     user_active_degree, is_live_streamer, is_video_author,
     follow_user_num_range, fans_user_num_range, friend_user_num_range, register_days_range,
     onehot_feat0, onehot_feat1, onehot_feat2, onehot_feat3, onehot_feat4]
  numerical: [duration_ms]

backbone:
  epochs: 1                # a second one over-fits the ids: CTR-AUC of 5 May falls by 0.03
  learning_rate: 0.001

quality:
  click_rate: [0.2, 0.7]   # the days from 25 April on lie between 0.41 and 0.47

""")


@dataclass(frozen=True)
class ImportSummary:
    """What an import wrote: rows by day (YYYY-MM-DD), all rows, and the params.yaml beside them.

    ``params_kept``: a params.yaml with other content was there and was left as it is.
    """

    days: dict[str, int]
    rows: int
    params: Path
    params_kept: bool


def import_kuairand(
    source: Path, target: Path, *, progress: Callable[[str], None] | None = None
) -> ImportSummary:
    """Cut KuaiRand-Pure into event-time days (Asia/Shanghai) under ``target``/logs.

    ``source`` holds the parquet files or the official archive's CSV files, itself or in ``data``.
    All log columns and every row stay, exact copies included, ordered by ``time_ms`` and then as
    delivered; user and video features are joined to them. An earlier import's days are replaced
    once all new ones are written; a params.yaml with other content is kept.

    Raises:
        SourceError: for a folder of neither layout, a missing column or unreadable values.
        ConfigError: when the params.yaml that is kept is not valid; no day is replaced then.
    """
    say = progress or (lambda line: None)
    parts = _find(source)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=target) as folder:
        scratch = Path(folder)
        reach = [scratch, *(path for _, path, _ in parts)]
        with connect(scratch / "cut.duckdb", reach=reach, memory="1GB") as con:
            con.execute("SET threads = 4")
            _load(con, parts, say)
            found = _days(con)
            days = {day: rows for day, (rows, _) in found.items()}
            for number, day in enumerate(days, 1):
                _write_day(con, day, scratch / _file_name(day))
                say(f"{day}: {days[day]:,} rows ({number} of {len(days)} days)")
                report("days", number, len(days))
        params = target / "params.yaml"
        full = [day for day, (_, hours) in found.items() if hours >= _FULL_HOURS]
        kept = _write_params(params, *_reference(full or list(days)))
        if kept:
            say(f"{params}: differs from what the import writes and is kept")
        _publish(scratch, target / "logs", [_file_name(day) for day in days])
    return ImportSummary(
        {day.isoformat(): rows for day, rows in days.items()}, sum(days.values()), params, kept
    )


def _find(source: Path) -> list[_Part]:
    for folder, (log, users, videos) in product((source, source / "data"), _LAYOUTS):
        logs = sorted(folder.glob(log))
        features = [("users", folder / users, _USERS), ("videos", folder / videos, _VIDEOS)]
        if logs and all(path.is_file() for _, path, _ in features):
            return [*features, *(("log", path, _LOG) for path in logs)]
    expected = "; or ".join(", ".join(names) for names in _LAYOUTS)
    raise SourceError(f"{source}: not KuaiRand-Pure; expected there or in its data/: {expected}")


def _scan(path: Path) -> str:
    # DuckDB expands glob signs in file names; a bracket class of one sign matches itself only.
    plain = literal("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)))
    if path.suffix == ".parquet":
        return f"read_parquet({plain})"
    return f"read_csv({plain}, header=true, all_varchar=true, delim=',', quote='\"')"


def _load(con: Connection, parts: list[_Part], say: Callable[[str], None]) -> None:
    """Fill the tables users, videos and log (whose rowid is the original order)."""
    for table, path, columns in parts:
        say(f"reading {path.name}")
        fields = ", ".join(f"{identifier(name)} {kind}" for name, kind in columns.items())
        con.execute(f"CREATE TABLE IF NOT EXISTS {table} ({fields})")
        names = ", ".join(identifier(name) for name in columns)
        try:
            described = con.execute(f"DESCRIBE SELECT * FROM {_scan(path)}").fetchall()
            present = [row[0] for row in described]
            if missing := [name for name in columns if name not in present]:
                raise SourceError(
                    f"{path}: column '{missing[0]}' is missing; the file has {', '.join(present)}"
                )
            con.execute(f"INSERT INTO {table} SELECT {names} FROM {_scan(path)}")
        except duckdb.Error as error:
            # The first paragraph tells line, column and value; the rest is advice about DuckDB.
            reason = " ".join(str(error).split("\n\n")[0].split())
            raise SourceError(f"{path}: cannot be read ({reason})") from None
    for table, columns in (("users", _USERS), ("videos", _VIDEOS)):
        key, *others = columns
        # One row per id, whatever was delivered: a join must not multiply impressions.
        picked = ", ".join(f"any_value({name} ORDER BY rowid) AS {name}" for name in others)
        select = f"SELECT {key}, {picked} FROM {table} GROUP BY {key}"
        con.execute(f"CREATE TABLE one_of_{table} AS {select}")


def _days(con: Connection) -> dict[date, tuple[int, int]]:
    """Rows and hours with impressions by day, in order."""
    wrong = f"time_ms IS NULL OR time_ms NOT BETWEEN 0 AND {_LAST_MS}"
    if bad := one_row(con, f"SELECT count(*) FROM log WHERE {wrong}")[0]:
        raise SourceError(f"the log's time_ms is no time in {bad:,} rows; correct or remove them")
    counted = con.execute(
        f"""
        SELECT (time_ms + {_OFFSET_MS}) // {_DAY_MS} AS day, count(*),
               count(DISTINCT (time_ms + {_OFFSET_MS}) // 3600000)
        FROM log GROUP BY day ORDER BY day
        """
    ).fetchall()
    if not counted:
        raise SourceError("the log holds no rows; take the complete files")
    return {_EPOCH + timedelta(days=number): (count, hours) for number, count, hours in counted}


def _file_name(day: date | str) -> str:
    return f"impressions-{day}.parquet"


def _write_day(con: Connection, day: date, path: Path) -> None:
    start = (day - _EPOCH).days * _DAY_MS - _OFFSET_MS
    con.execute(
        f"""
        COPY (
            SELECT log.*, one_of_users.* EXCLUDE (user_id), one_of_videos.* EXCLUDE (video_id, tag),
                   nullif(trim(split_part(tag, ',', 1)), '') AS category
            FROM log LEFT JOIN one_of_users USING (user_id) LEFT JOIN one_of_videos USING (video_id)
            WHERE time_ms >= {start} AND time_ms < {start + _DAY_MS}
            ORDER BY time_ms, log.rowid
        ) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)
        """
    )


def _reference(days: list[date]) -> tuple[date, date]:
    """Ends of the longest run of days, at most a week; the usual week first, then the earliest."""
    week = [timedelta(days=number) for number in range(7)]

    def run(first: date) -> list[date]:
        return list(takewhile(set(days).__contains__, (first + step for step in week)))

    chosen = max([run(_REFERENCE_FIRST), *map(run, days)], key=len)
    return chosen[0], chosen[-1]


def _write_params(path: Path, first: date, last: date) -> bool:
    """Write params.yaml, unless one with other content is there; say whether it was kept."""
    text = _PARAMS.substitute(first=first, last=last)
    if not (kept := path.exists() and path.read_bytes() != text.encode()):
        write_text(path, text)
    load_config(path, env={})
    return kept


def _publish(scratch: Path, logs: Path, names: list[str]) -> None:
    logs.mkdir(exist_ok=True)
    for name in names:
        (scratch / name).replace(logs / name)
    for stale in set(logs.glob(_file_name("????-??-??"))) - {logs / name for name in names}:
        stale.unlink()
