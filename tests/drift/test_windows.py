"""Windows: how many rows, which rows, of which days, and that nothing but the data decides."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from driftune.domains import domain_key
from driftune.drift.windows import read_window, windows_path, write_windows
from driftune.logs.features import encode_day
from driftune.models.adapters import Adapter, AdapterBank, IAKConfig, IAKKernel
from driftune.training.pretrain import load_model
from driftune.training.rows import load_rows
from driftune.training.scoring import score
from tests.adaptation import DOMAIN, KEY, bring
from tests.conftest import DOMAINS, FIRST, REFERENCE_DAYS, World, impressions

KEYS = {domain: domain_key(domain) for domain in DOMAINS}
Counts = dict[str, dict[str, int]]


@pytest.fixture
def day(trained_world: World) -> date:
    """The day after the reference days, in the lake."""
    return bring(trained_world, trained_world.day(3))


def draw(
    world: World,
    day: date,
    references: dict[str, list[date]] | None = None,
    bank: AdapterBank | None = None,
) -> Counts:
    """Draw the day's windows (of all domains against all reference days by default)."""
    days = [world.day(number) for number in range(REFERENCE_DAYS)]
    encoder, model, _ = load_model(world.config)
    wanted = references or dict.fromkeys(KEYS.values(), days)
    return write_windows(world.config, day, wanted, encoder, model, bank or AdapterBank())


def window(world: World, day: date, key: str = KEY) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read_window(windows_path(world.config, day), key)


def of_domain(frame: pd.DataFrame, domain: str) -> pd.DataFrame:
    scene, region = domain.split(" · ")
    return frame[(frame["scene"] == scene) & (frame["region"] == region)]


def test_counts_are_of_all_rows_and_the_windows_of_a_sample(
    trained_world: World, day: date
) -> None:
    found = draw(trained_world, day)
    logs = {"current": impressions(day, 2400)}
    logs["reference"] = pd.concat(impressions(trained_world.day(n)) for n in range(REFERENCE_DAYS))
    limit = trained_world.config.drift.sample_rows
    assert set(found) == set(KEYS.values())
    for domain, key in KEYS.items():
        for side, kept in zip(logs, window(trained_world, day, key), strict=True):
            rows = of_domain(logs[side], domain)
            assert found[key][f"{side}_rows"] == len(rows) > limit
            assert found[key][f"{side}_clicks"] == rows["click"].sum()
            sample = kept[kept["place"] <= limit]
            assert sorted(sample["place"]) == list(range(1, limit + 1))
            assert set(kept["domain_key"]) == {key}


def test_clicks_beyond_the_sample_are_kept_up_to_its_size(trained_world: World, day: date) -> None:
    found = draw(trained_world, day)
    current, _ = window(trained_world, day)
    beyond = current[current["place"] > trained_world.config.drift.sample_rows]
    assert (beyond["click"] == 1).all()
    assert (current["click"] == 1).sum() == found[KEY]["current_clicks"]
    assert sorted(current.loc[current["click"] == 1, "nth"]) == list(
        range(1, found[KEY]["current_clicks"] + 1)
    )


def test_the_sample_is_of_the_day_and_not_of_its_first_hours(
    trained_world: World, day: date
) -> None:
    draw(trained_world, day)
    current, _ = window(trained_world, day)
    sample = current[current["place"] <= trained_world.config.drift.sample_rows]
    assert set(sample["hour"]) == set(range(24))
    rate = of_domain(impressions(day, 2400), DOMAIN)["click"].mean()
    assert sample["click"].mean() == pytest.approx(rate, abs=0.06)


def test_rows_that_share_user_item_and_second_are_drawn_alike_in_any_order(
    trained_world: World,
) -> None:
    day = trained_world.day(3)
    frame = impressions(day, 4000).assign(user_id="u1", item_id="i1")
    frame["event_time"] = frame["event_time"].dt.floor("h")
    drawn = []
    for order in (frame, frame.sample(frac=1, random_state=3), frame.iloc[::-1]):
        bring(trained_world, day, order)
        draw(trained_world, day)
        drawn.append(window(trained_world, day)[0])
    pd.testing.assert_frame_equal(drawn[0], drawn[1])
    pd.testing.assert_frame_equal(drawn[0], drawn[2])


def test_each_domain_is_held_against_its_own_reference_days(
    trained_world: World, day: date
) -> None:
    other = KEYS["search · south"]
    found = draw(trained_world, day, {KEY: [trained_world.day(1)], other: [FIRST]})
    assert set(found) == {KEY, other}
    for domain, key, chosen in (
        (DOMAIN, KEY, trained_world.day(1)),
        ("search · south", other, FIRST),
    ):
        rows = of_domain(impressions(chosen), domain)
        assert found[key]["reference_rows"] == len(rows)
        _, reference = window(trained_world, day, key)
        kept = reference["price"].round(2).to_numpy()
        assert np.isin(kept, rows["price"].to_numpy()).all()


def test_a_domain_that_one_side_lacks(trained_world: World, day: date) -> None:
    frame = impressions(day, 2400)
    there = of_domain(frame, DOMAIN).index
    bring(trained_world, day, frame.drop(there))
    found = draw(trained_world, day)
    current, reference = window(trained_world, day)
    assert "current_rows" not in found[KEY]
    assert found[KEY]["reference_rows"] > 0
    assert current.empty
    assert len(reference) > 0


def test_a_domain_that_is_unknown_has_no_window(trained_world: World, day: date) -> None:
    draw(trained_world, day)
    current, reference = window(trained_world, day, "no-such-domain")
    assert current.empty
    assert reference.empty


def test_predictions_are_those_of_the_champion_that_serves_the_domain(
    trained_world: World, day: date
) -> None:
    encoder, model, _ = load_model(trained_world.config)
    kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "replace"))
    bank = AdapterBank.from_adapters({KEY: Adapter({"representation": kernel})})
    draw(trained_world, day, bank=bank)
    file = encode_day(trained_world.config, encoder, day)
    for key in KEYS.values():
        current, _ = window(trained_world, day, key)
        served, _ = score(model, load_rows(encoder, [file], key), bank)
        plain, _ = score(model, load_rows(encoder, [file], key))
        drawn = np.sort(current["prediction"].to_numpy())
        assert nearest(served, drawn).max() < 1e-6
        assert bool(nearest(plain, drawn).max() < 1e-6) is (key != KEY)


def nearest(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Distance of each value from the nearest known one."""
    return np.abs(known[:, None] - values[None, :]).min(axis=0)
