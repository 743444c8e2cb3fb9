"""params.yaml: every wrong value fails before anything runs, naming file, key, value and choice."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from driftune.config import Config, loading
from driftune.config.loading import TRACKED, load_config
from driftune.errors import ConfigError
from tests.conftest import small_params

SHIPPED = Path(__file__).parents[2] / "params.yaml"


def load(folder: Path, env: dict[str, str] | None = None, **changes: Any) -> Config:
    """Load the small params.yaml with some dotted keys changed."""
    params = small_params()
    for dotted, value in changes.items():
        *path, last = dotted.split("__")
        node = params
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    return load_config(file, env=env or {})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"drift__sample_rows": 0}, "drift.sample_rows = 0: must be above 0"),
        (
            {"drift__html": "sometimes"},
            "drift.html = 'sometimes': must be 'alerts', 'all'",
        ),
        ({"gate__confidence": "high"}, "gate.confidence = 'high': must be a number"),
        ({"timezone": "Mars/Base"}, "timezone = 'Mars/Base': must be an IANA"),
        ({"source__uri": "logs/day.parquet"}, "source.uri = 'logs/day.parquet': must"),
        ({"reference__first": "yesterday"}, "reference.first = 'yesterday'"),
        ({"reference__last": "2020-01-01"}, "last must not lie before first"),
        ({"drfit__min_rows": 3}, "unknown key 'drfit'; did you mean drift?"),
        ({"gate__min_efect": 3}, "unknown key 'gate.min_efect'"),
        (
            {"columns__category": None},
            "features.counters.per: ['category', 'domain'] needs columns.category; name it, or",
        ),
        (
            {"columns__convert": None, "gate__metric": "ctcvr_auc"},
            "gate.metric = 'ctcvr_auc' needs columns.convert; name it, or write ctr_auc",
        ),
        ({"features__counters__per": [["users"]]}, "counters.per: 'users' is not one of user"),
        ({"adapter__gate_share": 0.7, "adapter__select_share": 0.4}, "must stay below 1"),
        ({"gate__calibration_band": [1.4, 0.7]}, "the first bound must be below the second"),
        ({"quality__click_rate": [0.5, 0.5]}, "the first bound must be below the second"),
        ({"quality__ranges": {"price": [5, 1]}}, "the first bound must not lie above the second"),
        ({"quality__ranges": {"price": [float("nan"), 1]}}, "quality.ranges.price.0 = nan"),
        ({"quality__ranges": {"prize": [0, 1]}}, "quality.ranges: 'prize' is not one of price"),
        ({"quality__severity": {"nulls": "info"}}, "'nulls' is no rule; there are user_missing"),
        ({"quality__severity": {"files": "loud"}}, "quality.severity.files = 'loud'"),
        ({"quality__severity": {"user_missing": False}}, "user_missing cannot be off"),
        (
            {"quality__extra": [{"expectation": "ExpectMagic", "sentence": "It is there."}]},
            "quality.extra.0.expectation = 'ExpectMagic': is no expectation",
        ),
        ({"seed": -1}, "seed = -1: must be 0 or more"),
        ({"adapter__beta": [0.1, -1]}, "adapter.beta.1 = -1: must be 0 or more"),
        ({"trigger": None}, "trigger = null: must be 'inline' or 'event'"),
        ({"columns__time": "event_time"}, "columns.time = 'event_time'"),
    ],
)
@pytest.mark.few(6)
def test_a_wrong_value_names_file_key_and_choice(
    tmp_path: Path, changes: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, **changes)
    assert str(error.value).startswith(f"{tmp_path / 'params.yaml'}: ")
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 7\ngate:\n  min_rows: 3\n  min_rows: 4\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 4: 'min_rows' is there twice; remove one"):
        load_config(path, {})


def test_one_beta_may_stand_alone(tmp_path: Path) -> None:
    assert load(tmp_path, adapter__beta=0.01).adapter.beta == [0.01]


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    params = small_params()
    del params["columns"]["user"]
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"key 'columns\.user' is missing; add it"):
        load_config(file, env={})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: [1", "not valid YAML"),
        ("- a\n- b", "found a list; driftune init"),
        ("", "found nothing; driftune init"),
        ("source: 3", "source = 3"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, wanted: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(file, env={})
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read .*give --config PATH"):
        load_config(tmp_path / "none.yaml", env={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "binary.yaml", env={})


def test_the_environment_overrides_a_value(tmp_path: Path) -> None:
    env = {"DRIFTUNE__DRIFT__MIN_ROWS": "77", "DRIFTUNE__TRIGGER": "event", "OTHER": "x"}
    config = load(tmp_path, env=env)
    assert config.drift.min_rows == 77
    assert config.trigger == "event"
    nested = load(tmp_path, env={"DRIFTUNE__DRIFT__CONFIRM__P": "0.02"})
    assert nested.drift.confirm.p == 0.02


def test_a_wrong_override_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"drift\.min_rows = 'many'"):
        load(tmp_path, env={"DRIFTUNE__DRIFT__MIN_ROWS": "many"})
    with pytest.raises(ConfigError, match="unknown key 'drifts'"):
        load(tmp_path, env={"DRIFTUNE__DRIFTS__MIN_ROWS": "3"})
    with pytest.raises(ConfigError, match="'trigger' is a value, not a section"):
        load(tmp_path, env={"DRIFTUNE__TRIGGER__KIND": "3"})


@pytest.mark.parametrize("section", TRACKED)
def test_what_dvc_tracks_is_not_overridden(tmp_path: Path, section: str) -> None:
    name = f"DRIFTUNE__{section.upper()}__X"
    with pytest.raises(ConfigError, match=f"{name}: '{section}' is tracked by DVC"):
        load(tmp_path, env={name: "1"})


def test_dates_are_read_quoted_or_not(tmp_path: Path) -> None:
    quoted = load(tmp_path)
    file = tmp_path / "params.yaml"
    file.write_text(file.read_text().replace("'2026-03-02'", "2026-03-02"), encoding="utf-8")
    assert load_config(file, env={}).reference.first == quoted.reference.first


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load(tmp_path)
    day = config.reference.first
    assert config.source_uri(day) == str(tmp_path / "logs" / f"{day}.parquet")
    assert config.home == tmp_path / "workspace"
    remote = load(tmp_path, source__uri="s3://bucket/{day}/*.parquet")
    assert remote.source_uri(day) == f"s3://bucket/{day}/*.parquet"


def test_a_workspace_that_the_lake_cannot_lie_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot lie in a folder with \[ \] in its path"):
        load(tmp_path, workspace="runs [1]")


def test_the_shipped_file_repeats_the_defaults(tmp_path: Path) -> None:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    config = load_config(SHIPPED, env={})
    assert config.model_dump(mode="json") == Config.model_validate(shipped).model_dump(mode="json")
    own = {"source", "reference", "columns"}
    bare = Config.model_validate({name: shipped[name] for name in own})
    features = config.features.model_copy(update={"categorical": {}})
    for name in set(Config.model_fields) - own - {"features"}:
        assert getattr(config, name) == getattr(bare, name), name
    assert features == bare.features


def test_without_a_role_the_defaults_are_those_that_need_none(tmp_path: Path) -> None:
    given = {"features__counters": {"smoothing": 5}, "adapter": {"epochs": 3}}
    whole = load(tmp_path, **given)
    lacking = load(tmp_path, columns__category=None, columns__convert=None, **given)
    per = [key for key in whole.features.counters.per if "category" not in key]
    assert lacking.features.counters.per == per != whole.features.counters.per
    assert lacking.features.counters.smoothing == 5 and lacking.adapter.epochs == 3
    assert (whole.adapter.at, lacking.adapter.at) == (
        ["click_tower.1", "convert_tower.1"],
        ["click_tower.1"],
    )
    # Read again as it was written, it is the same.
    again = Config.model_validate(lacking.model_dump(mode="json"))
    assert (again.features, again.adapter) == (lacking.features, lacking.adapter)


@pytest.mark.parametrize(
    "text",
    [
        "workspace: " + "[" * 30_000,
        "workspace: " + "- " * 30_000,
        "workspace: " + "{a: " * 30_000,
        "workspace: " + "? " * 30_000,
        "".join(" " * n + "a:\n" for n in range(2000)),
        'workspace: "\\U00110000"',
    ],
    ids=["brackets", "dashes", "braces", "marks", "blanks", "no character"],
)
@pytest.mark.few(1)
def test_a_text_that_is_nested_without_end_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml: not valid YAML: [^\n]+$"):
        load_config(path, env={})


@pytest.mark.parametrize(
    ("text", "value"),
    [("seed: !", None), ("seed: 7\n\ufeffseed: 8", None), ("seed:\t7", None), ("seed: 07", 7)],
)
def test_libyaml_changes_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: int | None
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    found = []
    for fast in (loading._Fast, loading._Loader):
        monkeypatch.setattr(loading, "_Fast", fast)
        try:
            found.append(loading._read(path, ""))
        except ConfigError as error:
            found.append(str(error))
    assert found[0] == found[1]
    assert value is None or found[0] == {"seed": value}
