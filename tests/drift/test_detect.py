"""Detection on the lake: which windows are drawn, which domain is decided, and only once."""

import zlib
from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest
import sqlalchemy as sa

from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.drift.detect import decide_day
from driftune.drift.distances import distances
from driftune.drift.evidently_report import compare
from driftune.drift.measure import measure_domain
from driftune.drift.pages import add_snapshots, write_drift_page, write_pages
from driftune.drift.windows import category_names, draw_windows, read_windows, windows_path
from driftune.errors import LedgerError
from driftune.intake.ingest import ingest
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport, TrainingFigures
from driftune.registry.rollback import rollback
from driftune.registry.schema import decisions
from driftune.training.pretrain import load_model, pretrain
from tests.conftest import DOMAINS, World, impressions
from tests.crowning import crown

SHIFTED = "home · north"


@pytest.fixture
def day(trained_world: World) -> date:
    """The day after the reference days."""
    return trained_world.day(3)


def shifted(day: date, rows: int = 2400) -> pd.DataFrame:
    """A day on which one domain wants coffee and nothing else."""
    frame = impressions(day, rows)
    there = (frame["scene"] == "home") & (frame["region"] == "north")
    wants = (frame["category"] == "coffee").astype("int8")
    frame.loc[there, "click"] = wants[there]
    frame.loc[there, "ordered"] = 0
    return frame


def detect(world: World, day: date) -> dict[str, str]:
    """Ingest and decide a day; returns states by domain."""
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        windows = draw_windows(world.config, ledger, day)
        measured = [measure_domain(world.config, window) for window in windows]
        decide_day(world.config, ledger, windows, measured)
        write_pages(world.config, ledger, day)
        return {row.domain: row.state for row in ledger.decisions() if row.day == str(day)}


def test_a_day_like_the_others_is_stable(trained_world: World, day: date) -> None:
    trained_world.write(day, impressions(day, 2400))
    assert detect(trained_world, day) == dict.fromkeys(DOMAINS, "stable")


@pytest.mark.evidently
def test_only_the_domain_that_shifted_is_found(trained_world: World, day: date) -> None:
    trained_world.write(day, shifted(day))
    assert detect(trained_world, day) == {**dict.fromkeys(DOMAINS, "stable"), SHIFTED: "pending"}
    with Ledger(trained_world.config) as ledger:
        (row,) = [row for row in ledger.decisions() if row.state == "pending"]
    workspace = Workspace(trained_world.config)
    assert "coffee +" in row.sentence
    assert row.score > 1
    page, framed = (
        path(day, row.domain_key) for path in (workspace.drift_page, workspace.evidently_page)
    )
    assert sorted(workspace.reports.glob("drift/*/*.html")) == sorted([page, framed])
    assert framed.stat().st_size > 1_000_000
    assert f'sandbox="allow-scripts" src="{framed.name}"' in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_is_decided_once(trained_world: World, day: date) -> None:
    trained_world.write(day)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        before = ledger.decisions()
        assert draw_windows(trained_world.config, ledger, day) == []
        assert ledger.decisions() == before


@pytest.mark.slow
@pytest.mark.ci
def test_windows_hold_a_fixed_sample_that_order_does_not_change(
    trained_world: World, day: date
) -> None:
    limit = 200
    world = World(trained_world.root, drift={"sample_rows": limit})
    frame = impressions(day, 2400)
    drawn = []
    for order in (frame, frame.sample(frac=1, random_state=3)):
        world.write(day, order)
        with Ledger(world.config) as ledger:
            ingest(world.config, ledger, day)
            windows = draw_windows(world.config, ledger, day)
        held = read_windows(world.config, windows[0])
        assert held is not None
        assert held.current.rows == limit
        assert held.current.parts["rows"][0] > limit
        assert {profile.rows for profile in held.reference.values()} == {limit}
        drawn.append(held.current.parts)
    for part, counts in drawn[0].items():
        assert counts == pytest.approx(drawn[1][part]), part


