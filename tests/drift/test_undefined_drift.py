"""Drift of domains whose figures are not defined: each has a state that says why, alone."""

import json
import re
import warnings
from collections.abc import Callable

import pytest

from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.pages import write_pages
from driftune.drift.windows import draw_windows
from driftune.registry.ledger import Ledger
from driftune.registry.records.states import QUIET
from driftune.reports.site import build_site
from tests.conftest import Ended, World
from tests.margins import assert_drift_by_far
from tests.undefined import DOMAINS, SHIFTED, STEADY, shown_wrong

# Domain → its state, and what its sentence begins with.
FOUND = {
    "no click": ("no-clicks", "No clicks: 0 clicks, 30 needed."),
    "only clicks": ("only-clicks", "Only clicks: 0 impressions without a click, 30 needed."),
    "one row": ("insufficient", "Too little data: 1 impressions, 150 needed."),
    "no label": ("refused", "Refused by data quality: 100.0% of 500 rows rejected"),
    "some not numbers": (
        "error",
        r"Error: its windows cannot be drawn: \d+ of 500 predictions of 2026-03-0\d are no "
        "numbers: the frozen model overflows; train it anew: driftune pretrain$",
    ),
    "certain": (
        "insufficient",
        "Cannot be judged: the champion is sure of a click on each of 500 impressions.",
    ),
}


@pytest.mark.slow
@pytest.mark.ci
def test_each_says_why_and_no_domain_beside_it_is_hurt(
    undefined_world: World, driftune: Callable[..., Ended], capsys: pytest.CaptureFixture[str]
) -> None:
    world, day = undefined_world, undefined_world.day(3)
    with Ledger(world.config) as ledger, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        windows = draw_windows(world.config, ledger, day)
        decide_day(world.config, ledger, windows, measure_day(world.config, windows))
        write_pages(world.config, ledger, day)
        build_site(world.config, ledger)
        rows = {row.domain: row for row in ledger.decisions()}
        assert ledger.champions() == {}
    assert set(rows) == set(DOMAINS)
    assert rows[SHIFTED].state == "pending"
    assert_drift_by_far([rows[SHIFTED], rows[STEADY]], world.config)
    for name, row in rows.items():
        state, sentence = FOUND.get(name.removesuffix(" · all"), (row.state, ""))
        assert row.state == state, name
        assert re.match(sentence, row.sentence), row.sentence
        assert name == SHIFTED or row.state in QUIET
    assert list(shown_wrong(world)) == []
    status: Ended = driftune("status", folder=world.root)
    told: Ended = driftune("status", "--json", folder=world.root)
    doctor: Ended = driftune("doctor", folder=world.root)
    why = {row["domain"]: row["why"] for row in json.loads(told.out)["domains"]}
    for name in FOUND:
        domain = f"{name} · all"
        assert why[domain] == rows[domain].sentence
        assert f"{domain}: {rows[domain].sentence}" in status.out
        assert rows[domain].sentence in doctor.out
        (page,) = world.config.home.glob(f"reports/decision/{day}/{rows[domain].domain_key}.html")
        assert rows[domain].sentence.split("'")[0] in page.read_text(encoding="utf-8")
    assert "nan" not in status.out.lower()
