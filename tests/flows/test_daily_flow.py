"""The daily flow on simulated days: what it decides, writes, refuses and repeats."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import pytest
import torch
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.drift import measure
from driftune.drift.profiles import Profiler
from driftune.errors import DayRefusedError, DriftuneError, LakeError, SourceError
from driftune.guard.check import check_champions
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import mirrored
from driftune.training.pretrain import load_model
from flows.daily import daily
from tests.conftest import Ended, World
from tests.crowning import KEY, crown
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, SIMULATION, STABLE_DAY
from tests.margins import assert_drift_by_far, assert_promoted_by_far
from tests.shifts import SHIFTED


def run(world: World, day: date) -> dict[str, Any]:
    return daily(day, str(world.params))


def states(world: World, day: date) -> dict[str, str]:
    with Ledger(world.config) as ledger:
        return {row.domain: row.state for row in ledger.decisions() if row.day == day.isoformat()}


def snapshot(world: World) -> tuple[Any, ...]:
    """What a repeated or failed day must leave as it is."""
    with Ledger(world.config) as ledger:
        return (
            [tuple(row) for row in ledger.days()],
            ledger.decisions(),
            [tuple(row) for row in ledger.switches()],
            Lake.of(world.config).contents,
        )


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_a_stable_day_leaves_every_domain_alone(after_stable: World) -> None:
    found = states(after_stable, STABLE_DAY)
    assert set(found) == set(SIMULATION.domains)
    assert set(found.values()) == {"stable"}
    with Ledger(after_stable.config) as ledger:
        assert_drift_by_far(ledger.decisions(), after_stable.config)
        assert ledger.champions() == {}
    assert not Workspace(after_stable.config).challengers.exists()


@pytest.mark.trains
def test_only_the_shifted_domain_is_adapted_and_the_gate_decides(after_shift: World) -> None:
    run(after_shift, DAY_AFTER)
    for day in (SHIFT_DAY, DAY_AFTER):
        found = states(after_shift, day)
        assert {domain for domain, state in found.items() if state != "stable"} <= {SHIFTED}
    with Ledger(after_shift.config) as ledger:
        acted = [row for row in ledger.decisions() if row.domain == SHIFTED]
        others = [row for row in ledger.decisions() if row.domain != SHIFTED]
        champions = ledger.champions()
        aliases = mirrored(after_shift.config, ledger)
    promoted = [row for row in acted if row.state == "promoted"]
    assert promoted[:1] == acted[:1], [row.gate.difference for row in acted if row.gate]
    assert_promoted_by_far(promoted[0].gate, after_shift.config)
    assert_drift_by_far([*others, promoted[0]], after_shift.config)
    assert [(row.domain, row.version) for row in champions.values()] == [(SHIFTED, len(promoted))]
    assert all(wanted == has is not None for wanted, has in aliases.values())


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_challenger_that_waits_is_judged_again_by_the_next_day_s_rows(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTUNE__GATE__LOOKS", "5")
    # More than the gate has on one day, fewer than on two.
    monkeypatch.setenv("DRIFTUNE__GATE__MIN_ROWS", "1000")
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "inline")
    run(simulated, SHIFT_DAY)
    with Ledger(simulated.config) as ledger:
        (waiting,) = [row for row in ledger.decisions() if row.state == "waiting"]
    # Whatever the trigger: no event is needed to judge what is trained already.
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    assert run(simulated, DAY_AFTER)["judged_again"] == {waiting.id: "promoted"}
    with Ledger(simulated.config) as ledger:
        judged = ledger.decision(waiting.id)
    assert_promoted_by_far(judged.gate, simulated.config)
    assert [str(look.day) for look in judged.gate.looks] == [waiting.day, str(DAY_AFTER)]
    page = Workspace(simulated.config).reports / f"decision/{waiting.day}/{waiting.domain_key}.html"
    assert f">{DAY_AFTER}<" in page.read_text(encoding="utf-8")
    assert run(simulated, DAY_AFTER)["judged_again"] == {}


@pytest.mark.slow
@pytest.mark.ci
def test_the_same_day_again_changes_nothing(after_shift: World) -> None:
    before = snapshot(after_shift)
    again = run(after_shift, SHIFT_DAY)
    assert not again["changed"]
    assert snapshot(after_shift) == before


@pytest.mark.slow
@pytest.mark.ci
def test_corrected_content_gets_a_new_revision_and_new_decisions(after_stable: World) -> None:
    path = after_stable.root / "logs" / f"impressions-{STABLE_DAY}.parquet"
    pd.read_parquet(path).iloc[:-50].to_parquet(path, index=False)
    assert run(after_stable, STABLE_DAY)["changed"]
    with Ledger(after_stable.config) as ledger:
        assert ledger.day(STABLE_DAY).revision == 2
        assert {row.revision for row in ledger.decisions()} == {1, 2}


def test_a_missing_day_fails_in_one_line_and_loses_nothing(after_stable: World) -> None:
    before = snapshot(after_stable)
    with pytest.raises(SourceError, match=r"2026-04-01.*impressions-2026-04-01\.parquet") as error:
        run(after_stable, date(2026, 4, 1))
    assert "\n" not in str(error.value)
    assert snapshot(after_stable) == before


@pytest.mark.slow
@pytest.mark.ci
def test_a_first_run_without_logs_is_one_line(
    driftune: Callable[..., Ended], make_world: Callable[..., World]
) -> None:
    done = driftune("run", "--day", "2026-04-01", "-c", str(make_world().params))
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert "reference day 2026-03-02: no file at logs/2026-03-02.parquet" in line


@pytest.mark.slow
@pytest.mark.ci
def test_a_fault_of_the_report_neither_fails_a_day_nor_hides_its_error(
    simulated: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise LakeError("a page cannot be written")

    monkeypatch.setattr("tasks.reporting.build_site", broken)
    monkeypatch.setattr("tasks.reporting.day_summary", broken)
    assert run(simulated, STABLE_DAY)["changed"]
    assert caplog.text.count("not up to date: a page cannot be written") == 2
    with pytest.raises(SourceError, match="2026-04-01"):
        run(simulated, date(2026, 4, 1))


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_looks_at_its_own_pages_and_those_beside_it(after_stable: World) -> None:
    days = Workspace(after_stable.config).reports / "day"
    for path in days.iterdir():
        path.write_text("old", encoding="utf-8")
    run(after_stable, SHIFT_DAY)
    new = {path.stem for path in days.iterdir() if path.read_text("utf-8") != "old"}
    assert new == {str(STABLE_DAY), str(SHIFT_DAY)}


def due_after(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    """Let runs be due on the morning after ``day``, whenever they are started."""
    moment = datetime.combine(day, time(5, 30), tzinfo=UTC) + timedelta(days=1)
    monkeypatch.setitem(flow_run.FIELDS, "scheduled_start_time", lambda: moment)


def taken_in(world: World) -> list[str]:
    """The days that runs have taken in, in the order in which they did."""
    with Ledger(world.config) as ledger:
        found = sorted(ledger.days(), key=lambda row: row.recorded_at)
    return [row.day for row in found if row.day > str(world.config.reference.last)]


@pytest.mark.slow
@pytest.mark.ci
def test_a_run_without_a_day_takes_up_missed_days_first(
    after_stable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No champion: one that is trained on a later day is not measured on those before it.
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    path = after_stable.root / "logs" / f"impressions-{SHIFT_DAY}.parquet"
    whole = path.read_bytes()
    path.write_bytes(b"PAR1 this is no parquet file")
    due_after(monkeypatch, DAY_AFTER)
    result = daily(config=str(after_stable.params))
    assert (result["day"], list(result["failed"])) == (str(DAY_AFTER), [str(SHIFT_DAY)])
    assert path.name in result["failed"][str(SHIFT_DAY)]
    assert taken_in(after_stable) == [str(STABLE_DAY), str(DAY_AFTER)]
    path.write_bytes(whole)
    assert daily(config=str(after_stable.params))["failed"] == {}
    assert set(states(after_stable, SHIFT_DAY)) == set(SIMULATION.domains)


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_is_not_there_yet_is_taken_up_when_it_is(
    after_stable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    path = after_stable.root / "logs" / f"impressions-{SHIFT_DAY}.parquet"
    whole = path.read_bytes()
    path.unlink()
    due_after(monkeypatch, DAY_AFTER)
    result = daily(config=str(after_stable.params))
    assert (result["day"], result["failed"]) == (str(DAY_AFTER), {})
    assert taken_in(after_stable) == [str(STABLE_DAY), str(DAY_AFTER)]
    path.write_bytes(whole)
    assert daily(config=str(after_stable.params))["failed"] == {}
    assert set(states(after_stable, SHIFT_DAY)) == set(SIMULATION.domains)


@pytest.mark.slow
@pytest.mark.ci
def test_runs_that_piled_up_take_each_day_once_in_whatever_order(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_after(monkeypatch, STABLE_DAY)
    daily(config=str(simulated.params))
    # The worker was away; of the runs that wait, the later one happens to come first.
    due_after(monkeypatch, DAY_AFTER)
    daily(config=str(simulated.params))
    assert taken_in(simulated) == [str(STABLE_DAY), str(SHIFT_DAY), str(DAY_AFTER)]
    before = snapshot(simulated)
    due_after(monkeypatch, SHIFT_DAY)
    result = daily(config=str(simulated.params))
    assert (result["day"], result["changed"]) == (str(SHIFT_DAY), False)
    assert snapshot(simulated) == before


@pytest.mark.slow
@pytest.mark.ci
def test_a_refused_day_is_shown_and_does_not_reach_the_lake(simulated: World) -> None:
    path = simulated.root / "logs" / f"impressions-{STABLE_DAY}.parquet"
    frame = pd.read_parquet(path)
    frame.loc[: len(frame) // 2, "user_id"] = None
    frame.to_parquet(path, index=False)
    before = snapshot(simulated)
    with pytest.raises(DayRefusedError, match="refused, the lake is unchanged"):
        run(simulated, STABLE_DAY)
    assert snapshot(simulated) == before
    assert "refused" in (Workspace(simulated.config).reports / f"day/{STABLE_DAY}.html").read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_one_domain_that_fails_stops_no_other(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = measure.compared

    def broken(config: Any, window: Any, held: Any) -> Any:
        if window.domain == "search · south":
            raise LakeError("its window is unreadable")
        return compared(config, window, held)

    monkeypatch.setattr(measure, "compared", broken)
    with pytest.raises(DriftuneError, match=r"1 of 4 .*search · south .*its window is unreadable"):
        run(simulated, SHIFT_DAY)
    found = states(simulated, SHIFT_DAY)
    assert found["search · south"] == "error"
    assert found[SHIFTED] in ("promoted", "rejected")
    monkeypatch.undo()
    run(simulated, SHIFT_DAY)
    assert states(simulated, SHIFT_DAY) == {**found, "search · south": "stable"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_switch_is_whole_and_told_though_another_domain_is_away_and_one_fails(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crown_untrained(simulated)
    path = simulated.root / "logs" / f"impressions-{STABLE_DAY}.parquet"
    frame = pd.read_parquet(path)
    away = (frame["scene"] + " · " + frame["region"]) == "home · south"
    frame[~away].to_parquet(path, index=False)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("tasks.guard.emit_event", lambda **event: told.append(event))
    drawn = Profiler._draw

    def broken(self: Profiler, day: date, keys: list[str]) -> Any:
        if any(key.startswith("search-south") for key in keys):
            raise LakeError("its window is unreadable")
        return drawn(self, day, keys)

    monkeypatch.setattr(Profiler, "_draw", broken)
    with pytest.raises(DriftuneError, match=r"1 of 4 .*search · south .*its window is unreadable"):
        run(simulated, STABLE_DAY)
    found = states(simulated, STABLE_DAY)
    assert (found["home · south"], found["search · south"]) == ("absent", "error")
    assert found["search · north"] == "stable"
    with Ledger(simulated.config) as ledger:
        assert ledger.champion_version(KEY) == BASE
        assert [row.action for row in ledger.switches(KEY)] == ["promote", "rollback"]
    assert [event["payload"]["domain"] for event in told] == [SHIFTED]
    page = (Workspace(simulated.config).reports / "index.html").read_text("utf-8")
    assert "Absent" in page and "Error" in page
    lines = {each["what"]: each["ok"] for each in examine(simulated.config)}
    (line,) = [line for line in lines if "search · south" in line]
    assert "error (Error: its windows cannot be drawn: its window is unreadable)" in line
    assert not lines[line]
    assert any("home · south" in line and ": absent" in line for line in lines)


@pytest.mark.slow
@pytest.mark.ci
def test_equal_input_gives_equal_adapters_and_decisions(
    simulated: World, after_shift: World
) -> None:
    run(simulated, SHIFT_DAY)
    outcomes = []
    for world in (simulated, after_shift):
        with Ledger(world.config) as ledger:
            rows = ledger.decisions()
        drifted = next(row for row in rows if row.domain == SHIFTED)
        card = Workspace(world.config).challengers / drifted.id / "card.json"
        outcomes.append(
            (
                [(row.id, row.state, row.score, row.sentence) for row in rows],
                json.loads(card.read_text())["sha256"],
                json.dumps(drifted.gate.document(), sort_keys=True),
            )
        )
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
@pytest.mark.ci
def test_prefect_holds_a_table_of_the_day_and_links_to_its_pages(simulated: World) -> None:
    run(simulated, STABLE_DAY)
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(limit=200)
    newest_last = sorted(artifacts, key=lambda artifact: artifact.created)
    found = {artifact.key: artifact for artifact in newest_last}
    table = json.loads(found["driftune-domains"].data)
    assert {row["domain"]: row["state"] for row in table} == states(simulated, STABLE_DAY)
    assert all(row["rows"] and row["page"].endswith(".html") for row in table)
    assert str(Workspace(simulated.config).reports / "index.html") in found["driftune-report"].data
    assert f"day/{STABLE_DAY}.html" in found["driftune-day-report"].data
    assert f"data_docs/{STABLE_DAY}.html" in found["driftune-data-docs"].data
    assert STABLE_DAY.isoformat() in found["driftune-day"].data


@pytest.mark.slow
@pytest.mark.ci
def test_a_fresh_workspace_is_pre_trained_first(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether a day drifts for so rough a backbone is not what is asked here.
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    shutil.rmtree(simulated.config.home)
    run(simulated, STABLE_DAY)
    assert set(states(simulated, STABLE_DAY)) == set(SIMULATION.domains)
    with Ledger(simulated.config) as ledger:
        assert all(ledger.champion_version(row.domain_key) == BASE for row in ledger.decisions())


def crown_untrained(world: World) -> str:
    """Let an untrained adapter serve the shifted domain; returns the backbone's fingerprint."""
    _, model, backbone = load_model(world.config)
    torch.manual_seed(0)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "replace"))
    crown(world, Adapter({"representation": kernel}).eval(), [world.config.reference.last])
    return backbone


