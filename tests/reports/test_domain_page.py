"""A domain's page: its time lines, decisions, champion history; what is not known is not shown."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from driftune.domains import domain_key
from driftune.registry.rows import Switch
from driftune.registry.schema import checks
from tests.reports.records import FIRST, HOSTILE, PLAIN, Site, drift_scores

KEY = domain_key(PLAIN[0])


def page(site: Site, domain: str = PLAIN[0]) -> str:
    """The text of a domain's page."""
    return site.text(f"domain/{domain_key(domain)}.html")


def figure(text: str) -> dict[str, Any]:
    """The figure of its time lines."""
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def line(text: str, name: str) -> dict[str, Any]:
    """A time line by its name: values by day."""
    (trace,) = (trace for trace in figure(text)["data"] if trace.get("name") == name)
    return dict(zip(trace["x"], trace["y"], strict=True))


def check(site: Site, day: str, estimate: float | None, **changes: Any) -> None:
    """A check of version 1 against the frozen base."""
    values = {
        "day": day, "revision": 1, "domain_key": KEY, "version": 1, "against": 0,
        "domain": PLAIN[0], "metric": "ctr_auc", "rows": 900, "positives": 200,
        "estimate": estimate, "verdict": "holds", "rule": "no look finds it worse",
        "data_version": "ab", "backbone": "feedbeef" * 8, "checked_at": 0.0,
    }  # fmt: skip
    with site.ledger.write() as connection:
        connection.execute(checks.insert().values(values | changes))


def test_time_lines_hold_volume_click_rate_drift_and_auc_of_each_day(site: Site) -> None:
    gap = FIRST + timedelta(days=2)
    for day in (FIRST, gap):
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, "stable", 0.4)
    site.build()
    text = page(site)
    missing = str(FIRST + timedelta(days=1))
    assert line(text, "impressions") == {str(FIRST): 1200, missing: None, str(gap): 1200}
    assert line(text, "click rate")[str(FIRST)] == 0.2
    assert line(text, "drift")[str(gap)] == 0.4
    # As the drift scores have it; the frozen base is the champion.
    assert line(text, "champion")[str(gap)] == line(text, "frozen base")[str(gap)] == 0.66


def test_the_base_s_auc_is_the_champion_s_less_the_guard_s_difference(site: Site) -> None:
    days = [FIRST + timedelta(days=number) for number in range(3)]
    for day in days:
        site.decide(PLAIN[0], day, "stable", 0.4, champion_version=1)
    check(site, str(days[0]), 0.05)
    check(site, str(days[1]), None, verdict="insufficient")
    check(site, str(days[2]), 0.2, version=2)
    site.build()
    base = line(page(site), "frozen base")
    assert base == {str(days[0]): 0.61, str(days[1]): None, str(days[2]): None}


def test_promotions_and_rollbacks_are_marked_on_their_days_of_the_logs(site: Site) -> None:
    later = FIRST + timedelta(days=2)
    decided = site.decide(PLAIN[0], FIRST, "promoted", 1.8)
    site.promote(PLAIN[0], decided, 1)
    site.decide(PLAIN[0], later, "stable", 0.2)
    check(site, str(later), -0.2, verdict="worse", restored=0)
    with site.ledger.write() as connection:
        site.ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain=PLAIN[0],
                action="rollback",
                expected=1,
                version=0,
                decision_id=None,
                who="guard <b>",
                reason="worse than the frozen base",
            ),
        )
    site.build()
    text = page(site)
    marks = [trace for trace in figure(text)["data"] if trace["mode"] == "markers"]
    assert [(mark["x"], mark["marker"]["symbol"]) for mark in marks] == [
        ([str(FIRST)], "triangle-up"),
        ([str(later)], "triangle-down"),
    ]
    told = text[text.index("Champion history") :]
    assert told.index("rollback") < told.index("promote")
    assert "guard &lt;b&gt;" in told and "worse than the frozen base" in told
    assert f'href="../decision/{FIRST}/{KEY}.html"' in told


