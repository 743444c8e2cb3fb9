"""A day decided again through the real flow, by the command line: rejected, then promoted."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from driftune.cli import app
from driftune.registry.ledger import Ledger
from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import SHIFT_DAY
from tests.shifts import SHIFTED


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables that the command line would leave."""
    monkeypatch.setenv("PREFECT_HOME", "unused")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "inline")


def again(world: World) -> tuple[dict[str, Any], str]:
    """Decide the shifted day again; what it returns, and its lines."""
    done = CliRunner().invoke(
        app,
        [
            *("run", "--day", str(SHIFT_DAY), "--decide-again", "--why", "a gain of 0.9 is none"),
            *("--json", "--config", str(world.params)),
        ],
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_a_gate_that_asked_too_much_is_changed_and_the_day_decided_again(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTUNE__GATE__MIN_EFFECT", "0.9")
    daily(SHIFT_DAY, str(simulated.params))
    with Ledger(simulated.config) as ledger:
        (old,) = [row for row in ledger.decisions() if row.domain == SHIFTED]
        assert old.state == "rejected"
    monkeypatch.delenv("DRIFTUNE__GATE__MIN_EFFECT")
    # The files of the day are not read again.
    for path in simulated.root.glob(f"logs/*{SHIFT_DAY}*"):
        path.unlink()
    found, told = again(simulated)
    assert "decisions are made again: gate changed" in " ".join(told.split())
    (row,) = [each for each in found["domains"] if each["domain"] == SHIFTED]
    assert row["state"] == "promoted" and found["taken_back"] == []
    with Ledger(simulated.config) as ledger:
        assert ledger.decision(old.id).state == "superseded"
        assert ledger.champion_version(old.domain_key) == 1
        before = ledger.decisions()
    page = simulated.config.home / f"reports/decision/{SHIFT_DAY}/{old.domain_key}.html"
    text = page.read_text(encoding="utf-8")
    assert "decided again by" in text and "gate changed (a gain of 0.9 is none)" in text
    found, told = again(simulated)
    assert f"{SHIFT_DAY} was decided under these settings; nothing is decided again" in told
    with Ledger(simulated.config) as ledger:
        assert ledger.decisions() == before
    done = CliRunner().invoke(app, ["history", SHIFTED, "--config", str(simulated.params)])
    assert f"decided again as {old.id}.2" in done.output.replace("\n", "")


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_the_lake_does_not_hold_is_one_line(simulated: World) -> None:
    arguments = ["run", "--day", "2026-03-09", "--decide-again", "--config", str(simulated.params)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "2026-03-09 is not in the lake; run driftune run --day 2026-03-09" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--decide-again"], "--decide-again needs --day"),
        (["--day", "2026-03-09", "--why", "x"], "--why belongs to --decide-again"),
    ],
)
def test_options_that_do_not_fit_together(
    simulated: World, arguments: list[str], line: str
) -> None:
    done = CliRunner().invoke(app, ["run", *arguments, "--config", str(simulated.params)])
    assert done.exit_code == 2 and line in " ".join(done.output.split())
