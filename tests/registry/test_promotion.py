"""Promotion and rollback with a real MLflow store: one pointer, mirrored, audited, reversible."""

import json
import re
import shutil
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from driftune.adaptation import promotion
from driftune.adaptation.by_hand import promote_by_hand
from driftune.adaptation.claim import Claim, supersede
from driftune.adaptation.conclude import conclude
from driftune.cli import app
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.deployment.doctor import examine
from driftune.errors import LedgerError, OvertakenError, RegistryError
from driftune.io import write_json
from driftune.project import Project
from driftune.registry import mlflow_mirror as models
from driftune.registry.champions import adapter_folder, champions_for
from driftune.registry.history import switch_history
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_left import withdraw
from driftune.registry.mlflow_mirror import client, mirror, mirrored, model_name
from driftune.registry.reconcile import reconcile
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.rollback import rollback
from driftune.registry.status import domain_status
from tests.marks import CI
from tests.registry.conftest import BACKBONE, KEY, Decide, challenger, report

# On PostgreSQL the ledger's own tests show in `make test` what those here rest on.
pytestmark = [
    pytest.mark.usefixtures("mlflow_store"),
    pytest.mark.parametrize(
        "config", ["sqlite", pytest.param("postgresql", marks=CI)], indirect=True
    ),
]


def end(
    config: Config, ledger: Ledger, decision: str, verdict: str = "promote", champion: int = 0
) -> str:
    """Claim a decision, train its challenger and conclude it by a verdict."""
    challenger(config, decision, seed=sum(decision.encode()))
    owner = ledger.claim(decision)
    assert owner is not None
    return conclude(
        Project(config, ledger),
        Claim(decision, owner),
        TrainingFigures(),
        report(verdict, champion),
    )


def test_a_passed_gate_promotes(config: Config, ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    assert end(config, ledger, decision) == "promoted"
    row = ledger.decision(decision)
    assert (row.state, row.adapter_version) == ("promoted", 1)
    record = ledger.adapter(KEY, 1)
    assert record is not None
    assert record.reference_days == ["2026-03-10"]
    (switch,) = ledger.switches(KEY)
    assert (switch.action, switch.from_version, switch.to_version) == ("promote", BASE, 1)
    assert switch.decision_id == decision
    version = client(config).get_model_version_by_alias(model_name(KEY), "champion")
    assert version.tags["sha256"] == record.sha256
    assert version.tags["decision"] == decision


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("reject", "rejected"),
        ("insufficient", "undecided"),
        ("", "rejected"),
        ("Promote", "rejected"),
    ],
)
def test_nothing_but_promote_promotes(
    config: Config, ledger: Ledger, decide: Decide, verdict: str, state: str
) -> None:
    decision = decide()
    assert end(config, ledger, decision, verdict) == state
    assert ledger.decision(decision).gate.decision == verdict
    assert ledger.champions() == {}
    assert ledger.versions(KEY) == []


