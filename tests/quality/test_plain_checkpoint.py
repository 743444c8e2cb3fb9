"""The checkpoint that other tests use in place of Great Expectations says the same of a day."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from driftune.config import Config
from driftune.lake.duck import connect
from driftune.quality.checkpoint import Check, Checkpoint
from driftune.quality.staged import Staged
from tests.checkpoint import VALIDATE, validate_plainly
from tests.conftest import World, impressions
from tests.marks import CI
from tests.quality.days import in_north, run

Change = Callable[[pd.DataFrame], pd.DataFrame]


def clean(frame: pd.DataFrame) -> pd.DataFrame:
    """The day as it is."""
    return frame


def broken_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Copies, a row without a user, an order without a click, an unknown domain."""
    frame.loc[50, "user_id"] = None
    frame.loc[60, ["click", "ordered"]] = [0, 1]
    frame.loc[70, "scene"] = "nowhere"
    return pd.concat([frame, frame.iloc[:10]], ignore_index=True)


def broken_domain(frame: pd.DataFrame) -> pd.DataFrame:
    """A domain in which everything is clicked."""
    frame.loc[in_north(frame), "click"] = 1
    return frame


def unreadable_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Prices that are words."""
    frame["price"] = frame["price"].astype(str)
    frame.loc[:40, "price"] = "dear"
    return frame


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(clean, marks=CI),
        broken_rows,
        pytest.param(broken_domain, marks=CI),
        pytest.param(unreadable_numbers, marks=CI),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_both_say_the_same_of_a_day(
    change: Change, ingested_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[set[Check]] = []

    def both(config: Config, staged: Staged) -> Checkpoint:
        # Judging marks the rows of broken domains in the staged day's own database.
        beside = staged.database.with_name("beside.duckdb")
        with connect(staged.database, reach=staged.reach) as con:
            # What is not in the file yet: the day is open.
            con.execute("CHECKPOINT")
        shutil.copy(staged.database, beside)
        plain = validate_plainly(config, replace(staged, database=beside))
        real = VALIDATE(config, staged)
        assert real.verdict == plain.verdict
        assert real.judged.refused.keys() == plain.judged.refused.keys()
        compared.extend([set(real.checks), set(plain.checks)])
        return real

    monkeypatch.setattr("driftune.intake.ingest.validate", both)
    for number in (3, 4):
        day = ingested_world.day(number)
        frame = impressions(day)
        ingested_world.write(day, change(frame) if number == 4 else frame)
        run(ingested_world, day)
    assert len(compared) == 4
    assert compared[0] == compared[1]
    assert compared[2] == compared[3]
    assert all(check.success for check in compared[3]) == (change is clean)
