"""What is said of fine-tunes that drift did not ask for, of cells without a decision, of lists."""

import re
from datetime import timedelta
from typing import Any

import pytest

from driftune.domains import domain_key
from driftune.drift.rules import AGE, BY_HAND, FOLLOW_UP, NEW_BACKBONE
from driftune.notify.words import message_of
from driftune.registry.rows import Message
from driftune.reports.states import STATES
from driftune.reports.summary import day_line, day_rows
from tests.reports.records import DRIFTED, FIRST, PLAIN, Site, gate_report

CAUSES = {
    AGE: "Due by age",
    FOLLOW_UP: "Due as a follow-up",
    BY_HAND: "Asked for by hand",
    NEW_BACKBONE: "Due for a new backbone",
}


@pytest.mark.parametrize("rule", CAUSES)
@pytest.mark.few(1)
def test_a_fine_tune_that_drift_did_not_ask_for_is_nowhere_told_as_drifted(
    site: Site, rule: str
) -> None:
    for number, state in enumerate(DRIFTED):
        day = FIRST + timedelta(days=number)
        site.day(day, PLAIN)
        site.decide(
            PLAIN[0], day, state, 0.4, scores={"rule": rule}, sentence="Nothing moved.", note=None
        )
    site.build()
    for number in range(len(DRIFTED)):
        day = FIRST + timedelta(days=number)
        text = site.decision_text(PLAIN[0], day)
        assert f'<p class="lead">{CAUSES[rule]}; ' in text
        line = day_line(day, None, day_rows(site.ledger, day))
        assert rule in line
        for told in (text, site.text(f"day/{day}.html"), line):
            assert not re.search("drifted", told, re.IGNORECASE)
    front = site.text().split("<table", 1)
    assert not re.search("drifted", front[0] + front[1], re.IGNORECASE)
    domain = site.text(f"domain/{domain_key(PLAIN[0])}.html")
    assert not re.search("drifted", domain, re.IGNORECASE)


def test_a_first_fine_tune_by_age_is_told_by_its_rule_though_nothing_was_measured(
    site: Site,
) -> None:
    site.decide(PLAIN[0], FIRST, "waiting", None, scores={"rule": AGE})
    assert f"{PLAIN[0]}: judged again (age" in day_line(FIRST, None, day_rows(site.ledger, FIRST))


@pytest.mark.parametrize(("rule", "title"), [(AGE, "fine-tune"), ("strong evidence", "drift")])
def test_an_alert_s_title_says_what_it_is(site: Site, rule: str, title: str) -> None:
    facts: dict[str, Any] = {
        "rule": rule,
        "score": 0.4,
        "state": "pending",
        "decision": "d",
        "sentence": "Nothing moved.",
    }
    row = Message("m", "alert", PLAIN[0], "k", str(FIRST), facts, [], 0.0, None, None)
    assert message_of(site.config, row).title == f"Driftune: {title}: {PLAIN[0]}, {FIRST}"


def test_what_no_state_says_is_that_something_drifted() -> None:
    assert not any("drifted" in meaning for _, _, meaning in STATES.values())


def test_a_gate_that_lacks_rows_without_clicks_says_so(site: Site) -> None:
    lack = "12 rows without clicks: too few, 30 are needed"
    rule = {"name": "enough rows without clicks", "verdict": "insufficient", "sentence": lack}
    gate = {**gate_report("insufficient"), "rules": [rule]}
    site.decide(PLAIN[0], FIRST, "undecided", 1.8, gate=gate)
    site.build()
    text = site.decision_text(PLAIN[0], FIRST)
    (lead,) = re.findall(r'<p class="lead">(Drifted[^<]*)</p>', text)
    assert lead.startswith("Drifted; the gate could not judge, ") and lead.endswith(f": {lack}.")
    assert "too little data" not in text.lower()


def test_a_cell_without_a_decision_says_why(site: Site) -> None:
    days = [FIRST + timedelta(days=number) for number in range(5)]
    for day in (days[0], days[1], days[3], days[4]):
        site.day(day, PLAIN[:1] if day != days[1] else PLAIN[:2])
    # The first domain is decided on the first day and the last; the second is seen on the second.
    site.decide(PLAIN[0], days[0], "stable", 0.4)
    site.decide(PLAIN[0], days[4], "promoted", 1.8)
    site.decide(PLAIN[1], days[4], "stable", 0.4)
    site.decide(PLAIN[2], days[0], "stable", 0.4)
    site.build()
    rows = {
        name: site.text().split(f'data-key="{domain_key(name)}"')[1].split("</tr>")[0]
        for name in PLAIN[:3]
    }
    titles = {name: re.findall(r'<t?d? ?[^>]*title="([^"]*)"', row) for name, row in rows.items()}
    because = "No decision: "
    trained = because + "the champion was trained on the day or on later ones"
    assert titles[PLAIN[0]][1:4] == [trained, because + "no run has taken the day in", trained]
    unknown = because + "the domain was first seen on a later day"
    not_come = because + "the run of the day has not come to it"
    assert titles[PLAIN[1]][:2] == [unknown, not_come]
    assert titles[PLAIN[2]][3:] == [not_come, not_come]


def test_delivered_lists_that_became_no_row_are_counted_on_the_day_s_page(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.build()
    assert "no element" not in site.text(f"day/{FIRST}.html")
    names = ("rule", "severity", "sentence", "success", "unexpected", "observed")
    checks = [
        ("list_empty", "warning", "Every list has an element.", False, 1234, None),
        ("list_click_outside", "warning", "Every click is an element.", False, 5, None),
    ]
    later = FIRST + timedelta(days=1)
    site.day(later, PLAIN, checks=[dict(zip(names, check, strict=True)) for check in checks])
    site.build()
    text = site.text(f"day/{later}.html")
    assert "<b>1,234</b> delivered rows left out, whose lists have no element" in text
    assert "<b>5</b> delivered rows whose click is none of their elements" in text
