"""What Prefect shows of a day: markdown that names cannot break, a table, links that resolve."""

from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from driftune.domains import domain_key
from driftune.quality.record import read_quality
from driftune.reports.artifacts import day_links, day_summary, day_table, plain
from driftune.reports.summary import day_rows
from tests.reports.records import FIRST, HOSTILE, PLAIN, Site


def target(address: str) -> Path:
    """The file that a link leads to."""
    return Path(unquote(urlparse(address).path))


@pytest.fixture
def day(site: Site) -> Site:
    """A day with a warning, a promotion, a hostile domain and one without a decision; built."""
    site.day(FIRST, PLAIN, "warning")
    site.decide(PLAIN[0], FIRST, "promoted", 1.8)
    site.decide(PLAIN[1], FIRST, "stable", 0.2)
    site.decide(HOSTILE[0], FIRST, "rejected", 1.4)
    site.build()
    return site


def test_the_summary_tells_quality_states_and_what_happened_to_whom(day: Site) -> None:
    quality = read_quality(day.workspace, FIRST)
    rows = day_rows(day.ledger, FIRST)
    text = day_summary(FIRST, quality, rows, day.workspace.reports)
    assert "Quality **warning**: 11,963 rows accepted, 37 rejected." in text
    assert "- **warning**: The click label is 0 or 1. (37 rows)" in text
    assert "1 stable, 1 promoted, 1 rejected" in text
    assert f"/domain/{domain_key(PLAIN[0])}.html): promoted (drift 1.8×" in text
    assert "home · south" not in text


def test_names_are_text_in_markdown(day: Site) -> None:
    text = day_summary(FIRST, None, day_rows(day.ledger, FIRST), day.workspace.reports)
    assert "<script" not in text
    assert r"&lt;script&gt;alert\(1\)&lt;/script&gt;" in text
    assert plain("a|b\n# c `d` [e](f)") == r"a\|b\\n\# c \`d\` \[e\]\(f\)"


def test_the_table_has_every_domain_with_its_counts_and_its_page(day: Site) -> None:
    quality = read_quality(day.workspace, FIRST)
    table = day_table(quality, day_rows(day.ledger, FIRST), day.workspace.reports)
    found = {row["domain"]: row for row in table}
    assert set(found) == {*PLAIN, HOSTILE[0]}
    first = found[PLAIN[0]]
    assert (first["rows"], first["click_rate"], first["state"]) == (1200, 0.2, "promoted")
    assert (first["auc_before"], first["auc_after"]) == (0.684, 0.705)
    assert found[PLAIN[3]]["state"] == "no decision" and found[PLAIN[3]]["page"] is None
    pages = [target(row["page"]) for row in table if row["page"]]
    assert len(pages) == 3 and all(page.is_file() for page in pages)


def test_a_domain_s_own_verdict_is_told_where_the_record_has_one(day: Site) -> None:
    quality = read_quality(day.workspace, FIRST)
    assert quality is not None
    quality.domains[2] |= {"verdict": "refused", "reasons": ["41% of its rows are rejected"]}
    rows = day_rows(day.ledger, FIRST)
    text = day_summary(FIRST, quality, rows, day.workspace.reports)
    assert r"- search · north: refused. 41% of its rows are rejected" in text
    table = day_table(quality, rows, day.workspace.reports)
    (row,) = (row for row in table if row["domain"] == PLAIN[2])
    assert (row["quality"], row["why"]) == ("refused", "41% of its rows are rejected")


def test_a_refused_day_says_that_none_of_its_rows_is_taken_in(site: Site) -> None:
    site.day(FIRST, PLAIN, "refused")
    quality = read_quality(site.workspace, FIRST)
    assert quality is not None
    quality.domains[0] |= {"verdict": "ok"}
    text = day_summary(FIRST, quality, [], site.workspace.reports)
    assert "Quality **refused**: none of its 12,000 rows is taken in, 37 are rejected." in text
    assert "accepted" not in text
    critical, warning = (text.index(f"**{severity}**") for severity in ("critical", "warning"))
    assert critical < warning
    table = day_table(quality, [], site.workspace.reports)
    assert {(row["quality"], row["state"], row["why"]) for row in table} == {
        ("refused", "no decision", "the day was refused whole")
    }


def test_links_lead_to_pages_that_exist(day: Site) -> None:
    links = day_links(FIRST, day.workspace.reports)
    assert set(links) == {"day", "Data Docs", "all days and domains"}
    assert all(target(address).is_file() for address in links.values())
    (day.workspace.reports / "data_docs" / f"{FIRST}.html").unlink()
    assert "Data Docs" not in day_links(FIRST, day.workspace.reports)


def test_a_day_without_records_is_told_too(site: Site) -> None:
    assert day_summary(FIRST, None, [], site.workspace.reports).startswith(f"# {FIRST}")
    assert day_table(None, [], site.workspace.reports) == []
