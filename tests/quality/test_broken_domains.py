"""One broken domain is kept out of the lake alone; when most are broken, it is the day."""

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.drift.measure import measure_domain
from driftune.drift.windows import draw_windows
from driftune.errors import DayRefusedError
from driftune.lake.table import Lake
from driftune.quality.day_profile import read_profile
from driftune.quality.record import read_quality, refused_domains
from driftune.registry.ledger import Ledger
from tests.conftest import DOMAINS, World, impressions
from tests.marks import CI
from tests.quality.days import NORTH, broken, in_north, run


def no_clicks(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    return frame


def bad_labels(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[in_north(frame) & (np.arange(len(frame)) % 2 == 0), "click"] = 7
    return frame


def few_rows(frame: pd.DataFrame) -> pd.DataFrame:
    keep = ~in_north(frame) | (np.arange(len(frame)) % 50 == 0)
    return frame[keep].reset_index(drop=True)


def all_gone(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~in_north(frame)].reset_index(drop=True)


def domains_in_lake(world: World, day: date) -> set[str]:
    with duckdb.connect() as con:
        rows = con.execute(
            f"SELECT DISTINCT domain FROM {Lake.of(world.config).relation([day])}"
        ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (no_clicks, "domain_click_rate_absurd"),
        pytest.param(bad_labels, "domain_rejected", marks=CI),
        (few_rows, "domain_gone"),
        pytest.param(all_gone, "domain_gone", marks=CI),
    ],
)
def test_a_broken_domain_is_kept_out_and_the_others_go_on(
    ingested_world: World, spoil, rule: str
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = spoil(impressions(day))
    delivered = int(in_north(frame).sum())
    world.write(day, frame)
    quality = run(world, day).quality

    assert quality.verdict == "warning"
    assert [(row["domain"], row["rules"]) for row in quality.refused] == [(NORTH, [rule])]
    assert broken(quality)[rule]["about"] == [NORTH]
    assert NORTH in str(broken(quality)[rule]["detail"])
    verdicts = {row["domain"]: row["verdict"] for row in quality.domains}
    assert verdicts == {name: "refused" if name == NORTH else "ok" for name in DOMAINS}
    assert next(row for row in quality.domains if row["domain"] == NORTH)["reasons"]
    assert domains_in_lake(world, day) == set(DOMAINS) - {NORTH}
    assert quality.rejected == delivered
    reasons = {row["reason"] for row in quality.rejections if row["domain"] == NORTH}
    assert ("domain_refused" in reasons) == (delivered > 0)
    path = Workspace(world.config).quarantine(day)
    kept = pd.read_parquet(path) if path.exists() else []
    assert len(kept) == delivered


@pytest.mark.slow
@pytest.mark.ci
def test_a_refused_domain_is_no_part_of_what_is_usual(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day, no_clicks(impressions(day)))
    run(world, day)
    profile = read_profile(Workspace(world.config), day)
    assert profile is not None
    assert set(profile["domains"]) == set(DOMAINS) - {NORTH}
    assert refused_domains(Workspace(world.config), day).popitem()[1][0] == NORTH


@pytest.mark.slow
@pytest.mark.ci
def test_when_most_domains_are_broken_the_day_is_refused(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    world.write(day, frame.assign(click=1 - frame["click"], ordered=0).assign(click=0))
    with pytest.raises(DayRefusedError, match="domains to be refused"):
        run(world, day)
    quality = read_quality(Workspace(world.config), day)
    assert quality is not None
    assert (quality.verdict, quality.refused, quality.rejected) == ("refused", [], 0)
    assert day not in Lake.of(world.config).days
    assert read_profile(Workspace(world.config), day) is None


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_is_unusual_before_three_days_are_known(make_world) -> None:
    world = make_world()
    for number in range(2):
        world.write(world.day(number))
        run(world, world.day(number))
    day = world.day(2)
    world.write(day, no_clicks(impressions(day)))
    quality = run(world, day).quality
    assert (quality.verdict, quality.refused) == ("ok", [])


@pytest.mark.slow
@pytest.mark.ci
def test_the_limits_of_a_domain_are_set_in_params(ingested_world: World) -> None:
    world = World(ingested_world.root, quality={"severity": {"domain_click_rate_absurd": "info"}})
    day = world.day(3)
    world.write(day, no_clicks(impressions(day)))
    quality = run(world, day).quality
    assert quality.refused == []
    assert domains_in_lake(world, day) == set(DOMAINS)
    assert "domain_click_rate" in broken(quality)


@pytest.mark.slow
@pytest.mark.ci
def test_drift_says_that_data_quality_refused_the_domain(trained_world: World) -> None:
    world, day = trained_world, trained_world.day(3)
    world.write(day, no_clicks(impressions(day)))
    run(world, day)
    with Ledger(world.config) as ledger:
        windows = {window.domain: window for window in draw_windows(world.config, ledger, day)}
    assert set(windows) == set(DOMAINS)
    measured = measure_domain(world.config, windows[NORTH])
    assert measured.problem is not None
    assert measured.problem.sentence.startswith("Refused by data quality: 0.0% clicks, usually")
    assert measure_domain(world.config, windows["home · south"]).problem is None
