"""Detection on the lake: which windows are drawn, which domain is decided, and only once."""

from datetime import date

import pandas as pd
import pytest

from driftune.drift.detect import decide_domain, draw_windows, write_drift_page
from driftune.drift.windows import read_newest, read_window, windows_path
from driftune.errors import LedgerError
from driftune.logs.ingest import ingest
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import load_model
from driftune.workspace import Workspace
from tests.adaptation import crown
from tests.conftest import DOMAINS, World, impressions

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
        for window in draw_windows(world.config, ledger, day):
            decide_domain(world.config, ledger, window)
        return {row.domain: row.state for row in ledger.decisions() if row.day == str(day)}


def test_a_day_like_the_others_is_stable(trained_world: World, day: date) -> None:
    trained_world.write(day, impressions(day, 2400))
    assert detect(trained_world, day) == dict.fromkeys(DOMAINS, "stable")


def test_only_the_domain_that_shifted_is_found(trained_world: World, day: date) -> None:
    trained_world.write(day, shifted(day))
    assert detect(trained_world, day) == {**dict.fromkeys(DOMAINS, "stable"), SHIFTED: "pending"}
    with Ledger(trained_world.config) as ledger:
        (row,) = [row for row in ledger.decisions() if row.state == "pending"]
    workspace = Workspace(trained_world.config)
    assert "coffee +" in row.sentence
    assert row.score > 1
    assert workspace.drift(day, row.domain_key).exists()
    assert workspace.drift_page(day, row.domain_key).stat().st_size > 1_000_000
    assert len(list(workspace.reports.glob("drift/*/*.html"))) == 1


def test_a_day_is_decided_once(trained_world: World, day: date) -> None:
    trained_world.write(day)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        before = ledger.decisions()
        assert draw_windows(trained_world.config, ledger, day) == []
        assert ledger.decisions() == before


def test_windows_hold_a_fixed_sample_that_order_does_not_change(
    trained_world: World, day: date
) -> None:
    limit = trained_world.config.drift.sample_rows
    frame = impressions(day, 2400)
    drawn = []
    for order in (frame, frame.sample(frac=1, random_state=3)):
        trained_world.write(day, order)
        detect(trained_world, day)
        with Ledger(trained_world.config) as ledger:
            key = ledger.decisions()[0].domain_key
        current, reference = read_window(windows_path(trained_world.config, day), key)
        assert set(current["domain_key"]) == {key}
        assert (current["place"] <= limit).sum() == limit
        assert (reference["place"] <= limit).sum() == limit
        assert (current["side_rows"] >= limit).all()
        drawn.append(current.drop(columns=["nth"]))
    pd.testing.assert_frame_equal(*drawn)


def test_a_small_domain_is_neither_drifted_nor_stable(trained_world: World, day: date) -> None:
    frame = shifted(day)
    there = (frame["scene"] == "home") & (frame["region"] == "north")
    trained_world.write(day, pd.concat([frame[~there], frame[there].head(40)]))
    found = detect(trained_world, day)
    assert found.pop(SHIFTED) == "insufficient"
    assert set(found.values()) == {"stable"}


def test_a_partial_day_is_neither_drifted_nor_stable(trained_world: World, day: date) -> None:
    frame = shifted(day, 9600)
    morning = frame[frame["event_time"].dt.hour < 6]
    trained_world.write(day, morning)
    assert detect(trained_world, day) == dict.fromkeys(DOMAINS, "insufficient")
    with Ledger(trained_world.config) as ledger:
        (row,) = [row for row in ledger.decisions() if row.domain == SHIFTED]
    assert row.sentence.startswith("A partial day: the day has impressions in 6 hours")
    assert row.scores["counts"]["current_rows"] >= trained_world.config.drift.min_rows
    trained_world.write(day, frame)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        states = {row.domain: row.state for row in ledger.decisions() if row.revision == 2}
    assert states[SHIFTED] == "pending"


def test_the_base_s_predictions_are_compared_with_the_newest_reference_days(
    trained_world: World, day: date
) -> None:
    world = World(trained_world.root, adapter={"train_days": 2})
    world.write(day)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
        windows = draw_windows(world.config, ledger, day)
        ids = [decide_domain(world.config, ledger, window) for window in windows]
        row = ledger.decision(ids[0])
    newest = [world.day(1), world.day(2)]
    assert [window.newest for window in windows] == [newest] * len(DOMAINS)
    assert [len(window.reference) for window in windows] == [3] * len(DOMAINS)
    assert row.scores["newest"] == [str(each) for each in newest]
    logs = pd.concat(impressions(each) for each in newest)
    for window in windows:
        scene, region = window.domain.split(" · ")
        there = logs[(logs["scene"] == scene) & (logs["region"] == region)]
        drawn = read_newest(windows_path(world.config, day), window.key)
        limit = world.config.drift.sample_rows
        assert (drawn["place"] <= limit).sum() == min(limit, len(there))
        assert set(drawn["price"].round(2)) <= set(there["price"])


def test_an_adapter_s_predictions_are_compared_with_its_whole_reference(
    trained_world: World, day: date
) -> None:
    trained_world.write(day)
    _, model, _ = load_model(trained_world.config)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "replace"))
    crown(trained_world, Adapter({"representation": kernel}).eval(), [trained_world.day(2)])
    with Ledger(trained_world.config) as ledger:
        ingest(trained_world.config, ledger, day)
        windows = draw_windows(trained_world.config, ledger, day)
    assert {window.domain: bool(window.newest) for window in windows} == {
        **dict.fromkeys(DOMAINS, True),
        SHIFTED: False,
    }
    (promoted,) = [window for window in windows if window.domain == SHIFTED]
    assert read_newest(windows_path(trained_world.config, day), promoted.key).empty


def test_a_day_that_is_not_in_the_lake(trained_world: World, day: date) -> None:
    with (
        Ledger(trained_world.config) as ledger,
        pytest.raises(LedgerError, match=f"{day} is not in the lake"),
    ):
        draw_windows(trained_world.config, ledger, day)


def test_evidently_s_page_of_a_past_decision_on_demand(trained_world: World, day: date) -> None:
    trained_world.write(day)
    detect(trained_world, day)
    with Ledger(trained_world.config) as ledger:
        row = ledger.decisions()[0]
        page = Workspace(trained_world.config).drift_page(day, row.domain_key)
        assert not page.exists()
        write_drift_page(trained_world.config, ledger, row.id)
        assert page.exists()
        windows_path(trained_world.config, day).unlink()
        with pytest.raises(LedgerError, match="no longer kept"):
            write_drift_page(trained_world.config, ledger, row.id)


def test_reference_days_are_not_measured_against_themselves(trained_world: World) -> None:
    with Ledger(trained_world.config) as ledger:
        for number in range(3):
            assert draw_windows(trained_world.config, ledger, trained_world.day(number)) == []
        assert ledger.decisions() == []
