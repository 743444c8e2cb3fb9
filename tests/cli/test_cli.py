"""The command line as a user runs it: help, one-line errors, exit codes, JSON."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from driftune.reports.serve import serving
from tests.conftest import FIRST, Ended, World
from tests.crowning import DOMAIN, KEY, crown, random_adapter
from tests.registry.conftest import BACKBONE

PROGRAM = str(Path(sys.executable).with_name("driftune"))
# Python heeds Ctrl-C only where its parent did not ignore it, as a shell's background jobs do.
HEEDING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
COMMANDS = (
    *("pretrain", "run", "replay", "adapt", "status", "promote", "rollback", "report"),
    *("history", "reconcile", "approve", "notify", "quarantine", "lake", "gate"),
    *("simulate", "doctor", "check-model", "import"),
)


Driftune = Callable[..., Ended]


def process(*arguments: str, folder: Path | None = None) -> Ended:
    """Run the program in a process of its own."""
    done = subprocess.run(
        [PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def refused(done: Ended) -> str:
    """The one line of an error."""
    assert done.code != 0
    assert "Traceback" not in done.err
    (line,) = done.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


def test_every_command_has_help() -> None:
    done = process("--help")
    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)
    script = (
        "from typer.testing import CliRunner; from driftune.cli import app\n"
        f"for name in {COMMANDS!r}:\n"
        "    done = CliRunner().invoke(app, [name, '--help'])\n"
        "    assert done.exit_code == 0 and 'Usage' in done.output, name\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from driftune.cli import app; from typer.testing import CliRunner\n"
        "CliRunner().invoke(app, ['--help'])\n"
        "heavy = {'torch', 'prefect', 'duckdb', 'pandas', 'mlflow', 'evidently', 'sqlalchemy',"
        " 'great_expectations', 'pyarrow', 'deltalake'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_pages_and_status_need_no_torch() -> None:
    script = (
        "import sys; import driftune.reports, driftune.registry.status\n"
        "heavy = {'torch', 'mlflow', 'evidently', 'great_expectations'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_without_params_the_error_says_what_to_give(driftune: Driftune, tmp_path: Path) -> None:
    for command in ("status", "doctor", "report", "pretrain"):
        line = refused(driftune(command, folder=tmp_path))
        assert "params.yaml: cannot be read" in line
        assert "give --config PATH" in line


def test_an_empty_workspace_has_a_status_and_a_report(driftune: Driftune, make_world) -> None:
    world = make_world()
    config = ("-c", str(world.params))
    assert "No decisions yet" in driftune("status", *config).out
    assert json.loads(driftune("status", *config, "--json").out) == {"domains": [], "bundles": []}
    done = driftune("report", *config)
    assert Path(done.out.strip()).exists()


def test_the_doctor_says_what_is_missing(driftune: Driftune, make_world) -> None:
    done = driftune("doctor", "-c", str(make_world().params))
    assert done.code == 1
    assert "FAIL  2026-03-04: no file at logs/2026-03-04.parquet" in done.out
    assert "run driftune pretrain" in done.out
    findings = driftune("doctor", "-c", str(make_world().params), "--json").out
    checks = json.loads(findings)["checks"]
    assert [check["ok"] for check in checks] == [True, False, True, False, True]
    assert checks[-1]["what"].startswith("MLflow: no store yet")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("adapt", "nothing"), "decision 'nothing' is not in the ledger"),
        (("promote", "nothing", "--reason", "x"), "decision 'nothing' is not in the ledger"),
        (("rollback", "nowhere"), "domain 'nowhere' is not known; there are: home · north"),
        (("history", "nowhere"), "domain 'nowhere' is not known; there are: home · north"),
        (("rollback", "home · north"), "no adapter was ever promoted"),
        (("report", "--drift", "nothing"), "decision 'nothing' is not in the ledger"),
    ],
)
def test_errors_are_one_line(
    driftune: Driftune, trained_world: World, arguments: tuple[str, ...], wanted: str
) -> None:
    with Ledger(trained_world.config) as ledger:
        ledger.decide(
            id="2026-03-05.x.r1",
            domain="home · north",
            domain_key="home-north-e7345155",
            day="2026-03-05",
            revision=1,
            backbone=BACKBONE,
            state="stable",
            score=0.1,
            scores=Scores(),
            sentence="",
            data_version="v",
            champion_version=0,
        )
    assert wanted in refused(driftune(*arguments, "-c", str(trained_world.params)))


def test_of_two_operators_the_second_takes_back_no_more(
    driftune: Driftune, trained_world: World
) -> None:
    for version in (1, 2):
        crown(trained_world, random_adapter(trained_world, scale=version), [FIRST], version)
    asked = ("rollback", DOMAIN, "--expect", "2", "-c", str(trained_world.params))
    assert f"{DOMAIN}: version 1 serves" in driftune(*asked).out
    # Without the option it would go on to the frozen base.
    line = refused(driftune(*asked))
    assert f"{DOMAIN}: champion is version 1, not 2; another run moved it" in line
    with Ledger(trained_world.config) as ledger:
        assert ledger.champion_version(KEY) == 1


@pytest.mark.slow
@pytest.mark.flow
def test_a_run_starts_a_prefect_server_of_its_own(make_world) -> None:
    world = make_world()
    line = refused(process("run", "--day", "2026-04-01", "-c", str(world.params)))
    assert "reference day 2026-03-02: no file at logs/2026-03-02.parquet" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--day", "tomorrow"),
        ("replay", "--from", "2026-13-01", "--to", "2026-03-05"),
        ("replay", "--from", "2026-03-09", "--to", "2026-03-05"),
        ("pretrain", "--only", "everything"),
        ("simulate", "--to", "x", "--from", "1999-01-01"),
        ("promote", "decision"),
        ("nonsense",),
    ],
)
def test_wrong_usage_says_how(driftune: Driftune, make_world, arguments: tuple[str, ...]) -> None:
    world = make_world()
    done = driftune(*arguments, folder=world.root)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "Usage: " in done.err and "driftune" in done.err


@pytest.mark.slow
@pytest.mark.ci
def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = process("status", "--debug", folder=tmp_path)
    assert done.code != 0
    assert "Traceback" in done.err
    assert "ConfigError" in done.err


def test_import_of_a_folder_without_the_files(driftune: Driftune, tmp_path: Path) -> None:
    line = refused(driftune("import", "kuairand", str(tmp_path), "--to", str(tmp_path / "out")))
    assert str(tmp_path) in line
    assert "log_standard" in line


def test_simulate_writes_the_demo_s_days_and_their_truth(
    driftune: Driftune, tmp_path: Path
) -> None:
    done = driftune(
        *("simulate", "--to", "logs", "--from", "2026-03-14", "--to-day", "2026-03-15"),
        *("--truth", "truth.json"),
        folder=tmp_path,
    )
    assert done.out == "2 days in logs\n"
    assert len(list((tmp_path / "logs").glob("*.parquet"))) == 2
    assert len(json.loads((tmp_path / "truth.json").read_text())["events"]) == 3


def test_simulate_writes_the_days_of_a_settings_file(driftune: Driftune, tmp_path: Path) -> None:
    (tmp_path / "sim.yaml").write_text(
        """
