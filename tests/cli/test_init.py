"""``driftune init`` from a folder of files to a configuration that runs."""

import sys
from pathlib import Path

import pytest

from driftune.cli import main
from tests.conftest import FIRST, impressions


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds three days of a shop, and is the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs"
    folder.mkdir()
    for number in range(3):
        day = FIRST.replace(day=FIRST.day + number)
        impressions(day, rows=400).to_parquet(folder / f"{day}.parquet", index=False)
    return folder


def init(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["driftune", "init", *arguments])
    main()


def test_it_writes_a_configuration_and_says_what_is_next(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs", "--yes", "--answer", "domain=scene")
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "3 days, 2026-03-02 to 2026-03-04: logs/{day}.parquet" in said
    assert "domain: scene (sure; as answered)" in said
    assert "ok: source: 1 file(s) of 2026-03-03, 13 columns" in said
    assert "no encoder yet" not in said
    assert "backbone: none yet; the next command pre-trains one first" in said
    assert "next: driftune replay --from 2026-03-04 --to 2026-03-04 -c params.yaml" in said
    text = (logs.parent / "params.yaml").read_text()
    assert '  click: "click"' in text
    assert "#   restaurant_id: 20 values" in text


def test_a_file_that_is_there_is_not_written_over(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = logs.parent / "params.yaml"
    params.write_text("mine")
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs", "--yes")
    assert ended.value.code == 1
    assert "params.yaml: is there already" in capsys.readouterr().err
    assert params.read_text() == "mine"


def test_what_cannot_be_told_is_asked_for_in_one_line(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in logs.iterdir():
        impressions(FIRST, rows=200).drop(columns=["click", "ordered"]).to_parquet(path)
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs")
    assert ended.value.code == 1
    line = capsys.readouterr().err
    assert "cannot tell click: no column of 0 and 1" in line
    assert "say --answer click=COLUMN, or --yes" in line
    assert not (logs.parent / "params.yaml").exists()


@pytest.mark.parametrize("extra", [(), ("--split-to", "split")])
def test_a_zone_that_is_none_is_one_line_before_anything(
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: tuple[str, ...],
) -> None:
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs", "--yes", "--timezone", "Mars/X", *extra)
    assert ended.value.code == 1
    assert "--timezone Mars/X: is no IANA time zone" in capsys.readouterr().err
    assert [path.name for path in logs.parent.iterdir()] == ["logs"]


def test_a_needed_role_without_a_column_is_one_line_and_no_file(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in logs.iterdir():
        frame = impressions(FIRST, rows=200)[["click", "event_time"]]
        frame.assign(a=1, b="x").to_parquet(path)
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs", "--yes")
    assert ended.value.code == 1
    line = capsys.readouterr().err.strip()
    assert "cannot tell user: no column has as many values as users have; item: " in line
    assert line.endswith("say --answer user=COLUMN")
    assert [path.name for path in logs.parent.iterdir()] == ["logs"]


def test_what_does_not_load_is_not_written(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "logs", "--yes", "--to", "a[1]/params.yaml")
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "a[1]/params.yaml: workspace = " in said
    assert "nothing was written" in said
    assert list((logs.parent / "a[1]").iterdir()) == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_path_with_signs_is_read_again(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.rename(logs.parent / "$HOME ~x")
    with pytest.raises(SystemExit) as ended:
        init(monkeypatch, "$HOME ~x", "--yes", "--answer", "domain=scene")
    assert not ended.value.code
    assert "ok: source: 1 file(s)" in capsys.readouterr().out
    assert 'uri: "$$HOME ~x/{day}.parquet"' in (logs.parent / "params.yaml").read_text()
