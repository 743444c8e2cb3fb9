"""Local paths of params.yaml: a home and variables are filled in, or one line says what is not."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftune.config.loading import load_config
from driftune.config.paths import expanded
from driftune.errors import ConfigError
from driftune.lake.store import LakeFolder, store_of
from tests.conftest import Ended, small_params

DAY = date(2026, 5, 1)
ENV = {"HOME": "/home/ana", "DATA": "/data", "DATA_2": "/more"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("~/ws", "/home/ana/ws"),
        ("~", "/home/ana"),
        ("$HOME/ws", "/home/ana/ws"),
        ("${HOME}/ws", "/home/ana/ws"),
        ("$DATA/{day}/*.parquet", "/data/{day}/*.parquet"),
        ("${DATA}{day}.csv", "/data{day}.csv"),
        ("$DATA_2/a", "/more/a"),
        ("sub/$DATA_2", "sub//more"),
        ("file://$DATA/{day}.csv", "file:///data/{day}.csv"),
        ("file:~/mlruns", "file:/home/ana/mlruns"),
        ("sqlite:///~/ledger.db", "sqlite:////home/ana/ledger.db"),
        ("sqlite+pysqlite:///$DATA/l.db", "sqlite+pysqlite:////data/l.db"),
        # What is neither stays as it is.
        ("workspace", "workspace"),
        ("a/~b/c~", "a/~b/c~"),
        ("cash$5/$-x/$", "cash$5/$-x/$"),
        ("cash$$HOME/x", "cash$HOME/x"),
        ("s3://bucket/$DATA/{day}", "s3://bucket/$DATA/{day}"),
        ("postgresql://ana:pa$DATA@host/db", "postgresql://ana:pa$DATA@host/db"),
        ("https://mlflow.example/~ana", "https://mlflow.example/~ana"),
    ],
)
def test_a_path_with_its_home_and_variables(given: str, wanted: str) -> None:
    assert expanded(given, ENV) == wanted


def test_a_home_whose_name_has_a_dollar_is_none_of_a_variable() -> None:
    assert expanded("~/ws", {"HOME": "/home/a$b"}) == "/home/a$b/ws"


def written(folder: Path, **changes: Any) -> Path:
    params = small_params()
    for key, value in changes.items():
        params[key] = {**params[key], **value} if isinstance(value, dict) else value
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    return file


def test_every_key_that_is_a_local_path(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        workspace="~/ws",
        lake="$DATA/lake",
        source={"uri": "~/logs/{day}.parquet"},
        reference={"uri": "${DATA}/ref-{day}.parquet"},
        registry={"ledger": "sqlite:///~/l.db", "mlflow": "~/mlruns"},
        observe={"log_file": "$DATA/run.jsonl"},
    )
    config = load_config(file, ENV)
    assert config.home == Path("/home/ana/ws")
    store = store_of(config)
    assert isinstance(store, LakeFolder)
    assert store.folder == Path("/data/lake")
    assert config.source_uri(DAY) == "/home/ana/logs/2026-05-01.parquet"
    first = config.reference.first
    assert config.source_uri(first) == f"/data/ref-{first}.parquet"
    assert (config.registry.ledger, config.registry.mlflow) == (
        "sqlite:////home/ana/l.db",
        "/home/ana/mlruns",
    )
    assert config.observe.log_file == Path("/data/run.jsonl")


def test_an_override_is_filled_in_like_the_file(tmp_path: Path) -> None:
    env = {**ENV, "DRIFTUNE__WORKSPACE": "~/ws", "DRIFTUNE__SOURCE__URI": "${DATA}/{day}.csv"}
    config = load_config(written(tmp_path), env)
    assert config.home == Path("/home/ana/ws")
    assert config.source_uri(DAY) == "/data/2026-05-01.csv"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"workspace": "$NONE/x"}, "workspace = '$NONE/x': the variable $NONE is not set; set it"),
        ({"lake": "${NONE}"}, "lake = '${NONE}': the variable ${NONE} is not set"),
        ({"workspace": "$EMPTY/x"}, "the variable $EMPTY is not set"),
        ({"source": {"uri": "${}/{day}"}}, "source.uri = '${}/{day}': the variable ${} is not"),
        ({"workspace": "~nobody-at-all/x"}, "no home folder is known for ~nobody-at-all; set HOME"),
    ],
)
def test_what_is_not_set_is_one_line(tmp_path: Path, changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(written(tmp_path, **changes), {**ENV, "EMPTY": ""})
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_what_names_no_home_and_no_variable_is_what_it_was(tmp_path: Path) -> None:
    file = written(tmp_path)
    plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    config = load_config(file, {})
    assert (config.workspace, config.source.uri) == (plain["workspace"], plain["source"]["uri"])
    assert config.reference.uri is None


def test_status_makes_no_folder_called_tilde(
    tmp_path: Path, driftune: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for number, value in enumerate(("~/ws", "$HOME/ws", "${HOME}/ws")):
        ended = driftune("status", "-c", str(written(project, workspace=value)))
        assert (number, ended.code) == (number, 0), ended.err
    assert (home / "ws" / "ledger.db").exists()
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml"]
