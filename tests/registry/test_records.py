"""Records: what a decision carries, read from older and newer ledgers, written in one form."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from driftune.errors import LedgerError
from driftune.registry.records import Decision, GateReport, Scores, State, TrainingFigures
from driftune.registry.records.base import VERSION
from driftune.registry.records.decision import decision_query
from driftune.registry.records.gate import GateVerdict, Look, Plan, RuleVerdict
from driftune.registry.records.scores import SignalScore
from driftune.registry.records.training import Span
from tests.registry.old_ledger import unpack_old_ledger


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Decision, dict]]:
    """The decisions of the old ledger, typed, beside the JSON that it holds."""
    path = unpack_old_ledger(tmp_path_factory.mktemp("old"))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(decision_query().order_by(sa.text("id"))).mappings().all()
        raw = connection.execute(sa.text("SELECT * FROM decisions ORDER BY id")).mappings().all()
    engine.dispose()
    return [(Decision.of(row), dict(plain)) for row, plain in zip(rows, raw, strict=True)]


def test_every_decision_of_an_older_ledger_is_read(old: list[tuple[Decision, dict]]) -> None:
    assert len(old) == 72
    assert {decision.state for decision, _ in old} == {
        State.STABLE, State.WATCHED, State.PROMOTED, State.REJECTED
    }  # fmt: skip
    for decision, _ in old:
        assert decision.scores.version == 0
        assert len(decision.scores.signals or {}) == 12
        assert decision.judged == (decision.gate is not None) == (decision.training is not None)
        assert decision.judged == (decision.state in (State.PROMOTED, State.REJECTED))


def test_older_documents_are_written_as_they_were_but_for_the_version(
    old: list[tuple[Decision, dict]],
) -> None:
    judged = 0
    for decision, raw in old:
        for name in ("scores", "gate", "training"):
            record = getattr(decision, name)
            if raw[name] in (None, "null"):
                continue
            judged += name == "gate"
            written = json.loads(json.dumps(record.document()))
            assert written == {**json.loads(raw[name]), "version": VERSION}
    assert judged == 11


def test_the_figures_of_an_older_report_are_those_of_its_json(
    old: list[tuple[Decision, dict]],
) -> None:
    for decision, raw in old:
        if decision.gate is None or decision.training is None:
            continue
        gate, training = json.loads(raw["gate"]), json.loads(raw["training"])
        report = decision.gate
        assert report.decision == gate["decision"]
        assert report.gain == gate["difference"]["estimate"]
        assert report.last_look is not None and report.plan is not None
        assert str(report.last_look.day) == gate["looks"][-1]["day"]
        assert report.plan.error == gate["plan"]["error"]
        assert report.champion is not None
        assert report.champion.values() == gate["champion"]
        assert [rule.sentence for rule in report.rules] == [
            rule["sentence"] for rule in gate["rules"]
        ]
        assert len(report.broken()) == sum(rule["verdict"] == "fail" for rule in gate["rules"])
        assert decision.training.split is not None
        for name, span in decision.training.split.parts():
            assert span.rows == training["split"][name]["rows"]
        scores = json.loads(raw["scores"])
        assert decision.scores.p_values() == {
            name: found["p"] for name, found in scores["signals"].items() if found["p"] is not None
        }
        assert decision.scores.fact("auc").after == scores["told"]["auc"]["to"]


def test_what_this_release_does_not_know_is_kept() -> None:
    text = json.dumps(
        {
            "version": VERSION + 6,
            "decision": "wait and see",
            "looks": [{"day": "2026-03-10", "rows": 5, "weather": "fair"}],
            "champion": {"ctr_auc": 0.6, "regret": 0.2},
            "bandit": {"arms": [1, 2]},
        }
    )
    report = GateReport.parse(text, "a")
    assert report.decision == "wait and see"
    assert report.champion is not None and report.champion.values()["regret"] == 0.2
    looks = (*report.looks, Look(day=date(2026, 3, 11), rows=9, spent=0.01))
    written = json.loads(json.dumps(report.model_copy(update={"looks": looks}).document()))
    assert written == {
        **json.loads(text),
        "looks": [
            {"day": "2026-03-10", "rows": 5, "weather": "fair"},
            {"day": "2026-03-11", "rows": 9, "spent": 0.01},
        ],
    }


def test_what_is_missing_is_none_and_is_not_written() -> None:
    for record in (Scores, GateReport, TrainingFigures):
        assert record.parse("{}", "a").document() == {"version": VERSION}
    report = GateReport.parse('{"rules": null, "champion": null, "looks": null}', "a")
    assert (report.rules, report.champion, report.gain) == ((), None, None)
    assert report.last_look is None


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "null"])
def test_what_is_no_number_is_no_figure(word: str) -> None:
    scores = Scores.parse(f'{{"signals": {{"auc": {{"p": 0.5, "effect": {word}}}}}}}', "a")
    assert scores.signals is not None
    assert (scores.signals["auc"].p, scores.signals["auc"].effect) == (0.5, None)
    assert "null" in json.dumps(scores.document(), allow_nan=False)


def test_a_document_that_is_damaged_is_one_line_with_its_decision() -> None:
    for text in ("{", '{"looks": 1}', '{"plan": {"error": "much"}}', "[]"):
        with pytest.raises(LedgerError, match="decision 'a': its gate report cannot be") as error:
            GateReport.parse(text, "a")
        assert "\n" not in str(error.value)


def test_records_are_written_by_their_names_and_cannot_be_changed() -> None:
    scores = Scores(rule="no evidence", since=date(2026, 3, 9), signals={"auc": SignalScore(p=0.2)})
    assert scores.document() == {
        "rule": "no evidence", "since": "2026-03-09", "signals": {"auc": {"p": 0.2}},
        "version": VERSION,
    }  # fmt: skip
    with pytest.raises(ValidationError, match="frozen"):
        scores.rule = "another"  # type: ignore[misc]
    span = Span(rows=3, first="2026-03-09T01:02:03.500000", last="2026-03-09T02:00:00.000000")
    assert span.model_dump(by_alias=True, exclude_unset=True)["from"] == span.first
    assert span.begins == datetime(2026, 3, 9, 1, 2, 3, 500_000, UTC)


def test_known_words_are_members_of_their_enumerations() -> None:
    report = GateReport.parse('{"decision": "promote", "rules": [{"verdict": "fail"}]}', "a")
    assert report.decision is GateVerdict.PROMOTE
    assert report.rules[0].verdict is RuleVerdict.FAIL
    assert State.read("waiting") is State.WAITING
    assert State.read("dreaming") == "dreaming"
    assert Plan(error=0.05, looks=5, rows=100).decisions == 1


def test_records_load_without_heavy_packages() -> None:
    code = (
        "import sys, driftune.registry.records\n"
        "heavy = {'torch', 'pandas', 'evidently', 'mlflow', 'numpy', 'prefect'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert said.stdout.strip() == "[]"
