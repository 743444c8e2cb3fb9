"""The KuaiRand import: days, rows, joins, errors and params.yaml, seen through the files."""

from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config.loading import load_config
from driftune.errors import ConfigError, SourceError
from driftune.importers.kuairand import ImportSummary, import_kuairand
from driftune.intake.stage import stage
from driftune.lake.duck import connect
from driftune.lake.source import fetch
from driftune.quality.quarantine import count_rejected

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "kuairand_pure_14d"
LOG_COLUMNS = (
    *("user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow"),
    *("is_comment", "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms"),
    *("profile_stay_time", "comment_stay_time", "is_profile_enter", "is_rand", "tab"),
)
# The last millisecond of 24 April 2022 in Shanghai is 15:59:59.999 UTC.
MIDNIGHT = int(datetime(2022, 4, 24, 16, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


def log_frame(times: list[int]) -> pd.DataFrame:
    """Impressions at these times; user 0 and video 0 are in no feature table."""
    rng = np.random.default_rng(3)
    rows = len(times)
    frame = pd.DataFrame({name: np.zeros(rows, dtype="int64") for name in LOG_COLUMNS})
    frame["user_id"] = rng.integers(0, 6, rows)
    frame["video_id"] = rng.integers(0, 5, rows)
    frame["time_ms"] = times
    frame["is_click"] = rng.integers(0, 2, rows)
    frame["long_view"] = rng.integers(0, 2, rows)
    frame["duration_ms"] = 1000 + np.arange(rows)
    frame["tab"] = rng.integers(0, 3, rows)
    return frame


def users_frame() -> pd.DataFrame:
    """Features of the users 1 to 5, with two columns that the import does not take."""
    frame = pd.DataFrame({"user_id": range(1, 6), "user_active_degree": "full_active"})
    for name in ("is_lowactive_period", "is_live_streamer", "is_video_author"):
        frame[name] = 0
    for name in ("follow_user_num", "fans_user_num", "friend_user_num", "register_days"):
        frame[f"{name}_range"] = ["0", "(0,10]", "[10,100)", "[100,1k)", "500+"]
        frame[name] = 7
    for number in range(4):
        frame[f"onehot_feat{number}"] = np.arange(5) + number
    frame["onehot_feat4"] = [0.0, 1.0, np.nan, 3.0, 4.0]
    return frame


def videos_frame() -> pd.DataFrame:
    """Features of the videos 1 to 4; tags are lists of any length."""
    return pd.DataFrame(
        {
            "video_id": range(1, 5),
            "author_id": [11, 12, 13, 14],
            "video_type": "NORMAL",
            "upload_dt": "2022-04-10",
            "upload_type": ["Web", "Kmovie", "LongImport", "ShortImport"],
            "video_duration": [5000.0, np.nan, 87433.0, 1200.0],
            "music_type": [9.0, 4.0, np.nan, 11.0],
            "tag": ["39", "12,65", None, "3,62,4"],
        }
    )


def hourly(days: int) -> list[int]:
    """One impression an hour for whole days from 25 April on, out of order."""
    times = MIDNIGHT + np.arange(24 * days) * HOUR
    return np.random.default_rng(5).permutation(times).tolist()


def write_parquet(folder: Path, log: pd.DataFrame, users: pd.DataFrame | None = None) -> Path:
    """The layout of the shared sample."""
    folder.mkdir(parents=True, exist_ok=True)
    log.to_parquet(folder / "log.parquet", index=False)
    (users_frame() if users is None else users).to_parquet(folder / "users.parquet", index=False)
    videos_frame().to_parquet(folder / "videos.parquet", index=False)
    return folder


def write_csv(folder: Path, log: pd.DataFrame, parts: int = 2) -> Path:
    """The official archive's layout: the log in several files, a random log beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = np.linspace(0, len(log), parts + 1).astype(int)
    for number, (low, high) in enumerate(pairwise(edges)):
        part = log.iloc[low:high]
        part.to_csv(folder / f"log_standard_4_{number:02d}_pure.csv", index=False)
    log.to_csv(folder / "log_random_4_22_to_5_08_pure.csv", index=False)
    users_frame().to_csv(folder / "user_features_pure.csv", index=False)
    videos_frame().to_csv(folder / "video_features_basic_pure.csv", index=False)
    return folder


def read_days(target: Path) -> dict[str, pd.DataFrame]:
    """The daily files by name."""
    return {path.name: pd.read_parquet(path) for path in sorted((target / "logs").iterdir())}


def read_all(target: Path) -> pd.DataFrame:
    """All days' rows in one frame."""
    return pd.concat(read_days(target).values(), ignore_index=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Nine whole days in the parquet layout."""
    return write_parquet(tmp_path / "source", log_frame(hourly(9)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the import writes; not there yet."""
    return tmp_path / "target"


def test_both_layouts_give_the_same_days(source: Path, target: Path, tmp_path: Path) -> None:
    archive = write_csv(tmp_path / "archive" / "data", log_frame(hourly(9)))
    first = import_kuairand(source, target)
    second = import_kuairand(archive.parent, tmp_path / "other")
    assert first.days == second.days
    days, others = read_days(target), read_days(tmp_path / "other")
    assert list(days) == list(others)
    for name, frame in days.items():
        pd.testing.assert_frame_equal(frame, others[name])


def test_csv_parts_are_read_in_the_order_of_their_names(target: Path, tmp_path: Path) -> None:
    log = log_frame([MIDNIGHT] * 50)
    import_kuairand(write_csv(tmp_path / "archive", log, parts=3), target)
    assert read_all(target)["duration_ms"].tolist() == log["duration_ms"].tolist()


def test_days_are_cut_at_midnight_in_shanghai(target: Path, tmp_path: Path) -> None:
    log = log_frame([MIDNIGHT, MIDNIGHT - 1, MIDNIGHT + 24 * HOUR - 1, MIDNIGHT + 24 * HOUR])
    summary = import_kuairand(write_parquet(tmp_path / "source", log), target)
    assert summary.days == {"2022-04-24": 1, "2022-04-25": 2, "2022-04-26": 1}
    days = read_days(target)
    assert list(days) == [f"impressions-{day}.parquet" for day in summary.days]
    assert days["impressions-2022-04-24.parquet"]["time_ms"].tolist() == [MIDNIGHT - 1]
    assert summary.rows == 4


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_rows_are_ordered_by_time_then_as_delivered(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    log = log_frame([MIDNIGHT + step * 4 * HOUR for step in steps])
    import_kuairand(write_parquet(folder / "source", log), folder / "target")
    expected = log.sort_values("time_ms", kind="stable").reset_index(drop=True)
    written = read_all(folder / "target")[list(LOG_COLUMNS)]
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)


@pytest.mark.slow
@pytest.mark.ci
def test_exact_copies_stay_and_quarantine_counts_them(target: Path, tmp_path: Path) -> None:
    log = log_frame(hourly(9))
    copied = pd.concat([log, log.iloc[:30], log.iloc[:10]], ignore_index=True)
    summary = import_kuairand(write_parquet(tmp_path / "source", copied), target)
    assert summary.rows == len(log) + 40
    assert read_all(target).duplicated().sum() == 40
    config = load_config(summary.params, env={})
    counts: Counter[str] = Counter()
    for name in summary.days:
        day = date.fromisoformat(name)
        staged = stage(config, fetch(config, day, tmp_path), None, tmp_path / f"{day}.duckdb")
        for rejected in count_rejected(staged):
            counts[rejected["reason"]] += rejected["rows"]
    assert counts == {"duplicate": 40}


def test_features_are_joined_and_unknown_ids_stay_empty(source: Path, target: Path) -> None:
    import_kuairand(source, target)
    rows = read_all(target)
    for video, author, category, duration in (
        (1, 11, "39", 5000.0),
        (2, 12, "12", None),
        (3, 13, None, 87433.0),
        (4, 14, "3", 1200.0),
        (0, None, None, None),
    ):
        of_video = rows[rows["video_id"] == video]
        assert len(of_video) > 0
        for column, value in (
            ("author_id", author),
            ("category", category),
            ("video_duration", duration),
        ):
            found = set(of_video[column].dropna())
            assert found == (set() if value is None else {value})
    known = rows[rows["user_id"] == 2]
    assert set(known["fans_user_num_range"]) == {"(0,10]"}
    assert set(known["onehot_feat4"]) == {1}
    assert rows[rows["user_id"] == 0]["user_active_degree"].isna().all()


def test_repeated_feature_rows_do_not_multiply_impressions(target: Path, tmp_path: Path) -> None:
    log = log_frame(hourly(2))
    users = pd.concat([users_frame(), users_frame().assign(user_active_degree="other")])
    folder = write_parquet(tmp_path / "source", log, users)
    pd.concat([videos_frame()] * 3).to_parquet(folder / "videos.parquet", index=False)
    assert import_kuairand(folder, target).rows == len(log)
    rows = read_all(target)
    assert sorted(rows["duration_ms"]) == sorted(log["duration_ms"])
    assert set(rows["user_active_degree"].dropna()) == {"full_active"}


@pytest.mark.parametrize(
    ("file", "column"),
    [("log.parquet", "tab"), ("users.parquet", "is_video_author"), ("videos.parquet", "tag")],
)
def test_a_missing_column_is_named_with_its_file(
    source: Path, target: Path, file: str, column: str
) -> None:
    pd.read_parquet(source / file).drop(columns=column).to_parquet(source / file, index=False)
    with pytest.raises(SourceError, match=rf"{file}: column '{column}' is missing"):
        import_kuairand(source, target)


def test_a_folder_of_neither_layout_is_refused_in_one_line(source: Path, target: Path) -> None:
    (source / "users.parquet").unlink()
    with pytest.raises(SourceError) as caught:
        import_kuairand(source, target)
    message = str(caught.value)
    assert str(source) in message
    assert "users.parquet" in message
    assert "log_standard_*_pure.csv" in message
    assert "\n" not in message
    assert not target.exists()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("is_click", "perhaps", r'log_standard_4_00_pure\.csv.*Line: 5.*"is_click".*"perhaps"'),
        ("time_ms", "", "time_ms is no time in 1 rows"),
        ("time_ms", "9999999999999999", "time_ms is no time in 1 rows"),
    ],
)
def test_unreadable_values_are_refused_in_one_line(
    target: Path, tmp_path: Path, column: str, value: str, message: str
) -> None:
    log = log_frame(hourly(2)).astype({column: object})
    log.loc[3, column] = value
    with pytest.raises(SourceError, match=message) as caught:
        import_kuairand(write_csv(tmp_path / "archive", log), target)
    assert "\n" not in str(caught.value)


def test_a_failed_import_leaves_the_days_before_as_they_were(source: Path, target: Path) -> None:
    import_kuairand(source, target)
    before = read_days(target)
    (source / "log.parquet").write_bytes(b"PAR1 broken off")
    with pytest.raises(SourceError, match=r"log\.parquet"):
        import_kuairand(source, target)
    after = read_days(target)
    assert list(after) == list(before)
    assert all(after[name].equals(before[name]) for name in before)
    assert sorted(path.name for path in target.iterdir()) == ["logs", "params.yaml"]


def test_days_of_an_earlier_import_do_not_stay(target: Path, tmp_path: Path) -> None:
    import_kuairand(write_parquet(tmp_path / "long", log_frame(hourly(9))), target)
    (target / "logs" / "notes.txt").write_text("mine", encoding="utf-8")
    summary = import_kuairand(write_parquet(tmp_path / "short", log_frame(hourly(7))), target)
    names = [f"impressions-{day}.parquet" for day in summary.days]
    assert len(names) == 7
    assert sorted(path.name for path in (target / "logs").iterdir()) == [*names, "notes.txt"]


def test_importing_again_writes_the_same_bytes(source: Path, target: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in target.rglob("*") if path.is_file()}

    import_kuairand(source, target)
    before = contents()
    assert not import_kuairand(source, target).params_kept
    assert contents() == before


@pytest.mark.slow
@pytest.mark.ci
def test_params_fit_the_days(source: Path, target: Path) -> None:
    summary = import_kuairand(source, target)
    config = load_config(summary.params, env={})
    assert config.home == target.resolve()
    assert config.timezone == "Asia/Shanghai"
    assert (config.reference.first, config.reference.last) == (date(2022, 4, 25), date(2022, 5, 1))
    assert config.domains.unknown == "other"
    day = date(2022, 5, 2)
    staged = stage(config, fetch(config, day, target), ["tab 1", "tab 2"], target / "day.duckdb")
    assert count_rejected(staged) == []
    with connect(staged.database, reach=staged.reach) as con:
        staged_rows = con.execute(
            "SELECT item_id, domain, category, click_value, convert_value, hour, x_duration_ms "
            "FROM staged ORDER BY row_id"
        ).fetchall()
    written = read_days(target)[f"impressions-{day}.parquet"]
    assert staged_rows == [
        (
            str(row.video_id),
            f"tab {row.tab}" if row.tab in (1, 2) else "other",
            row.category or "none",
            row.is_click,
            row.is_click * row.long_view,
            hour,
            row.duration_ms,
        )
        for hour, row in enumerate(written.itertuples())
    ]


@pytest.mark.parametrize(
    ("hours", "first", "last"),
    [
        (range(-72 * 24, -60 * 24), "2022-02-12", "2022-02-18"),
        (range(-72 * 24 + 20, -60 * 24), "2022-02-13", "2022-02-19"),
        (range(24 * 3), "2022-04-25", "2022-04-27"),
        (range(3), "2022-04-25", "2022-04-25"),
    ],
    ids=["another season", "its first day partial", "fewer than a week", "a partial day only"],
)
@pytest.mark.few(1)
def test_reference_days_follow_the_log(
    target: Path, tmp_path: Path, hours: range, first: str, last: str
) -> None:
    log = log_frame([MIDNIGHT + hour * HOUR for hour in hours])
    summary = import_kuairand(write_parquet(tmp_path / "source", log), target)
    reference = load_config(summary.params, env={}).reference
    assert (reference.first.isoformat(), reference.last.isoformat()) == (first, last)


def test_edited_params_are_kept(source: Path, target: Path) -> None:
    params = import_kuairand(source, target).params
    edited = params.read_text(encoding="utf-8") + "seed: 11\n"
    params.write_text(edited, encoding="utf-8")
    lines: list[str] = []
    summary = import_kuairand(source, target, progress=lines.append)
    assert summary.params_kept
    assert params.read_text(encoding="utf-8") == edited
    assert any("params.yaml" in line and "kept" in line for line in lines)


def test_broken_params_stop_the_import_before_days_change(source: Path, target: Path) -> None:
    target.mkdir()
    (target / "params.yaml").write_text("workspace: .\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="source"):
        import_kuairand(source, target)
    assert not (target / "logs").exists()


def test_progress_names_every_file_and_day(source: Path, target: Path) -> None:
    lines: list[str] = []
    summary = import_kuairand(source, target, progress=lines.append)
    for what in ("log.parquet", "users.parquet", "videos.parquet", *summary.days):
        assert sum(what in line for line in lines) == 1


def test_paths_with_glob_signs_and_quotes_are_names(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "it's [1]*", log_frame(hourly(2)))
    assert import_kuairand(source, tmp_path / "out's #2").rows == 48
    assert len(read_all(tmp_path / "out's #2")) == 48


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> ImportSummary:
    """The fortnight of KuaiRand-Pure, imported once."""
    if not REAL.is_dir():
        pytest.skip("the KuaiRand-Pure sample is not at ../shared/data/kuairand_pure_14d")
    return import_kuairand(REAL, tmp_path_factory.mktemp("kuairand"))


def test_the_real_fortnight_keeps_its_rows_and_copies(real: ImportSummary) -> None:
    assert real.rows == sum(real.days.values()) == 228_329
    assert len(real.days) == 15
    assert real.days["2022-04-24"] == 141
    rows = read_all(real.params.parent)
    assert len(rows) == real.rows
    assert rows.duplicated().sum() == 5_460
    assert rows["author_id"].notna().all()
    assert rows["user_active_degree"].notna().all()


def test_the_real_fortnight_gets_its_reference_week(real: ImportSummary) -> None:
    config = load_config(real.params, env={})
    assert (config.reference.first, config.reference.last) == (date(2022, 4, 25), date(2022, 5, 1))
    assert not real.params_kept
