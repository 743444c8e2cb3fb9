"""Files scored on Ray: the same bytes as without it, errors in one line."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.config import Config
from driftune.errors import ConfigError, RowsError
from driftune.serving import Scorer, formats
from driftune.serving.files import score_file
from driftune.serving.on_ray import on_ray

pytestmark = [pytest.mark.slow, pytest.mark.ci]


@pytest.fixture
def config(read_only) -> Config:
    """The world's settings, with two workers on Ray."""
    found = read_only.world.config
    runner = found.runner.model_copy(update={"kind": "ray"})
    return found.model_copy(update={"runner": runner})


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, with two workers."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20,
        log_to_driver=False, logging_level="ERROR",
    )  # fmt: skip
    yield ray
    ray.shutdown()


def test_the_output_is_the_same_byte_for_byte(read_only, config, cluster, tmp_path, monkeypatch):
    rows = read_only.rows
    broken = rows.slice(0, 5).set_column(
        rows.column_names.index("user_id"), "user_id", pa.nulls(5, pa.string())
    )
    pq.write_table(
        pa.concat_tables([rows, broken, rows]), tmp_path / "in.parquet", row_group_size=150
    )
    monkeypatch.setattr(formats, "BATCH", 256)
    scorer = Scorer.open(read_only.bundle)
    plain = score_file(scorer, tmp_path / "in.parquet", tmp_path / "plain.parquet")
    told: list[int] = []
    by = on_ray(config, str(read_only.bundle))
    found = score_file(
        scorer, tmp_path / "in.parquet", tmp_path / "ray.parquet", None, told.append, by
    )
    assert (found.scored, found.left) == (plain.scored, plain.left) == (2 * len(rows), 5)
    assert len(told) > 4 and sum(told) == 2 * len(rows) + 5
    for kind in ("", ".not-scored"):
        one, other = (tmp_path / f"{name}{kind}.parquet" for name in ("plain", "ray"))
        assert one.read_bytes() == other.read_bytes()


def test_errors_are_those_of_the_scorer(read_only, config, cluster, tmp_path):
    pq.write_table(read_only.rows.drop_columns(["user_id"]), tmp_path / "in.parquet")
    scorer, by = Scorer.open(read_only.bundle), on_ray(config, str(read_only.bundle))
    with pytest.raises(RowsError, match="the rows lack the column") as error:
        score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet", by=by)
    assert "\n" not in str(error.value) and not (tmp_path / "out.parquet").exists()
    with pytest.raises(ConfigError, match="a worker could not score") as ended:
        by = on_ray(config, str(read_only.bundle), shadow=True)
        score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet", by=by)
    assert "was exported without challengers" in str(ended.value)


def test_a_cluster_that_does_not_answer_is_one_line(read_only, config, tmp_path):
    runner = config.runner.model_copy(update={"address": "127.0.0.1:9"})
    config = config.model_copy(update={"runner": runner})
    pq.write_table(read_only.rows, tmp_path / "in.parquet")
    scorer, by = Scorer.open(read_only.bundle), on_ray(config, str(read_only.bundle))
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    ray.shutdown()
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        score_file(scorer, tmp_path / "in.parquet", tmp_path / "out.parquet", by=by)
