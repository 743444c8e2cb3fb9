"""The demo's workspace: cleared before each demo, but for what need not be made again."""

from pathlib import Path

from driftune.cli.demo import clear


def test_a_workspace_that_is_not_the_demo_s_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "workspace"
    (home / "lake").mkdir(parents=True)
    assert not clear(home)
    assert (home / "lake").exists()


def test_only_the_model_of_an_earlier_demo_stays(tmp_path: Path) -> None:
    home = tmp_path / "workspace"
    assert clear(home)
    for folder in ("lake/_delta_log", "model/backbone", "reports"):
        (home / folder).mkdir(parents=True)
        (home / folder / "file").touch()
    (home / "ledger.db").touch()
    assert clear(home)
    assert sorted(path.name for path in home.iterdir()) == [".demo", "model"]
    assert (home / "model" / "backbone" / "file").exists()
    assert clear(home)
