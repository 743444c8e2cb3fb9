"""The day in templates of file names."""

from collections.abc import Callable
from datetime import date

import pytest

from driftune.config.days import checked_template, with_day
from driftune.errors import ConfigError
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, World, impressions


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("logs/{day}.csv", "logs/2026-03-02.csv"),
        ("{day:%Y/%m/%d}/*.gz", "2026/03/02/*.gz"),
        ("year={day:%Y}/{day:%j}", "year=2026/061"),
        ("{day:%y%m%d}/{day}", "260302/2026-03-02"),
    ],
)
def test_a_day_in_its_form(template: str, name: str) -> None:
    assert with_day(checked_template(template), date(2026, 3, 2)) == name


@pytest.mark.parametrize(
    "template", ["logs/*.csv", "{day:%d}.csv", "{day:%m-%d}.csv", "{day:x}", "{day:%Y%m%d%H}"]
)
def test_a_template_that_tells_no_days_apart_is_refused(
    make_world: Callable[..., World], template: str
) -> None:
    with pytest.raises(
        ConfigError, match=r"source\.uri = '.*': .*(must contain|one name|no part of a day)"
    ):
        _ = make_world(source={"uri": template}).config


@pytest.mark.slow
@pytest.mark.ci
def test_files_by_hour_in_folders_by_month(make_world: Callable[..., World]) -> None:
    world = make_world(source={"uri": "logs/{day:%Y/%m}/{day:%y%m%d}-*.parquet"})
    day = impressions(FIRST, rows=300)
    folder = world.root / "logs" / "2026" / "03"
    folder.mkdir(parents=True)
    day.iloc[:100].to_parquet(folder / "260302-00.parquet", index=False)
    day.iloc[100:].to_parquet(folder / "260302-12.parquet", index=False)
    with Ledger(world.config) as ledger:
        assert ingest(world.config, ledger, FIRST).quality.rows == 300