def test_a_report_without_a_verdict_does_not_promote(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    assert (
        conclude(Project(config, ledger), Claim(decision, owner), None, GateReport()) == "rejected"
    )


def test_a_champion_that_moved_since_the_gate_stops_the_promotion(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    end(config, ledger, decide("2026-03-09"))
    late = decide("2026-03-10")
    with pytest.raises(RegistryError, match="champion is version 1, not 0"):
        end(config, ledger, late, champion=0)
    assert ledger.decision(late).state == "claimed"
    assert ledger.champion_version(KEY) == 1
    assert len(ledger.versions(KEY)) == 1


def test_the_loser_of_two_promotions_leaves_nothing_in_mlflow(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    end(config, ledger, decide("2026-03-09"))
    with pytest.raises(RegistryError, match="champion is version 1, not 0"):
        end(config, ledger, decide("2026-03-10"), champion=0)
    (held,) = client(config).search_model_versions(f"name = '{model_name(KEY)}'")
    record = ledger.adapter(KEY, 1)
    assert record is not None and held.tags["sha256"] == record.sha256
    assert [run.name for run in (config.home / "mlflow").iterdir()] == [held.run_id]


def test_the_winner_of_a_second_try_stays_in_mlflow(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    """Registered once for two tries of one decision: the one that loses takes nothing away."""
    end(config, ledger, decide("2026-03-09"))
    record = ledger.adapter(KEY, 1)
    assert record is not None and record.mlflow_version is not None
    withdraw(config, ledger, KEY, record.mlflow_version)
    assert client(config).get_model_version(model_name(KEY), record.mlflow_version)


def test_a_backbone_pre_trained_meanwhile_stops_the_promotion(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    write_json(config.home / "model" / "backbone" / "backbone.json", {"fingerprint": "c" * 64})
    with pytest.raises(OvertakenError, match="pre-trained anew after the decision"):
        end(config, ledger, decision)
    owner = ledger.decision(decision).owner
    assert supersede(ledger, Claim(decision, owner), "a new backbone") == "superseded"
    row = ledger.decision(decision)
    assert (row.state, row.note) == ("superseded", "a new backbone")
    assert ledger.champion_version(KEY) == BASE
    assert ledger.versions(KEY) == ledger.switches(KEY) == []


def test_a_lost_claim_promotes_nothing(config: Config, ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    ledger.claim(decision)
    challenger(config, decision)
    with pytest.raises(LedgerError, match="no longer claimed"):
        conclude(Project(config, ledger), Claim(decision, "another"), None, report())
    assert ledger.champions() == {}
    assert ledger.versions(KEY) == []


def test_a_kill_between_mlflow_and_ledger_promotes_once_when_run_again(
    config: Config, ledger: Ledger, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = decide()
    register = promotion.register

    def killed(*arguments: Any, **named: Any) -> str:
        register(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(promotion, "register", killed)
    with pytest.raises(KeyboardInterrupt):
        end(config, ledger, decision)
    monkeypatch.undo()
    assert ledger.champions() == {}
    assert champions_for(config, ledger, BACKBONE, [KEY])[0][KEY].version == BASE
    owner = ledger.decision(decision).owner
    challenger(config, decision, seed=sum(decision.encode()))
    assert conclude(Project(config, ledger), Claim(decision, owner), None, report()) == "promoted"
    assert len(client(config).search_model_versions(f"name = '{model_name(KEY)}'")) == 1
    assert mirrored(config, ledger) == {KEY: ("1", "1")}


def test_a_damaged_challenger_is_not_promoted(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    folder = challenger(config, decision)
    (folder / "adapter.safetensors").write_bytes(b"damaged")
    owner = ledger.claim(decision)
    assert owner is not None
    with pytest.raises(RegistryError, match="challenger cannot serve"):
        conclude(Project(config, ledger), Claim(decision, owner), None, report())
    assert ledger.champions() == {}


def test_an_alias_that_could_not_be_set_is_mended_later(
    config: Config, ledger: Ledger, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Config) -> Any:
        raise OSError("registry away")

    register = promotion.register

    def then_away(*arguments: Any, **named: Any) -> str:
        version = register(*arguments, **named)
        monkeypatch.setattr(models, "client", away)
        return version

    monkeypatch.setattr(promotion, "register", then_away)
    assert end(config, ledger, decide()) == "promoted"
    monkeypatch.undo()
    assert ledger.champion_version(KEY) == 1
    assert mirrored(config, ledger) == {KEY: ("1", None)}
    assert mirror(config, ledger, KEY)
    assert mirrored(config, ledger) == {KEY: ("1", "1")}


def test_a_registry_that_is_away_leaves_the_decision_open(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    (config.home / "mlflow.db").write_bytes(b"no database" * 99)
    with pytest.raises(RegistryError, match="MLflow refused the new version") as error:
        end(config, ledger, decision)
    assert "\n" not in str(error.value)
    assert ledger.decision(decision).state == "claimed"
    assert ledger.champions() == {}


@pytest.fixture
def three(config: Config, ledger: Ledger, decide: Decide) -> list[str]:
    """Versions 1, 2 and 3, promoted in turn."""
    decisions = []
    for version, day in enumerate((9, 10, 11)):
        decisions.append(decide(f"2026-03-{day:02}"))
        end(config, ledger, decisions[-1], champion=version)
    assert ledger.champion_version(KEY) == 3
    return decisions


def test_rollback_goes_back_along_the_promotions_to_the_base(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    found = [rollback(config, ledger, KEY, None, "worse").version for _ in three]
    assert found == [2, 1, BASE]
    assert mirrored(config, ledger) == {KEY: (None, None)}
    with pytest.raises(RegistryError, match="version 0 already serves"):
        rollback(config, ledger, KEY, None, "again")
    last = ledger.switches(KEY)[-1]
    assert (last.action, last.reason, last.to_version) == ("rollback", "worse", BASE)


@pytest.mark.slow
@pytest.mark.ci
def test_rollback_to_a_named_version(config: Config, ledger: Ledger, three: list[str]) -> None:
    assert rollback(config, ledger, KEY, 1, "by name").version == 1
    assert mirrored(config, ledger)[KEY] == ("1", "1")
    with pytest.raises(RegistryError, match="no version 9; there are 0, 1, 2, 3"):
        rollback(config, ledger, KEY, 9, "typo")
    with pytest.raises(RegistryError, match="version 1 already serves"):
        rollback(config, ledger, KEY, 1, "again")
    assert ledger.champion_version(KEY) == 1


@pytest.mark.few(1)
@pytest.mark.parametrize("reason", ["", " \t"])
def test_rollback_without_a_reason_is_refused(
    config: Config, ledger: Ledger, three: list[str], reason: str
) -> None:
    with pytest.raises(RegistryError, match="the audit keeps why"):
        rollback(config, ledger, KEY, None, reason)
    assert ledger.champion_version(KEY) == 3


def test_rollback_refuses_a_damaged_target_and_works_when_the_newest_is_damaged(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    def damage(version: int) -> None:
        record = ledger.adapter(KEY, version)
        assert record is not None
        folder = adapter_folder(config, KEY, version, record.sha256)
        (folder / "card.json").write_text("{")

    damage(3)
    damage(1)
    with pytest.raises(RegistryError, match="version 1 cannot serve"):
        rollback(config, ledger, KEY, 1, "back")
    assert ledger.champion_version(KEY) == 3
    assert rollback(config, ledger, KEY, None, "back").version == 2


def test_rollback_skips_damaged_versions_and_says_why(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    def damage(version: int) -> None:
        record = ledger.adapter(KEY, version)
        assert record is not None
        shutil.rmtree(adapter_folder(config, KEY, version, record.sha256))

    damage(3)
    damage(2)
    found = rollback(config, ledger, KEY, None, "back")
    assert found.version == 1
    (line,) = found.skipped
    assert line.startswith("version 2 cannot serve: ")
    assert "\n" not in line
    damage(1)
    found = rollback(config, ledger, KEY, None, "further back")
    assert (found.version, found.skipped) == (BASE, ())


@pytest.mark.slow
@pytest.mark.ci
def test_with_every_version_damaged_the_base_serves(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    shutil.rmtree(config.home / "adapters")
    found = rollback(config, ledger, KEY, None, "all gone")
    assert found.version == BASE
    assert [line.partition(" cannot")[0] for line in found.skipped] == ["version 2", "version 1"]


def test_the_history_tells_every_switch(config: Config, ledger: Ledger, three: list[str]) -> None:
    rollback(config, ledger, KEY, None, "worse")
    rows = switch_history(ledger, KEY)
    assert [(row["from"], row["to"]) for row in rows] == [(0, 1), (1, 2), (2, 3), (3, 2)]
    assert [row["decision"] for row in rows] == [*three, None]
    assert {row["data_version"] for row in rows} == {"v1"}
    assert [row["backbone"] for row in rows[:3]] == [BACKBONE] * 3
    assert (rows[-1]["action"], rows[-1]["why"]) == ("rollback", "worse")
    asked = ["history", KEY, "--config", str(config.source_file)]
    shown = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(shown.stdout)["switches"] == rows
    assert "v3 → v2" in CliRunner().invoke(app, asked, env={"COLUMNS": "200"}).stdout


def test_reconcile_frees_lost_claims_and_mends_aliases(
    config: Config, ledger: Ledger, decide: Decide, three: list[str]
) -> None:
    client(config).delete_registered_model_alias(model_name(KEY), "champion")
    lost, held = decide("2026-03-12"), decide("2026-03-12", key="other")
    ledger.lease_seconds = -1
    ledger.claim(lost)
    ledger.lease_seconds = 60
    ledger.claim(held)
    found = reconcile(config, ledger)
    assert [each["what"].partition(":")[0] for each in found["freed"]] == [lost]
    assert [each["what"].partition(":")[0] for each in found["waiting"]] == [lost]
    (alias,) = found["aliases"]
    assert alias == {"what": f"alias of {KEY}: MLflow none, ledger 3 (corrected)", "ok": True}
    assert mirrored(config, ledger) == {KEY: ("3", "3")}
    assert (ledger.decision(lost).state, ledger.decision(held).state) == ("pending", "claimed")
    again = CliRunner().invoke(app, ["reconcile", "--config", str(config.source_file), "--json"])
    assert json.loads(again.stdout)["freed"] == []
    assert again.exit_code == 0


def test_reconcile_tells_of_challengers_that_wait(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    looks = {
        "looks": [{"day": "2026-03-10"}],
        "plan": {"error": 0.05, "looks": 5, "rows": 900},
        "waits_for": "certainty",
    }
    gate = GateReport.model_validate({**report("wait").document(), **looks})
    challenger(config, decision)
    conclude(Project(config, ledger), Claim(decision, owner), None, gate)
    told = CliRunner().invoke(app, ["reconcile", "--config", str(config.source_file)])
    assert told.stdout == (
        f"ok    {decision}: name of {KEY}'s challenger waits for certainty: 1 of 5 looks taken, "
        "the last by rows of 2026-03-10\n"
    )
    assert told.exit_code == 0


def test_two_promotions_at_once_leave_one_and_the_other_is_told_why(
    config: Config, ledger: Ledger, decide: Decide, forks: ForkServerContext
) -> None:
    claims = []
    for day in ("2026-03-09", "2026-03-10"):
        decision = decide(day)
        challenger(config, decision, seed=sum(decision.encode()))
        claims.append((str(config.source_file), decision, ledger.claim(decision)))
    with forks.Pool(2) as pool:
        said = pool.starmap(_promote, claims)
    assert sorted(each == "promoted" for each in said) == [False, True]
    (refused,) = [each for each in said if each != "promoted"]
    assert re.search("champion is version 1, not 0|version 1 was taken by another run", refused)
    assert ledger.champion_version(KEY) == 1
    assert len(ledger.versions(KEY)) == len(ledger.switches(KEY)) == 1
    assert sorted(row.state for row in ledger.decisions()) == ["claimed", "promoted"]


def _promote(params: str, decision: str, owner: str) -> str:
    config = load_config(params, env={})
    with Ledger(config) as ledger:
        try:
            project = Project(config, ledger, mirrored=False)
            return conclude(project, Claim(decision, owner), None, report())
        except RegistryError as error:
            return str(error)


@pytest.mark.slow
@pytest.mark.ci
def test_an_alias_never_names_the_files_of_another_version(
    config: Config, ledger: Ledger, decide: Decide, _mlflow_store: Path
) -> None:
    end(config, ledger, decide("2026-03-10"))
    shutil.copy(_mlflow_store, config.home / "mlflow.db")
    end(config, ledger, decide("2026-03-11"), champion=1)
    rollback(config, ledger, KEY, None, "worse")
    assert ledger.champion_version(KEY) == 1
    assert mirrored(config, ledger) == {KEY: ("1", None)}
    (found,) = reconcile(config, ledger)["aliases"]
    assert found["ok"]
    assert mirrored(config, ledger) == {KEY: ("2", "2")}


@pytest.mark.slow
@pytest.mark.ci
def test_reconcile_refills_a_store_that_was_lost(
    config: Config, ledger: Ledger, three: list[str], _mlflow_store: Path
) -> None:
    shutil.copy(_mlflow_store, config.home / "mlflow.db")
    (found,) = reconcile(config, ledger)["aliases"]
    told = f"alias of {KEY}: MLflow none, ledger 3 (registered again as version 1; corrected)"
    assert found == {"what": told, "ok": True}
    assert mirrored(config, ledger) == {KEY: ("1", "1")}
    record = ledger.adapter(KEY, 3)
    assert record is not None
    version = client(config).get_model_version_by_alias(model_name(KEY), "champion")
    assert (version.tags["sha256"], version.tags["decision"]) == (record.sha256, three[-1])
    assert client(config).get_run(version.run_id).data.metrics["challenger_ctr_auc"] == 0.65
    (again,) = reconcile(config, ledger)["aliases"]
    assert again == {"what": f"alias of {KEY}: MLflow 1, ledger 1", "ok": True}
    assert len(client(config).search_model_versions(f"name = '{model_name(KEY)}'")) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_lost_version_whose_files_are_damaged_is_not_registered_again(
    config: Config, ledger: Ledger, three: list[str], _mlflow_store: Path
) -> None:
    shutil.copy(_mlflow_store, config.home / "mlflow.db")
    shutil.rmtree(config.home / "adapters")
    (found,) = reconcile(config, ledger)["aliases"]
    assert not found["ok"]
    assert "MLflow lacks version 3, whose files cannot be registered again" in found["what"]
    assert client(config).search_registered_models() == []


def test_the_doctor_asks_mlflow_while_there_is_no_champion(config: Config) -> None:
    def told() -> tuple[str, bool]:
        last = examine(config)[-1]
        return last["what"], last["ok"]

    assert told() == ("MLflow: answers; there is no champion to mirror", True)
    (config.home / "mlflow.db").write_bytes(b"no database" * 99)
    line, ok = told()
    assert line.startswith("registry.mlflow: cannot be read (")
    assert not ok
    (config.home / "mlflow.db").unlink()
    assert told() == ("MLflow: no store yet; the first promotion makes it", True)


def test_rollback_of_a_domain_that_never_had_an_adapter_names_it(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decide(state="stable")
    with pytest.raises(RegistryError, match=f"^name of {KEY}: no adapter was ever promoted"):
        rollback(config, ledger, KEY, None, "?")
    with pytest.raises(RegistryError, match=f"^name of {KEY}: the audit keeps why"):
        rollback(config, ledger, KEY, None, "")


@pytest.mark.slow
@pytest.mark.ci
def test_a_version_after_a_rollback_gets_a_number_of_its_own(
    config: Config, ledger: Ledger, decide: Decide, three: list[str]
) -> None:
    rollback(config, ledger, KEY, BASE, "all worse")
    assert end(config, ledger, decide("2026-03-12"), champion=BASE) == "promoted"
    assert ledger.champion_version(KEY) == 4
    assert rollback(config, ledger, KEY, None, "worse").version == BASE


def test_by_hand_needs_an_ended_challenger_and_is_marked(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    rejected = decide("2026-03-09")
    end(config, ledger, rejected, "reject")
    pending = decide("2026-03-10")
    challenger(config, rejected)
    with pytest.raises(RegistryError, match="needs a reason"):
        promote_by_hand(Project(config, ledger), rejected, " ")
    for day in (date(2026, 3, 11), date(2026, 3, 10)):
        ledger.record_day(
            day, content_hash="a", lake_version=1, rows=1, rejected=0, verdict="passed"
        )
    assert promote_by_hand(Project(config, ledger), rejected, "the log had a hole") == 1
    (switch,) = ledger.switches(KEY)
    assert switch.data_day == "2026-03-11"
    assert switch.action == "by hand"
    assert switch.reason == "the log had a hole"
    row = ledger.decision(rejected)
    assert row.state == "promoted"
    assert "by hand" in row.note
    for decision in (rejected, pending):
        with pytest.raises(RegistryError, match="only a rejected, undecided or waiting"):
            promote_by_hand(Project(config, ledger), decision, "again")


def test_files_that_the_gate_did_not_judge_are_not_promoted(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    challenger(config, decision)
    judged = report().model_copy(update={"challenger_sha256": "0" * 64})
    with pytest.raises(RegistryError, match="not those that the gate judged"):
        conclude(Project(config, ledger), Claim(decision, owner), None, judged)
    assert ledger.champions() == {}


@pytest.mark.slow
@pytest.mark.ci
def test_a_version_of_an_older_backbone_is_not_rolled_back_to(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    write_json(config.home / "model" / "backbone" / "backbone.json", {"fingerprint": "c" * 64})
    with pytest.raises(RegistryError, match=r"version 1 cannot serve .*made for backbone bbbb"):
        rollback(config, ledger, KEY, 1, "worse")
    assert ledger.champion_version(KEY) == 3
    assert rollback(config, ledger, KEY, BASE, "worse").version == BASE


def test_a_decision_older_than_the_last_switch_is_superseded(
    config: Config, ledger: Ledger, decide: Decide, three: list[str]
) -> None:
    decision = decide("2026-03-12")
    rollback(config, ledger, KEY, None, "worse")
    assert ledger.claim(decision) is None
    row = ledger.decision(decision)
    assert (row.state, row.note) == (
        "superseded",
        "the champion was switched to version 2 after the decision",
    )


def test_a_damaged_champion_does_not_serve_and_says_why(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    found, bank = champions_for(config, ledger, BACKBONE, [KEY, "other"])
    assert found[KEY].serves == 3
    assert [str(day) for day in found[KEY].reference] == ["2026-03-11"]
    assert found["other"].serves == BASE
    assert bank.domains == [KEY]
    record = ledger.adapter(KEY, 3)
    assert record is not None
    tensors = adapter_folder(config, KEY, 3, record.sha256) / "adapter.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-9])
    found, bank = champions_for(config, ledger, BACKBONE, [KEY])
    assert found[KEY].serves == BASE
    assert "truncated" in (found[KEY].problem or "")
    assert bank.domains == []


def test_a_champion_of_another_backbone_does_not_serve(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    found, bank = champions_for(config, ledger, "c" * 64, [KEY])
    assert "made for backbone bbbbbbbbbbbb" in (found[KEY].problem or "")
    assert bank.domains == []


def test_status_shows_champion_and_last_decision(
    config: Config, ledger: Ledger, decide: Decide, three: list[str]
) -> None:
    decide("2026-03-14", state="stable", score=0.4)
    decide("2026-03-14", key="another", state="insufficient", score=None)
    rows = {row["key"]: row for row in domain_status(ledger)}
    assert rows[KEY]["champion"] == 3
    assert (rows[KEY]["day"], rows[KEY]["state"]) == ("2026-03-14", "stable")
    assert rows[KEY]["last_adaptation"] == three[-1]
    assert rows["another"]["champion"] == BASE
    assert rows["another"]["drift"] is None


@pytest.mark.slow
@pytest.mark.ci
def test_a_report_that_cannot_be_read_holds_up_neither_status_nor_rollback(
    config: Config, ledger: Ledger, three: list[str]
) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps nothing in these columns that is not JSON")
    with ledger.write() as connection:
        connection.execute(sa.text("UPDATE decisions SET gate = '{', scores = '{'"))
    assert [row["champion"] for row in domain_status(ledger)] == [3]
    arguments = ["rollback", KEY, "--to", "0", "--config", str(config.source_file)]
    said = CliRunner().invoke(app, arguments).stdout
    assert said == f"{KEY}: version 0 serves (frozen base)\n"
    assert ledger.champion_version(KEY) == BASE
