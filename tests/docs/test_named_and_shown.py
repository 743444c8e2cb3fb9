"""What README and docs name exists; what they show runs."""

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from typer.main import get_command

from driftune.cli import app
from driftune.config import Config
from driftune.config.loading import load_config, load_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
KUAIRAND = ROOT / "../shared/data/kuairand_pure_14d"
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FOLDERS = "src|tests|flows|tasks|scripts|benchmarks|deploy|docs|examples"


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language; an empty one is a block without a language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.S | re.M)
    return [code for name, code in found if name == language]


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The arguments of each line of a page's shell blocks that calls a program."""
    for code in blocks(page, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and words[0] == program:
                yield words[1:]


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and its own arguments."""
    command: click.Command = get_command(app)
    while (inner := getattr(command, "commands", None)) is not None:
        assert words and words[0] in inner, f"driftune has no command {' '.join(words)}"
        command, words = inner[words[0]], words[1:]
    return command, words


def test_readme_is_short() -> None:
    text = (ROOT / "README.md").read_bytes()
    assert len(text) <= 9_000
    assert len(text.splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_and_modules_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((?!https?:)([^)#]+)", text) if page.parent == ROOT else []:
        assert (ROOT / path).exists(), path
    for name in re.findall(r"\b(?:driftune|benchmarks)(?:\.[a-z_]+)+\b", text):
        if name.startswith(("driftune.drift.detected", "driftune.champion.")):
            continue  # events
        assert importlib.util.find_spec(name) is not None, name


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
@pytest.mark.few(8)
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in commands(page, "driftune"):
        command, arguments = resolved(words)
        known = {name for given in command.params for name in given.opts}
        used = {word.split("=")[0] for word in arguments if word.startswith("-")}
        assert used <= known | {"--help"}, " ".join(words)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for words in commands(page, "make"):
        assert words[0] in targets
    for line in re.findall(r"`driftune ([a-z][a-z -]*)", page.read_text(encoding="utf-8")):
        resolved(line.split())


def test_commands_that_the_readme_lists_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^driftune (\w+)", text, re.M)
    assert listed
    assert set(listed) <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_example_of_adapters_alone_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs/howto/adapters.md"
    (code,) = blocks(page, "python")
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = {}
    exec(compile(code, str(page), "exec"), values)
    assert set(values["report"].domains) == {"north", "harbour"}  # type: ignore[attr-defined]
    assert sorted(path.name for path in (tmp_path / "north-adapter").iterdir()) == [
        "adapter.safetensors",
        "card.json",
    ]


def test_no_python_block_is_left_untested() -> None:
    assert [page.name for page in PAGES if blocks(page, "python")] == [
        "adapters.md",
        "own-training.md",
        "serve.md",
    ]


def test_settings_that_pages_show_are_valid(tmp_path: Path) -> None:
    from driftune.simulate import SimulationConfig

    logs, *others = blocks(ROOT / "docs/howto/own-logs.md", "yaml")
    (world,) = blocks(ROOT / "docs/howto/simulation.md", "yaml")
    (tmp_path / "params.yaml").write_text(logs, encoding="utf-8")
    (tmp_path / "sim.yaml").write_text(world, encoding="utf-8")
    assert load_config(tmp_path / "params.yaml", {}).timezone == "Europe/Berlin"
    for other in others:
        merged, more = yaml.safe_load(logs), yaml.safe_load(other)
        # A table's column is one role of several.
        merged |= more | {"columns": merged["columns"] | more.get("columns", {})}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(merged), encoding="utf-8")
        config = load_config(tmp_path / "params.yaml", {})
        source = config.source
        if "tables" in more:
            assert config.tables["users"].logs_column == "user_id"
        elif source.day_from == "time":
            assert source.uri == "logs/all.parquet"
        elif source.explode:
            assert source.explode.columns == {"news": "impressions", "price": "page.items.price"}
        else:
            assert (source.csv.escape, source.csv.null) == ("\\", ["", r"\N"])
    assert load_settings(SimulationConfig, tmp_path / "sim.yaml").events
    (extra,) = blocks(ROOT / "docs/howto/quarantine.md", "yaml")
    merged = yaml.safe_load(logs) | yaml.safe_load(extra)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(merged), encoding="utf-8")
    (stated,) = load_config(tmp_path / "params.yaml", {}).quality.extra
    assert stated.arguments.keys() == {"column", "value_set", "mostly"}


def test_the_recommender_that_the_page_shows_is_an_example_s() -> None:
    from tests.examples.conftest import settings

    (shown,) = blocks(ROOT / "docs/howto/own-model.md", "yaml")
    assert yaml.safe_load(shown) == settings("dlrm")


def test_every_key_of_params_has_a_meaning_in_the_reference() -> None:
    spec = importlib.util.spec_from_file_location("docs_hook", ROOT / "scripts/docs_hook.py")
    assert spec is not None and spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    for name, model in hook._sections("", Config):
        assert set(hook.meanings_of(model)) == set(model.model_fields), name
    page = hook.cli_page()
    assert all(f"## driftune {name}" in page for name in ("run", "lake versions", "erase"))


def test_pre_commit_runs_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    wanted = [line.strip().replace("$(BIN)", ".venv/bin") for line in lint.splitlines()[1:]]
    assert [hook["entry"] for hook in hooks] == wanted


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    args = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*args, "--site-dir", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    loaded = re.compile(r'<(?:script|link)[^>]*(?:src|href)="https?://[^"]+\.(?:js|css)"')
    assert pages and not [page for page in pages if loaded.search(page.read_text())]


@pytest.mark.slow
@pytest.mark.skipif(not KUAIRAND.exists(), reason="KuaiRand-Pure is not at ../shared/data")
def test_the_commands_of_the_tutorial_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTUNE__DRIFT__MAX_AGE_DAYS", "2")
    ran = []
    for words in commands(ROOT / "docs/tutorial.md", "driftune"):
        if "--serve" in words:
            words.remove("--serve")
        if "rollback" in words:
            continue  # tab 1 has a champion to take back on the processor of the page
        line = [str(KUAIRAND.resolve()) if w == "KUAIRAND_PURE_FOLDER" else w for w in words]
        args = [sys.executable, "-m", "driftune.cli", *line]
        done = subprocess.run(args, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr[-2000:])
        ran.append(words[0])
    assert ran[:3] == ["import", "pretrain", "replay"]