@pytest.mark.slow
@pytest.mark.ci
def test_a_rollback_of_a_run_that_was_killed_is_announced_by_the_next(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crown_untrained(simulated)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("tasks.guard.emit_event", lambda **event: told.append(event))
    with Ledger(simulated.config) as ledger:
        ingest(simulated.config, ledger, STABLE_DAY)
        assert check_champions(simulated.config, ledger, STABLE_DAY, mirrored=False)
        assert ledger.champion_version(KEY) == BASE
    for _ in range(2):
        run(simulated, STABLE_DAY)
        assert [event["payload"]["day"] for event in told] == [str(STABLE_DAY)]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_champion_that_has_become_worse_is_taken_back_before_drift_is_judged(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = crown_untrained(simulated)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("tasks.guard.emit_event", lambda **event: told.append(event))
    result = run(simulated, STABLE_DAY)
    (event,) = told
    assert event["event"] == "driftune.champion.rolled_back"
    assert (event["payload"]["from_version"], event["payload"]["to_version"]) == (1, BASE)
    with Ledger(simulated.config) as ledger:
        assert ledger.champion_version(KEY) == BASE
        (decided,) = [row for row in ledger.decisions() if row.domain_key == KEY]
    assert (decided.champion_version, decided.backbone) == (BASE, backbone)
    (row,) = [row for row in result["domains"] if row["domain"] == SHIFTED]
    assert row["rolled_back"].startswith("version 1 taken back for the frozen base (AUC -0.")
    reports = Workspace(simulated.config).reports
    page = (reports / f"day/{STABLE_DAY}.html").read_text("utf-8")
    assert "taken back for frozen base" in page
    assert "driftune guard" in (reports / "index.html").read_text("utf-8")
    before = snapshot(simulated)
    run(simulated, STABLE_DAY)
    assert snapshot(simulated) == before
    assert len(told) == 1
