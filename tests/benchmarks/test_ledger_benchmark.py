"""The benchmark of the ledger fills what is asked of it, and times the front page for real."""

import re
from pathlib import Path

import pytest

from benchmarks.ledger_year import measure
from driftune.config.loading import load_config
from driftune.registry.ledger import Ledger
from driftune.registry.status import domain_status


@pytest.mark.slow
@pytest.mark.ci
def test_the_ledger_is_whole_and_the_front_page_of_it_is_written(tmp_path: Path) -> None:
    domains, days = 12, 40
    figures = measure(tmp_path, domains, days, None)
    config = load_config(tmp_path / "params.yaml", env={})
    with Ledger(config) as ledger:
        status = domain_status(ledger)
        last = ledger.days()[-1].day
    assert len(status) == domains and {row["day"] for row in status} == {last}
    page = (config.home / "reports" / "index.html").read_text(encoding="utf-8")
    assert all(row["domain"] in page for row in status)
    months = {path.stem for path in (config.home / "reports" / "data").glob("*.js")}
    assert months and all(re.fullmatch(r"\d{4}-\d\d", month) for month in months)
    of_a_day = {name for name in figures["seconds"] if name.startswith("day: ")}
    assert len(of_a_day) > 20
    assert {"driftune status", "front page, first", "front page after a day"} < {
        *figures["seconds"]
    }
