"""A ledger of release 62340b5 says on pages, in status and in messages what it said then."""

import re
from collections.abc import Iterator
from datetime import date

import pytest

from driftune.adaptation.messages import figures
from driftune.registry.ledger import Ledger
from driftune.registry.status import domain_status
from driftune.registry.waiting import looks_due
from driftune.reports.summary import day_rows
from tests.conftest import World
from tests.registry.old_ledger import unpack_old_ledger
from tests.reports.records import Site

DAY = date(2026, 3, 15)
NORTH = "home · north"
# Champion, state of the last day, and the last decision that asked for a fine-tune.
STATUS = {
    "home · north": (3, "stable", "2026-03-19"),
    "home · old town": (2, "stable", "2026-03-22"),
    "search · harbour": (4, "stable", "2026-03-22"),
}
# Of the decisions that asked for a fine-tune: rule, drift, and the metric before and after.
ASKED = [
    ("2026-03-15", NORTH, "promoted", "strong evidence", 15.28, 0.5419, 0.6687),
    ("2026-03-16", NORTH, "promoted", "follow-up", 0.16, 0.6238, 0.6365),
    ("2026-03-18", "search · harbour", "promoted", "strong evidence", 18.26, 0.5595, 0.6842),
    ("2026-03-20", "home · old town", "promoted", "strong evidence", 16.06, 0.5629, 0.6383),
]


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The old ledger in a workspace, and the site built from it."""
    config = World(tmp_path_factory.mktemp("old")).config
    unpack_old_ledger(config.home)
    with Ledger(config) as ledger:
        site = Site(config, ledger)
        site.build()
        yield site


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_status_is_what_it_was(old_site: Site) -> None:
    rows = {row["domain"]: row for row in domain_status(old_site.ledger)}
    assert len(rows) == 6
    for domain, (champion, state, acted) in STATUS.items():
        row = rows[domain]
        assert (row["champion"], row["state"], row["day"]) == (champion, state, "2026-03-23")
        assert row["last_adaptation"].startswith(acted)
    assert rows[NORTH]["drift"] == 0.22575740091360846
    assert looks_due(old_site.ledger, date(2026, 3, 24)) == []


@pytest.mark.parametrize(("day", "domain", "state", "rule", "drift", "before", "after"), ASKED)
def test_a_day_in_a_few_lines_is_what_it_was(
    old_site: Site, day: str, domain: str, state: str, rule: str, drift: float, before: float,
    after: float,
) -> None:  # fmt: skip
    rows = day_rows(old_site.ledger, date.fromisoformat(day))
    (row,) = (row for row in rows if row["domain"] == domain)
    assert (row["state"], row["rule"], row["drift"]) == (state, rule, drift)
    assert (row["before"], row["after"]) == (before, after)


def test_the_page_of_a_decision_says_what_it_said(old_site: Site) -> None:
    words = plain(old_site.decision_text(NORTH, DAY))
    for said in (
        "the challenger passed the gate and became version 1 (AUC +0.1268)",
        "Rule: strong evidence",
        "noodles 1.00 0.25",
        "Champion&#39;s AUC 0.699 → 0.525",
        "breakfast 3.6% 22.9%",
        "first half of the users",
        "Off-policy estimates",
        "Halves and slices",
        "Looks",
        "The gate promotes the challenger.",
    ):
        assert said in words, said


def test_the_pages_of_day_and_domain_tell_its_decisions(old_site: Site) -> None:
    assert "+0.127" in plain(old_site.text(f"day/{DAY}.html"))
    domain = old_site.text("domain/home-north-e7345155.html")
    assert "2026-03-15" in domain and "version 3" in domain


def test_messages_tell_the_figures_of_older_reports(old_site: Site) -> None:
    decision = next(
        row for row in old_site.ledger.decisions() if (row.domain, row.day) == (NORTH, str(DAY))
    )
    assert decision.gate is not None
    told = figures(decision.gate)
    assert told["metric"] == "CTR-AUC"
    assert told["gain"] == pytest.approx(0.1268, abs=5e-5)
    assert decision.gate.broken() == []