@pytest.mark.slow
@pytest.mark.ci
def test_a_small_domain_is_neither_drifted_nor_stable(trained_world: World, day: date) -> None:
    frame = shifted(day)
    there = (frame["scene"] == "home") & (frame["region"] == "north")
    trained_world.write(day, pd.concat([frame[~there], frame[there].head(40)]))
    found = detect(trained_world, day)
    assert found.pop(SHIFTED) == "insufficient"
    assert set(found.values()) == {"stable"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_partial_day_is_neither_drifted_nor_stable(trained_world: World, day: date) -> None:
    frame = shifted(day, 9600)
    morning = frame[frame["event_time"].dt.hour < 6]
    trained_world.write(day, morning)
    assert detect(trained_world, day) == dict.fromkeys(DOMAINS, "partial")
    with Ledger(trained_world.config) as ledger:
        (row,) = [row for row in ledger.decisions() if row.domain == SHIFTED]
    assert row.sentence.startswith("A partial day: the day has impressions in 6 hours")
    assert row.scores.counts.rows >= trained_world.config.drift.min_rows
    trained_world.write(day, frame)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        states = {row.domain: row.state for row in ledger.decisions() if row.revision == 2}
    assert states[SHIFTED] == "pending"


def test_an_adapter_is_compared_with_the_days_it_was_trained_on_and_those_that_confirmed_it(
    trained_world: World, day: date
) -> None:
    _, model, _ = load_model(trained_world.config)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "replace"))
    crown(trained_world, Adapter({"representation": kernel}).eval(), [trained_world.day(2)])
    trained_world.write(day)
    detect(trained_world, day)
    after = trained_world.day(4)
    trained_world.write(after)
    with Ledger(trained_world.config) as ledger:
        ingest(trained_world.config, ledger, after)
        windows = draw_windows(trained_world.config, ledger, after)
        before = {row.domain: row.state for row in ledger.decisions()}
    base = [trained_world.day(number) for number in range(3)]
    assert before == dict.fromkeys(DOMAINS, "stable")
    assert {window.domain: tuple(window.reference) for window in windows} == {
        **dict.fromkeys(DOMAINS, (*base, day)),
        SHIFTED: (trained_world.day(2), day),
    }


@pytest.mark.slow
@pytest.mark.ci
def test_what_was_promoted_by_drift_is_followed_up_while_it_serves(
    trained_world: World, day: date
) -> None:
    config = trained_world.config
    for number in range(3, 7):
        trained_world.write(trained_world.day(number), shifted(trained_world.day(number)))
    detect(trained_world, day)
    _, model, _ = load_model(config)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "residual"))
    with Ledger(config) as ledger:
        (row,) = ledger.waiting(day)
        owner = ledger.claim(row.id)
        assert owner is not None
        crown(trained_world, Adapter({"representation": kernel}).eval(), [day])
        with ledger.write() as connection:
            ledger.finish(
                connection,
                row.id,
                owner,
                "promoted",
                gate=GateReport(),
                training=TrainingFigures(),
                adapter_version=1,
            )
    rules = {}
    for number in (4, 5):
        after = trained_world.day(number)
        detect(trained_world, after)
        with Ledger(config) as ledger:
            made = {one.domain: one for one in ledger.decisions() if one.day == str(after)}
            rules[number] = made[SHIFTED].scores.rule, made[SHIFTED].state
            assert {made[name].state for name in made if name != SHIFTED} <= {"stable", "watched"}
    assert rules == dict.fromkeys((4, 5), ("follow-up", "pending"))
    with Ledger(config) as ledger:
        rollback(config, ledger, row.domain_key, 0, "the test")
    detect(trained_world, trained_world.day(6))
    with Ledger(config) as ledger:
        made = {
            one.domain: one for one in ledger.decisions() if one.day == str(trained_world.day(6))
        }
    assert made[SHIFTED].scores.rule != "follow-up"


@pytest.mark.slow
@pytest.mark.ci
def test_a_waiting_challenger_holds_up_drift_and_its_late_promotion_cools_down(
    trained_world: World, day: date
) -> None:
    config = trained_world.config
    for number in range(3, 6):
        trained_world.write(trained_world.day(number), shifted(trained_world.day(number)))
    detect(trained_world, day)
    after, last = trained_world.day(4), trained_world.day(5)

    def found(when: date) -> sa.Row:
        with Ledger(config) as ledger:
            rows = [row for row in ledger.decisions() if row.day == str(when)]
        return next(row for row in rows if row.domain == SHIFTED)

    change = decisions.update().where(decisions.c.id == found(day).id)
    with Ledger(config) as ledger, ledger.write() as connection:
        waits = {"waits_for": "data", "looks": [{"day": str(day)}]}
        connection.execute(change.values(state="waiting", gate=waits))
    detect(trained_world, after)
    assert (found(after).state, found(after).scores.rule) == ("watched", "a challenger waits")
    with Ledger(config) as ledger, ledger.write() as connection:
        connection.execute(
            change.values(
                state="promoted", gate={"looks": [{"day": str(day)}, {"day": str(after)}]}
            )
        )
    detect(trained_world, last)
    assert (found(last).state, found(last).scores.rule) == ("watched", "cool-down")


