"""Drift after the pointer moved or stayed: rollbacks, rejections, and a new backbone."""

from datetime import date

import pytest

from driftune.config import Config
from driftune.config.guard import Guard
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.windows import DomainWindow, draw_windows
from driftune.guard.check import check_champions
from driftune.intake.ingest import ingest
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.rollback import rollback
from driftune.training.pretrain import pretrain
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, crown
from tests.drift.test_detect import shifted
from tests.guard.conftest import WORSE, adapter
from tests.marks import CI


def run(config: Config, day: date) -> tuple[dict[str, str], DomainWindow]:
    """Check champions and decide a day; the domain's states by rule, and its window."""
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        check_champions(config, ledger, day, mirrored=False)
        windows = draw_windows(config, ledger, day)
        decide_day(config, ledger, windows, [measure_domain(config, each) for each in windows])
        rows = [row for row in ledger.decisions() if (row.day, row.domain_key) == (str(day), KEY)]
    (window,) = [each for each in windows if each.key == KEY]
    return {row.scores.rule: row.state for row in rows}, window


@pytest.mark.slow
@pytest.mark.ci
def test_after_a_rollback_drift_is_judged_against_who_serves_and_cools_down(
    trained_world: World,
) -> None:
    config = trained_world.config.model_copy(update={"guard": Guard(alone=0.01)})
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)])
    rules = []
    for number in (3, 4):
        day = trained_world.day(number)
        trained_world.write(day, shifted(day, 12_000))
        found, window = run(config, day)
        rules.append(found)
        assert window.champion == BASE
        assert window.reference == [trained_world.day(each) for each in range(3)]
    assert rules == [{"cool-down": "watched"}, {"strong evidence": "pending"}]


@pytest.mark.slow
@pytest.mark.ci
def test_the_cool_down_begins_when_the_labels_took_the_champion_back(trained_world: World) -> None:
    gate = trained_world.config.gate.model_copy(update={"label_delay_hours": 24})
    config = trained_world.config.model_copy(update={"guard": Guard(alone=0.01), "gate": gate})
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)])
    served, rules = [], []
    for number in (3, 4, 5):
        day = trained_world.day(number)
        trained_world.write(day, shifted(day, 12_000))
        found, window = run(config, day)
        served.append(window.champion)
        rules.append(found)
    assert served == [1, BASE, BASE]
    assert rules[1:] == [{"cool-down": "watched"}, {"strong evidence": "pending"}]


@pytest.mark.slow
@pytest.mark.ci
def test_a_switch_by_hand_cools_down_from_where_the_data_stands(trained_world: World) -> None:
    config = trained_world.config.model_copy(update={"guard": Guard(alone=1e-300)})
    crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(2)])
    with Ledger(config) as ledger:
        rollback(config, ledger, KEY, BASE, "a person knows more")
        assert ledger.switches(KEY)[-1].data_day == str(trained_world.day(2))
    rules = []
    for number in (3, 4):
        day = trained_world.day(number)
        trained_world.write(day, shifted(day, 12_000))
        rules.append(run(config, day)[0])
    assert rules == [{"cool-down": "watched"}, {"strong evidence": "pending"}]


@pytest.mark.slow
@pytest.mark.ci
def test_a_rejection_leaves_the_reference_as_it_was(trained_world: World) -> None:
    config = trained_world.config
    references, rejected = [], 0
    for number in (3, 4, 5):
        day = trained_world.day(number)
        trained_world.write(day, shifted(day) if number == 4 else impressions(day, 2400))
        rules, window = run(config, day)
        references.append(window.reference)
        rejected += number == 4 and "pending" in rules.values()
        with Ledger(config) as ledger:
            for row in ledger.waiting(day):
                owner = ledger.claim(row.id)
                assert row.domain == DOMAIN
                assert owner is not None
                with ledger.write() as connection:
                    ledger.finish(
                        connection,
                        row.id,
                        owner,
                        "rejected",
                        gate=GateReport(),
                        training=TrainingFigures(),
                    )
    assert rejected == 1
    base = [trained_world.day(number) for number in range(3)]
    # The quiet day confirmed the base; the day of the rejection did not, and is no reference.
    assert references == [base, [*base, trained_world.day(3)], [*base, trained_world.day(3)]]
    with Ledger(config) as ledger:
        assert ledger.champions() == {}


@pytest.mark.parametrize("served", [True, pytest.param(False, marks=CI)])
@pytest.mark.slow
@pytest.mark.ci
def test_a_new_backbone_queues_the_domains_that_had_an_adapter_once(
    trained_world: World, served: bool
) -> None:
    config = trained_world.config
    if served:
        crown(trained_world, adapter(trained_world, 1, "residual"), [trained_world.day(2)])
    newer = config.model_copy(
        update={"backbone": config.backbone.model_copy(update={"epochs": 2})}
    ).read_from(trained_world.params)
    with Ledger(newer) as ledger:
        pretrain(newer, ledger)
    found = []
    for number in (3, 4):
        day = trained_world.day(number)
        trained_world.write(day, impressions(day, 2400))
        rules, window = run(newer, day)
        assert window.champion == BASE
        found.append(rules)
        with Ledger(newer) as ledger:
            waiting = {row.domain_key: row.sentence for row in ledger.waiting(day)}
        assert set(waiting) == ({KEY} if served else set())
        assert all("Version 1 was made for another backbone" in each for each in waiting.values())
    assert set(found[0]) == ({"new backbone"} if served else {"no evidence"})
    assert "new backbone" not in found[1]
