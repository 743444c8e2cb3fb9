"""Files of rows in Python: batches on several threads, columns that come late, odd names."""

import json
import threading

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
import torch

from driftune.serving import RowsError, Scorer, files, formats
from driftune.serving.files import score_file


@pytest.fixture
def scorer(read_only):
    return Scorer.open(read_only.bundle)


@pytest.fixture
def small(monkeypatch):
    """Batches of 64 rows, on a machine with three cores."""
    monkeypatch.setattr(formats, "BATCH", 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def as_dicts(rows):
    """Rows as JSON has them."""
    kept = rows.drop_columns(["since", "event_time"]).to_pylist()
    return [{**row, "since": "2020-01-01 10:00:00.5"} for row in kept]


def test_batches_are_written_in_order_with_the_scores_of_each(scorer, read_only, small, tmp_path):
    rows = read_only.rows
    pq.write_table(rows, tmp_path / "in.parquet")
    told = []
    found = score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet", told=told.append)
    written = pq.read_table(tmp_path / "out.parquet")
    wanted = pa.concat_tables(
        scorer.score(rows.slice(start, 64)) for start in range(0, rows.num_rows, 64)
    )
    assert written.select(wanted.column_names).equals(wanted.combine_chunks())
    assert written.select(rows.column_names).equals(rows)
    assert found == (rows.num_rows, 0, None) and sum(told) == rows.num_rows
    assert torch.get_num_threads() == 3


def test_few_batches_are_ahead_of_what_is_written(scorer, read_only, small, tmp_path, monkeypatch):
    pq.write_table(read_only.rows, tmp_path / "in.parquet")
    ahead, most, read = 0, 0, formats.read_batches

    def counted(source):
        nonlocal ahead, most
        for batch in read(source):
            ahead += 1
            most = max(most, ahead)
            yield batch

    def told(_):
        nonlocal ahead
        ahead -= 1

    monkeypatch.setattr(files, "read_batches", counted)
    score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet", told=told)
    assert ahead == 0 and 3 <= most <= 5


def test_a_batch_that_fails_leaves_no_file_and_no_thread(
    scorer, read_only, small, tmp_path, monkeypatch
):
    pq.write_table(read_only.rows, tmp_path / "in.parquet")
    score, third = scorer.score, read_only.rows.slice(128, 64)

    def failing(table):
        if table.equals(third):
            raise RowsError("the third one")
        return score(table)

    monkeypatch.setattr(scorer, "score", failing)
    with pytest.raises(RowsError, match="the third one"):
        score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
    assert torch.get_num_threads() == 3
    assert not any(thread.name.startswith("score") for thread in threading.enumerate())


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_key_may_come_for_the_first_time_in_any_line(scorer, read_only, small, tmp_path, ending):
    rows = as_dicts(read_only.rows.slice(0, 200))
    for row in rows[:-1]:
        row.pop("price", None)
    rows[-1] |= {"price": 3, "note": "late"}
    source, target = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score_file(scorer, source, target).scored == 200
    if ending == "jsonl":
        found = pa.Table.from_pylist(lines(target))
    else:
        found = pq.read_table(target) if ending == "parquet" else pc_csv.read_csv(target)
    notes = found["note"].to_pylist()
    assert notes[-1] == "late" and not any(notes[:-1]) and found["p_click"].null_count == 0


def test_an_earlier_run_s_rows_without_scores_are_removed(scorer, read_only, tmp_path):
    rows = as_dicts(read_only.rows.slice(0, 3))
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({**row, "user_id": None}) + "\n" for row in rows))
    left_in = score_file(scorer, source, target).left_in
    assert len(lines(left_in)) == 3
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score_file(scorer, source, target) == (3, 0, None)
    assert not left_in.exists()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.not-scored.jsonl", "link.jsonl"])
