"""Files of rows, scored by the command line."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.serving import Scorer


@pytest.fixture
def source(read_only, tmp_path):
    table = read_only.rows
    return table, tmp_path


def test_parquet_is_scored_in_the_order_of_its_rows(driftune, read_only, tmp_path):
    rows = read_only.rows
    pq.write_table(rows, tmp_path / "in.parquet")
    ended = driftune(
        *("score", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet")),
        *("--bundle", str(read_only.bundle)),
    )
    assert (ended.code, ended.err) == (0, "")
    assert f"{rows.num_rows:,} rows scored" in ended.out
    found = pq.read_table(tmp_path / "out.parquet")
    wanted = Scorer.open(read_only.bundle).score(rows)
    assert found.select(wanted.column_names).equals(wanted)
    assert found.select(rows.column_names).equals(rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_files_have_the_scores_of_the_same_rows(driftune, read_only, tmp_path, ending):
    given = read_only.rows.drop_columns(["since", "cents", "weight", "fresh", "opened"])
    frame = given.to_pandas()
    frame["event_time"] = frame["event_time"].astype(str)
    for name, value in {
        "since": "2020-01-01 10:00:00.5",
        "cents": "1.25",
        "weight": "0.125",
        "fresh": "x",
        "opened": "true",
    }.items():
        frame[name] = value
    source = tmp_path / f"in.{ending}"
    if ending == "csv":
        frame.to_csv(source, index=False)
    else:
        frame.to_json(source, orient="records", lines=True, double_precision=15)
    target = tmp_path / f"out.{ending}"
    ended = driftune(
        *("score", str(source), "--out", str(target), "--bundle", str(read_only.bundle))
    )
    assert (ended.code, ended.err) == (0, "")
    found = pd.read_csv(target) if ending == "csv" else pd.read_json(target, lines=True)
    frame["event_time"] = pd.to_datetime(frame["event_time"])
    wanted = Scorer.open(read_only.bundle).score(pa.Table.from_pandas(frame))
    assert (found.p_click - wanted["p_click"].to_numpy()).abs().max() < 1e-6


def test_rows_that_cannot_be_scored_go_to_a_file_of_their_own(driftune, read_only, tmp_path):
    frame = read_only.rows.to_pandas()
    frame.loc[3, "user_id"] = None
    frame["fee"] = frame["fee"].astype(object)
    frame.loc[5, "fee"] = "free"
    pa_table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(pa_table, tmp_path / "in.parquet")
    ended = driftune(
        *("score", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.jsonl"), "--json"),
        *("--bundle", str(read_only.bundle)),
    )
    said = json.loads(ended.out)
    assert (said["scored"], said["left"]) == (len(frame) - 2, 2)
    with (tmp_path / "out.not-scored.jsonl").open() as file:
        left = [json.loads(line) for line in file]
    assert [row["why"] for row in left] == ["no user", "fee is no number"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("in.xlsx", b"x", "its format is not known by its ending"),
        ("in.parquet", b"x", "cannot be read"),
        ("in.csv", b"a,b\n1,2\n", "the rows lack the column 'category' (columns.category) and "),
        ("in.jsonl", b"[1]\n", "line 1 is no object"),
        ("gone.csv", None, "No such file"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(
    driftune, read_only, tmp_path, name, content, told
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ended = driftune(
        *("score", str(tmp_path / name), "--out", str(tmp_path / "out.csv")),
        *("--bundle", str(read_only.bundle)),
    )
    assert ended.code == 1
    assert told in " ".join(ended.err.split())
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
@pytest.mark.ci
def test_without_a_bundle_one_is_made_for_the_run(driftune, served, tmp_path):
    pq.write_table(served.rows, tmp_path / "in.parquet")
    before = sorted(path.name for path in served.world.root.iterdir())
    ended = driftune(
        *("score", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet")),
        *("--config", str(served.world.params), "--as-of", str(served.world.day(2))),
        *("--domain", "home · north"),
    )
    assert ended.code == 0, ended.err
    found = pq.read_table(tmp_path / "out.parquet")
    assert set(found["domain"].to_pylist()) == {"home · north"}
    assert set(found["served_by"].to_pylist()) == {"adapter"}
    assert sorted(path.name for path in served.world.root.iterdir()) == before