def test_decisions_are_listed_newest_first_and_quiet_ones_among_the_days(site: Site) -> None:
    days = [FIRST + timedelta(days=number) for number in range(3)]
    for day, state in zip(days, ("promoted", "stable", "rejected"), strict=True):
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, state, 0.4 if state == "stable" else 1.7)
    site.build()
    text = page(site)
    asked = text[text.index('id="decisions"') : text.index('id="switches"')]
    assert asked.index(str(days[2])) < asked.index(str(days[0]))
    assert str(days[1]) not in asked and "+0.0210" in asked
    assert f'href="../decision/{days[1]}/{KEY}.html"' in text[text.index('id="days"') :]


def test_pages_of_days_and_decisions_and_the_map_link_to_it(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.decide(PLAIN[0], FIRST, "stable", 0.4)
    site.build()
    assert f'href="domain/{KEY}.html"' in site.text()
    assert f'href="../domain/{KEY}.html"' in site.text(f"day/{FIRST}.html")
    assert f'href="../../domain/{KEY}.html"' in site.decision_text(PLAIN[0], FIRST)


def test_a_domain_without_figures_and_a_hostile_one_have_pages(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "insufficient")
    site.decide(HOSTILE[0], FIRST, "stable", 0.2)
    site.build()
    assert "No day of this domain has figures yet" in page(site)
    text = page(site, HOSTILE[0])
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text


@pytest.mark.slow
@pytest.mark.ci
def test_quiet_decisions_lose_their_pages_with_time_and_stay_on_their_day_s(site: Site) -> None:
    rejected = FIRST + timedelta(days=1)
    for day, state in ((FIRST, "stable"), (rejected, "rejected")):
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, state, 0.4)
    site.build()
    page_of = site.workspace.reports / "decision" / str(FIRST) / f"{KEY}.html"
    assert page_of.exists()
    late = FIRST + timedelta(days=28)
    site.day(late, PLAIN)
    site.decide(PLAIN[0], late, "stable", 0.3)
    site.build(days=[late])
    assert not page_of.exists()
    text = site.text(f"day/{FIRST}.html")
    assert f'<tr id="{KEY}">' in text and "decision/" not in text
    # The one that follows no longer leads to it.
    assert f"decision/{FIRST}/" not in site.decision_text(PLAIN[0], rejected)
    march, april = (month_file(site, month) for month in ("2026-03", "2026-04"))
    pages = march["domains"][KEY]["pages"] + april["domains"][KEY]["pages"]
    assert (pages[0], pages[1], pages[-1]) == ("0", "1", "1")


def month_file(site: Site, month: str) -> dict[str, Any]:
    """What a month's file of the map gives the page's script."""
    text = site.text(f"data/{month}.js")
    found = re.search(r'month\("([0-9-]+)", (.*)\);$', text.strip())
    assert found is not None and found[1] == month
    return json.loads(found[2])


@pytest.mark.slow
@pytest.mark.ci
def test_figures_kept_beside_the_pages_follow_every_change(site: Site) -> None:
    scores = drift_scores(site.rng, 0.4)
    decided = site.decide(PLAIN[0], FIRST, "stable", 0.4, scores=scores)
    site.build()
    scores["told"]["auc"]["to"] = 0.5
    site.decide(PLAIN[0], FIRST, "stable", 0.4, scores=scores, revision=2)
    site.build(days=[FIRST])
    assert line(page(site), "champion")[str(FIRST)] == 0.5
    for path in (site.workspace.reports / ".decisions").iterdir():
        path.write_text('{"release": 3', encoding="utf-8")
    with site.ledger.write() as connection:
        site.ledger.override(connection, decided, "stable", 1, note="by hand")
    site.build()
    assert line(page(site), "champion")[str(FIRST)] == 0.5