def test_an_output_that_is_the_input_is_refused(scorer, read_only, tmp_path, name):
    source = tmp_path / name
    content = json.dumps(as_dicts(read_only.rows.slice(0, 1))[0])
    (tmp_path / "rows.jsonl").write_text(content)
    if name.startswith("link"):
        source.symlink_to(tmp_path / "rows.jsonl")
    source.write_text(content)
    with pytest.raises(RowsError, match="would be written over") as told:
        score_file(scorer, source, tmp_path / "rows.jsonl")
    assert "\n" not in str(told.value) and source.read_text() == content


def test_a_list_that_csv_cannot_hold_is_refused_by_its_column(scorer, read_only, tmp_path):
    rows = read_only.rows.slice(0, 3)
    rows = rows.append_column("tags", pa.array([["a"], [], None], pa.list_(pa.string())))
    pq.write_table(rows, tmp_path / "in.parquet")
    with pytest.raises(RowsError, match=r"column 'tags' is list<.*>, which csv files cannot hold"):
        score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.jsonl").scored == 3
    assert lines(tmp_path / "out.jsonl")[0]["tags"] == ["a"]


def test_columns_that_are_called_like_scores_are_kept(scorer, read_only, tmp_path):
    rows = read_only.rows.slice(0, 3)
    own = {"domain": ["a", "b", "c"], "why": ["x"] * 3, "given_why": ["y"] * 3, "p_click": [1] * 3}
    for name, values in own.items():
        rows = rows.append_column(name, pa.array(values))
    pq.write_table(rows, tmp_path / "in.parquet")
    score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["given_domain"].to_pylist() == ["a", "b", "c"]
    assert found["given_given_why"].to_pylist() == ["x"] * 3
    assert found["given_why"].to_pylist() == ["y"] * 3
    assert found["given_p_click"].to_pylist() == [1] * 3
    wanted = scorer.score(rows)
    assert found.select(wanted.column_names).equals(wanted)


def test_a_domain_that_nobody_knows_is_refused_and_one_without_rows_is_not(
    scorer, read_only, tmp_path
):
    rows = read_only.rows.filter(pa.compute.equal(read_only.rows["scene"], "home"))
    pq.write_table(rows, tmp_path / "in.parquet")
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    with pytest.raises(RowsError, match=r"no row is of the domain 'home · nroth'.*home · north"):
        score_file(scorer, source, target, "home · nroth")
    assert not target.exists()
    assert score_file(scorer, source, target, "search · north") == (0, 0, None)
    assert pq.read_table(target).num_rows == 0
    assert score_file(scorer, source, target, "home · north").scored > 0


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_file_without_rows_gives_one_without_rows(scorer, read_only, tmp_path, ending):
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    empty = read_only.rows.slice(0, 0)
    if ending == "parquet":
        pq.write_table(empty, source)
    elif ending == "csv":
        pc_csv.write_csv(empty, source)
    else:
        source.touch()
    assert score_file(scorer, source, target) == (0, 0, None)
    if ending == "parquet":
        assert pq.read_table(target).column_names[: empty.num_columns] == empty.column_names
    assert target.exists()


def test_a_request_without_rows_has_an_answer_without_rows(scorer, read_only):
    columns = scorer.score(read_only.rows.slice(0, 1)).schema
    for rows in ([], read_only.rows.slice(0, 0), pa.table({})):
        found = scorer.score(rows)
        assert found.num_rows == 0 and found.schema == columns
    with pytest.raises(RowsError, match="the rows lack the column"):
        scorer.score(pa.table({"a": []}))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("dear", r"column 'price': row 2 has 'dear' \(str\)"),
        ([1], r"column 'price': row 2 has '\[1\]' \(list\)"),
        (object(), r"column 'price': row 2 has '<object"),
        (2**70, r"column 'price': row 2 has '1180591620717411303424' \(int\)"),
    ],
)
def test_dicts_of_mixed_types_are_refused_by_row_and_column(scorer, read_only, value, told):
    rows = as_dicts(read_only.rows.slice(0, 5))
    for number, row in enumerate(rows):
        row["price"] = value if number == 2 else 1
    with pytest.raises(RowsError, match=told) as refused:
        scorer.score(rows)
    assert "\n" not in str(refused.value)
    with pytest.raises(RowsError, match="row 1 is a list"):
        scorer.score([rows[0], [1]])
