"""The word of a domain's state: the same in terminal, day page, map, its own pages and doctor."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest

from driftune.cli.console import show_status
from driftune.deployment.doctor import examine
from driftune.domains import domain_key
from driftune.registry.records.states import QUIET, UNMEASURED, State, word
from driftune.registry.schema import decisions
from driftune.registry.status import domain_status
from driftune.reports.map_data import CODES, UNKNOWN
from driftune.reports.states import STATES, WITHOUT
from driftune.reports.summary import day_line, day_rows
from tests.conftest import Ended
from tests.reports.records import FIRST, PLAIN, Site

DOMAIN = PLAIN[0]


def printed(site: Site) -> str:
    """What ``driftune status`` prints."""
    with redirect_stdout(io.StringIO()) as out:
        show_status(domain_status(site.ledger))
    return out.getvalue()


def test_every_state_has_a_mark_a_word_and_a_character_of_its_own() -> None:
    assert {state.value for state in State} <= STATES.keys()
    assert len({label for _, label, _ in STATES.values()}) == len(STATES)
    marks = [mark for mark, *_ in STATES.values() if mark]
    assert len(set(marks)) == len(marks)
    assert CODES.keys() == {*STATES, *WITHOUT}
    assert UNKNOWN not in CODES.values() and len({*CODES.values()}) == len(CODES)


@pytest.mark.few(1)
@pytest.mark.parametrize("state", [*UNMEASURED, State.STABLE, State.WATCHED])
def test_a_state_is_told_by_the_same_word_everywhere(site: Site, state: State) -> None:
    site.day(FIRST, PLAIN[1:])
    site.decide(DOMAIN, FIRST, state.value, sentence="For this reason.")
    site.decide(PLAIN[1], FIRST, "rejected", 1.8)
    site.build()
    told = word(state)
    key = domain_key(DOMAIN)
    on_day = site.text(f"day/{FIRST}.html").split(f'id="{key}"', 1)[1].split("</tr>", 1)[0]
    on_map = site.text().split(f'data-key="{key}"', 1)[1].split("</tr>", 1)[0]
    assert f"{told}</span>" in on_day
    assert told.capitalize() in on_map
    assert told in site.text(f"domain/{key}.html")
    assert told.capitalize() in site.decision_text(DOMAIN, FIRST)
    assert told in printed(site)
    assert f"1 {told}" in day_line(FIRST, None, day_rows(site.ledger, FIRST))
    (line,) = [each for each in examine(site.config) if f"of {DOMAIN} on {FIRST}" in each["what"]]
    assert f"on {FIRST}: {told}" in line["what"]
    assert ("For this reason." in line["what"]) == (state in UNMEASURED)
    assert line["ok"] == (state != State.ERROR)


def test_a_line_names_domains_that_are_away_and_counts_those_that_are_small(site: Site) -> None:
    site.day(FIRST, PLAIN)
    for domain, state in zip(PLAIN, ("absent", "insufficient", "insufficient", "new"), strict=True):
        site.decide(domain, FIRST, state)
    line = day_line(FIRST, None, day_rows(site.ledger, FIRST))
    assert f"1 absent ({PLAIN[0]})" in line
    assert f"1 new ({PLAIN[3]})" in line
    assert "2 too little data" in line and PLAIN[1] not in line


def test_a_day_that_was_never_decided_is_a_finding_of_the_doctor(
    site: Site, driftune: Callable[..., Ended]
) -> None:
    site.day(FIRST, PLAIN)
    done = driftune("doctor", "-c", str(site.config.source_file))
    assert done.code == 1
    wanted = f"FAIL  drift of {FIRST}: in the lake, but not decided; run driftune run --day {FIRST}"
    assert wanted in done.out


def test_a_decision_whose_record_is_damaged_leaves_all_other_pages(site: Site) -> None:
    site.day(FIRST, PLAIN)
    made = site.decide(DOMAIN, FIRST, "rejected", 1.8)
    site.decide(PLAIN[1], FIRST, "stable", 0.3)
    with site.ledger.write() as connection:
        damage = decisions.update().where(decisions.c.id == made)
        connection.execute(damage.values(gate={"looks": "none"}))
    site.build()
    assert PLAIN[1] in site.text()
    assert f"decision &#39;{made}&#39;: its" in site.decision_text(DOMAIN, FIRST)
    assert "cannot be read" in site.decision_text(DOMAIN, FIRST)
    assert [row["state"] for row in day_rows(site.ledger, FIRST)] == ["rejected", "stable"]


def test_no_state_without_drift_asks_for_a_fine_tune(site: Site) -> None:
    site.day(FIRST, PLAIN)
    for state in UNMEASURED:
        site.decide(f"of {state}", FIRST, state.value)
    site.build()
    assert "<b>0</b> fine-tunes" in site.text()
    assert set(UNMEASURED) < set(QUIET)