start: 2026-05-04
days: 3
rows_per_domain: 200
regions: [north]
periods: {lunch: [10, 15], dinner: [17, 23]}
events:
  - {domain: home · north · lunch, day: 2026-05-05, kind: gradual, over: 2,
     favour: [coffee], against: [curry]}
""",
        encoding="utf-8",
    )
    done = driftune(
        *("simulate", "--to", "logs", "--settings", "sim.yaml", "--probabilities", "truth"),
        folder=tmp_path,
    )
    assert done.out == "3 days in logs\n"
    assert len(list((tmp_path / "truth").glob("*.parquet"))) == 3


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("start: 2026-05-04", "sim.yaml: key 'days' is missing"),
        ("start: 2026-05-04\ndays: 2\nusers: 1", "sim.yaml: users = 1"),
        ("start: 2026-05-04\ndays: 2\nzones: 1", "sim.yaml: unknown key 'zones'"),
    ],
)
def test_a_simulation_that_cannot_be_is_one_line(
    driftune: Driftune, tmp_path: Path, text: str, part: str
) -> None:
    (tmp_path / "sim.yaml").write_text(text, encoding="utf-8")
    line = refused(driftune("simulate", "--to", "x", "--settings", "sim.yaml", folder=tmp_path))
    assert part in line


@pytest.mark.slow
@pytest.mark.ci
def test_the_report_is_served_until_ctrl_c_gives_the_port_back_or_says_why_not(
    driftune: Driftune, make_world, tmp_path: Path
) -> None:
    config = ("-c", str(make_world().params))
    assert "--port belongs to --serve" in driftune("report", *config, "--port", "0").err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused(driftune("report", *config, "--serve", "--port", port))
    assert f"--port {port}" in line and "choose another one" in line
    with subprocess.Popen(
        [sys.executable, "-c", HEEDING, PROGRAM, "report", *config, "--serve", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None and server.stderr is not None
            url = server.stdout.readline().split()[0]
            with urllib.request.urlopen(url, timeout=20) as page:
                assert b"No drift decision yet" in page.read()
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=20) == 0
            assert server.stderr.read() == ""
        finally:
            # A server that does not end would be waited for without end.
            server.kill()
    number = int(url.split(":")[2].split("/")[0])
    with serving(tmp_path, number) as again:
        assert again.url == url