@pytest.mark.slow
@pytest.mark.ci
def test_domains_that_were_left_alone_come_of_age_one_after_another(
    make_world: Callable[..., World],
) -> None:
    world = make_world(
        drift={"max_age_days": 4, "min_rows": 150, "min_clicks": 30}
    ).with_reference()
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
    due: dict[str, list[int]] = {domain: [] for domain in DOMAINS}
    for number in range(3, 12):
        world.write(world.day(number))
        detect(world, world.day(number))
        with Ledger(world.config) as ledger:
            made = [row for row in ledger.decisions() if row.day == str(world.day(number))]
            for row in made:
                if row.scores.rule == "age":
                    due[row.domain].append(number)
                    owner = ledger.claim(row.id)
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
    for domain, days in due.items():
        waits = zlib.crc32(domain_key(domain).encode()) % 4
        assert days == [*range(3 + 4 + waits, 12, 4)], domain
    assert len({days[0] for days in due.values() if days}) > 1


@pytest.mark.evidently
@pytest.mark.slow
@pytest.mark.ci
def test_distances_are_those_of_evidently_s_own_report(trained_world: World, day: date) -> None:
    trained_world.write(day, shifted(day))
    config = trained_world.config
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        window = next(w for w in draw_windows(config, ledger, day) if w.domain == SHIFTED)
    windows, names = read_windows(config, window), category_names(config, day)
    assert windows is not None
    metrics = compare(windows, names, config.drift.sample_rows).dict()["metrics"]
    reported = {
        metric["config"]["column"]: float(metric["value"])
        for metric in metrics
        if "column" in metric["config"]
    }
    found = distances([windows], config.drift.sample_rows)[0]
    assert found == pytest.approx(reported)
    assert len(found) > 5


def test_a_day_that_is_not_in_the_lake(trained_world: World, day: date) -> None:
    with (
        Ledger(trained_world.config) as ledger,
        pytest.raises(LedgerError, match=f"{day} is not in the lake"),
    ):
        draw_windows(trained_world.config, ledger, day)


@pytest.mark.slow
@pytest.mark.ci
def test_evidently_s_page_of_a_past_decision_on_demand(trained_world: World, day: date) -> None:
    trained_world.write(day)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        row = ledger.decisions()[0]
        page = Workspace(trained_world.config).drift_page(day, row.domain_key)
        assert not page.exists()
        write_drift_page(trained_world.config, ledger, row.id)
        assert page.exists()
        assert Workspace(trained_world.config).evidently_page(day, row.domain_key).exists()
        windows_path(trained_world.config, day).unlink()
        with pytest.raises(LedgerError, match="no longer kept"):
            write_drift_page(trained_world.config, ledger, row.id)


def test_reference_days_are_not_measured_against_themselves(trained_world: World) -> None:
    with Ledger(trained_world.config) as ledger:
        for number in range(3):
            assert draw_windows(trained_world.config, ledger, trained_world.day(number)) == []
        assert ledger.decisions() == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_s_snapshots_are_added_once_and_overtaken_ones_taken_out(
    trained_world: World, day: date
) -> None:
    from evidently.ui.workspace import Workspace as Series

    world = World(trained_world.root, drift={"snapshots": True})
    counts = []
    for seed in (0, 1):
        world.write(day, impressions(day, 2400, seed))
        detect(world, day)
        with Ledger(world.config) as ledger:
            added = [add_snapshots(world.config, ledger, day) for _ in range(2)]
        series = Series.create(str(Workspace(world.config).evidently))
        projects = {project.name: project for project in series.list_projects()}
        runs = [run for project in projects.values() for run in series.list_runs(project.id)]
        counts.append((added, sorted(projects), len(runs)))
    assert counts == [([4, 0], sorted(DOMAINS), 4)] * 2


@pytest.mark.slow
@pytest.mark.ci
def test_old_pages_are_dropped(trained_world: World, day: date) -> None:
    old = Workspace(trained_world.config).drift_page(date(2025, 1, 1), "home")
    old.parent.mkdir(parents=True)
    old.touch()
    trained_world.write(day, shifted(day))
    detect(trained_world, day)
    assert not old.parent.exists()
