"""The map's months: files of their own, written only when a day of theirs has changed."""

from datetime import date, timedelta

from driftune.reports.front import ROWS
from tests.reports.records import FIRST, PLAIN, Site


def fill(site: Site, first: date, count: int) -> date:
    for number in range(count):
        day = first + timedelta(days=number)
        site.day(day, PLAIN[:2])
        site.decide(PLAIN[0], day, "stable", 0.4)
        site.decide(PLAIN[1], day, "watched", 0.9)
    return first + timedelta(days=count - 1)


def written(site: Site) -> dict[str, int]:
    folder = site.workspace.reports / "data"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.js")}


def test_a_refresh_leaves_the_months_alone_whose_days_did_not_change(site: Site) -> None:
    last = fill(site, FIRST, 62)
    site.build()
    before = written(site)
    months = {f"{FIRST + timedelta(days=n)}"[:7] for n in range(62)}
    assert before.keys() == {f"{month}.js" for month in months}
    newest = fill(site, last + timedelta(days=1), 1)
    site.build(days=[newest])
    after = written(site)
    changed = {name for name in after if after[name] != before.get(name)}
    # The newest, and the one whose quiet decisions have just lost their pages.
    aged = newest - timedelta(days=28)
    assert changed == {f"{newest}"[:7] + ".js", f"{aged}"[:7] + ".js"}
    assert len(after) > len(changed)


def test_a_late_decision_is_in_its_month(site: Site) -> None:
    fill(site, FIRST, 62)
    site.build()
    name = f"{FIRST}"[:7]
    before = site.text(f"data/{name}.js")
    site.decide(PLAIN[0], FIRST, "promoted", 3.3, revision=2)
    site.build(days=[FIRST])
    after = site.text(f"data/{name}.js")
    assert "3.3" in after and after != before
    assert after.count('"gains": {"0"') == 1


def test_the_page_holds_the_newest_days_alone(site: Site) -> None:
    fill(site, FIRST, 62)
    site.build()
    small = len(site.text())
    fill(site, FIRST + timedelta(days=62), 30)
    site.build()
    # Days are listed, their cells are not.
    assert len(site.text()) < small + 30 * 40
    assert len(PLAIN) < ROWS and not (site.workspace.reports / "data" / "domains.js").exists()
