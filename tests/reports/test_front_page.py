"""The front page: heat map, states, summary line, switches."""

import re
from datetime import timedelta

import pytest

from driftune.domains import domain_key
from driftune.registry.rows import Switch
from driftune.reports.states import STATES
from tests.reports.records import DRIFTED, FIRST, PLAIN, Site, gate_report


def cells(text: str, domain: str) -> list[str]:
    """The heat map's cells of a domain, in order."""
    for row in text.split("<tr"):
        if f">{domain}</bdi>" in row and 'scope="row"' in row:
            return re.findall(r"<td.*?</td>", row)
    raise AssertionError(f"no row of {domain}")


def test_an_empty_workspace_says_what_to_do_next(site: Site) -> None:
    assert site.build() == site.workspace.reports / "index.html"
    assert "No drift decision yet" in site.text()
    assert "frozen base serves every domain" in site.text()


def test_the_summary_line_counts_what_happened(site: Site) -> None:
    for number, day in enumerate((FIRST, FIRST + timedelta(days=1))):
        site.day(day, PLAIN)
        site.decide(PLAIN[0], day, "stable", 0.4)
        site.decide(PLAIN[1], day, ("promoted", "claimed")[number], 1.5)
        site.decide(PLAIN[2], day, ("rejected", "pending")[number], 2.5)
    site.build()
    summary = re.search(r'<p class="summary">(.*?)</p>', site.text(), re.S)
    assert summary is not None
    found = re.findall(r"<b>(\d+)</b> ([\w-]+)", summary[1])
    assert {name: int(count) for count, name in found} == {
        "days": 2,
        "domains": 3,
        "fine-tunes": 4,
        "promoted": 1,
        "waiting": 2,
    }


@pytest.mark.few(1)
@pytest.mark.parametrize("state", [*DRIFTED, "insufficient"])
def test_a_cell_shows_score_and_mark_and_opens_its_decision(site: Site, state: str) -> None:
    score = None if state == "insufficient" else 1.84
    site.decide(PLAIN[0], FIRST, state, score)
    site.build()
    (cell,) = cells(site.text(), PLAIN[0])
    mark, label, _ = STATES[state]
    assert f'href="decision/{FIRST}/{domain_key(PLAIN[0])}.html"' in cell
    assert f">{mark}" in cell
    assert label.capitalize() in cell
    assert ("<b>1.8</b>" in cell) == (score is not None)
    assert ("▲<span> +.021</span>" in cell) == (state == "promoted")


def test_rounding_never_shows_a_stable_domain_at_the_threshold(site: Site) -> None:
    site.decide(PLAIN[0], FIRST, "stable", 0.9999)
    site.decide(PLAIN[1], FIRST, "pending", 1.0)
    site.build()
    (below,), (at,) = cells(site.text(), PLAIN[0]), cells(site.text(), PLAIN[1])
    assert "<b>0.99</b>" in below and 'class="h2 ' in below
    assert "<b>1.0</b>" in at and 'class="h3 ' in at


def test_a_refused_day_is_a_marked_column_and_a_skipped_day_an_empty_one(site: Site) -> None:
    site.day(FIRST, PLAIN)
    site.decide(PLAIN[0], FIRST, "stable", 0.3)
    refused = FIRST + timedelta(days=2)
    site.day(refused, PLAIN, "refused")
    site.build()
    first, skipped, last = cells(site.text(), PLAIN[0])
    assert "<b>0.3</b>" in first
    assert "No decision" in skipped and "href" not in skipped
    assert "⊘" in last and f'href="day/{refused}.html"' in last


def test_reference_days_are_listed_apart(full_site: Site) -> None:
    text = full_site.text()
    day = full_site.config.reference.first
    heat, folded = text.split("<details>", 1)
    assert str(day) not in heat
    assert f'href="day/{day}.html"' in folded
    assert "reference day" in full_site.text(f"day/{day}.html")


def test_switches_are_listed_newest_first_with_their_decision(site: Site) -> None:
    decided = site.decide(PLAIN[0], FIRST, "promoted", 1.5)
    site.promote(PLAIN[0], decided, 1, who="eve <b>")
    with site.ledger.write() as connection:
        site.ledger.switch(
            connection,
            Switch(
                key=domain_key(PLAIN[0]),
                domain=PLAIN[0],
                action="rollback",
                expected=1,
                version=0,
                decision_id=None,
                who="ann",
                reason="orders fell",
            ),
        )
    site.build()
    switches = site.text().split('id="switches"')[1]
    assert switches.index("rollback") < switches.index("promote")
    assert "eve &lt;b&gt;" in switches and "orders fell" in switches
    assert f"decision/{FIRST}/{domain_key(PLAIN[0])}.html" in switches
    assert "<small>frozen base</small>" in site.text()


def test_a_new_revision_of_the_day_replaces_the_cell_and_keeps_the_old_one_visible(
    site: Site,
) -> None:
    site.decide(PLAIN[0], FIRST, "pending", 3.2, sentence="first look")
    site.decide(PLAIN[0], FIRST, "stable", 0.2, revision=2, sentence="second look")
    site.build()
    (cell,) = cells(site.text(), PLAIN[0])
    assert "<b>0.2</b>" in cell
    page = site.decision_text(PLAIN[0], FIRST)
    assert page.index("second look") < page.index("Earlier decisions") < page.index("first look")


def test_scores_and_gates_without_numbers_are_shown_as_missing(site: Site) -> None:
    gate = gate_report("promote") | {"difference": {"estimate": float("nan")}, "champion": None}
    site.decide(PLAIN[0], FIRST, "promoted", None, gate=gate, scores={})
    site.build()
    (cell,) = cells(site.text(), PLAIN[0])
    assert "nan" not in cell.lower() and "▲" in cell
