"""Pages in a real headless Chromium, as files and served: charts, widths, filters, keyboard."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from driftune.domains import domain_key
from driftune.reports.serve import Server, serving
from tests.marks import CI
from tests.reports.browser import browse, drive
from tests.reports.records import FIRST, HOSTILE, PLAIN, Site

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]

PROBE = """return {width: view.innerWidth,
  excess: page.documentElement.scrollWidth - view.innerWidth,
  charts: page.querySelectorAll("[data-figure] svg.main-svg").length,
  planned: page.querySelectorAll("[data-figure]").length}"""
SET = """const form = page.querySelector("[data-filters]");
const set = async (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new view.Event("input", {bubbles: true}));
  await rest(50);
};
const rows = () => [...page.querySelectorAll("[data-map] tbody tr")].filter((row) => !row.hidden)
  .map((row) => row.querySelector("bdi").textContent);
const days = () => [...page.querySelectorAll("[data-map] thead time")].map((day) => day.dateTime);
const press = (key) => page.activeElement.dispatchEvent(
  new view.KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
"""


@pytest.fixture
def served(full_site: Site) -> Iterator[tuple[Path, Server]]:
    """The folder of a full site, and the server of it."""
    with serving(full_site.workspace.reports, 0) as server:
        yield full_site.workspace.reports, server


@pytest.fixture
def long_site(site: Site) -> Iterator[tuple[Path, Server]]:
    """Forty days of two domains, the newest of them drifted in one; served."""
    for number in range(40):
        day = FIRST + timedelta(days=number)
        site.day(day, PLAIN[:2], "warning" if number == 3 else "ok")
        for place, domain in enumerate(PLAIN[:2]):
            last = number == 39 and place == 0
            site.decide(domain, day, "promoted" if last else "stable", 2.4 if last else 0.3)
    site.build()
    with serving(site.workspace.reports, 0) as server:
        yield site.workspace.reports, server


@pytest.mark.parametrize(
    "page",
    [
        "index",
        pytest.param("day", marks=CI),
        pytest.param("decision", marks=CI),
        pytest.param("docs", marks=CI),
        pytest.param("domain", marks=CI),
    ],
)
def test_a_page_draws_its_charts_and_fits_a_phone(
    served: tuple[Path, Server], tmp_path: Path, page: str
) -> None:
    home, server = served
    day = max(path.stem for path in (home / "day").glob("*.html"))
    path = {
        "index": "index.html",
        "day": f"day/{day}.html",
        "docs": f"data_docs/{day}.html",
        "decision": f"decision/{day}/{domain_key(HOSTILE[0])}.html",
        "domain": f"domain/{domain_key(PLAIN[0])}.html",
    }[page]
    found = drive(home, server.url, path, PROBE, tmp_path / "profile", width=390)
    assert found["width"] == 390
    assert found["excess"] <= 0
    assert found["charts"] >= found["planned"]
    if page in ("index", "domain"):
        assert found["planned"] > 0


@pytest.mark.slow
@pytest.mark.ci
def test_the_front_page_as_a_file_shows_a_drawn_chart_and_hostile_names_as_text(
    full_site: Site, tmp_path: Path
) -> None:
    page = full_site.workspace.reports / "index.html"
    dom, log = browse(page.as_uri(), tmp_path / "profile")
    assert 'class="main-svg"' in dom
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in dom
    assert "<script>alert(1)" not in dom
    assert str(FIRST) in dom
    assert "CONSOLE" not in log


@pytest.mark.slow
@pytest.mark.ci
def test_the_map_is_filtered_by_name_and_state(served: tuple[Path, Server], tmp_path: Path) -> None:
    home, server = served
    script = f"""{SET}
      const all = rows().length;
      await set("domain", "HOME");
      const named = rows();
      await set("domain", "<script>");
      const hostile = rows();
      await set("domain", "");
      await set("state", "failed");
      const failed = rows();
      await set("domain", "no such name");
      const told = page.querySelector("[data-none]").hidden;
      const hash = view.location.hash;
      form.reset(); await rest(50);
      return {{all, named, hostile, failed, told, hash, after: rows().length}};"""
    found = drive(home, server.url, "index.html", script, tmp_path / "profile")
    assert found["all"] == found["after"] == len(PLAIN + HOSTILE)
    assert found["named"] == ["home · north", "home · south"]
    assert found["hostile"] == [HOSTILE[0]]
    assert 0 < len(found["failed"]) < found["all"]
    assert found["told"] is False
    assert found["hash"] == "#domain=no+such+name&state=failed"


@pytest.mark.slow
@pytest.mark.ci
def test_a_filter_in_the_address_is_taken_up(served: tuple[Path, Server], tmp_path: Path) -> None:
    home, server = served
    page = "index.html#domain=search"
    found = drive(home, server.url, page, f"{SET} return rows()", tmp_path / "profile")
    assert found == ["search · north", "search · south"]


@pytest.mark.slow
@pytest.mark.ci
def test_other_periods_are_drawn_as_the_page_draws_its_own(
    long_site: tuple[Path, Server], tmp_path: Path
) -> None:
    home, server = long_site
    script = f"""{SET}
      const body = () => [...page.querySelectorAll("[data-map] tbody tr")]
        .map((row) => [...row.cells].map((cell) =>
          cell.innerHTML.replace(/ tabindex="-?\\d"/g, "") + cell.className));
      const heads = () => [...page.querySelectorAll("[data-map] thead th")]
        .map((cell) => cell.textContent.trim());
      const own = [body(), heads(), days()];
      await set("period", "40");
      const all = days();
      const links = [...page.querySelectorAll("[data-map] tbody td a")]
        .map((link) => link.getAttribute("href"));
      await set("period", "2026-03");
      const month = days();
      await set("period", "28");
      const again = [body(), heads(), days()];
      return {{own, again, all, month, links}};"""
    found = drive(home, server.url, "index.html", script, tmp_path / "profile")
    assert len(found["own"][2]) == 28
    assert found["again"] == found["own"]
    assert [found["all"][0], len(found["all"])] == [str(FIRST), 40]
    assert found["month"][-1] == "2026-03-31" and len(found["month"]) == 20
    assert len(found["links"]) == 80
    for link in found["links"]:
        assert (home / link.split("#")[0]).is_file(), link


MANY = 205


@pytest.fixture
def wide_site(site: Site) -> Iterator[tuple[Path, Server]]:
    """Thirty days of more domains than the page holds; the last is hostile and drifted once."""
    names = [f"district {number:03d}" for number in range(MANY - 1)] + [f"zz {HOSTILE[0]}"]
    for number in range(30):
        if number in (0, 14, 29):
            site.day(FIRST + timedelta(days=number), names[:1])
            for name in names:
                drifted = name == names[-1] and number == 0
                state = "promoted" if drifted else "stable"
                site.decide(name, FIRST + timedelta(days=number), state, 2.4 if drifted else 0.3)
    site.build()
    with serving(site.workspace.reports, 0) as server:
        yield site.workspace.reports, server


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("served", [True, False])
def test_domains_beyond_the_page_are_found_and_shown(
    wide_site: tuple[Path, Server], tmp_path: Path, served: bool
) -> None:
    home, server = wide_site
    script = f"""{SET}
      const start = rows();
      const told = page.querySelector("[data-shown]").textContent;
      await set("domain", "ZZ"); await rest(400);
      const named = rows();
      const cells = page.querySelectorAll("[data-map] tbody tr:not([hidden]) td").length;
      await set("domain", ""); await set("state", "promoted"); await rest(400);
      const before = rows();
      await set("period", "30"); await rest(400);
      const promoted = rows();
      const link = [...page.querySelectorAll("[data-map] tbody tr:not([hidden]) td a")][0]
        .getAttribute("href");
      await set("period", "28"); await set("state", ""); await rest(100);
      const button = page.querySelector("[data-more]");
      const offered = !button.hidden;
      button.click(); await rest(400);
      return {{start: start.length, told, named, cells, before, promoted, link, offered,
               all: rows().length, over: button.hidden}};"""
    address = server.url if served else (home / "index.html").as_uri()
    # The test's own frame reads the page; the page itself needs nothing of it.
    flags = () if served else ("--allow-file-access-from-files",)
    found = drive(home, address, "index.html", script, tmp_path / "profile", flags=flags)
    assert (found["start"], found["told"]) == (200, f"{MANY} domains")
    assert len(found["named"]) == 1 and found["named"][0].startswith("zz <script>")
    assert found["cells"] == 28
    assert found["before"] == []
    assert found["promoted"] == found["named"]
    assert found["link"] == f"decision/{FIRST}/{domain_key('zz ' + HOSTILE[0])}.html"
    assert found["offered"] and found["over"]
    assert found["all"] == MANY


@pytest.mark.slow
@pytest.mark.ci
def test_the_map_is_one_tab_stop_whose_cells_the_arrow_keys_reach(
    served: tuple[Path, Server], tmp_path: Path
) -> None:
    home, server = served
    script = f"""{SET}
      const stops = () => page.querySelectorAll('[data-map] a[tabindex="0"]').length;
      const before = stops();
      page.querySelector('[data-map] a[tabindex="0"]').focus();
      const start = page.activeElement.getAttribute("href");
      press("ArrowRight"); const cell = page.activeElement.getAttribute("href");
      press("End"); const last = page.activeElement.getAttribute("href");
      press("ArrowUp"); const head = page.activeElement.getAttribute("href");
      press("Home"); press("ArrowDown");
      return {{before, after: stops(), start, cell, last, head}};"""
    found = drive(home, server.url, "index.html", script, tmp_path / "profile")
    assert found["before"] == found["after"] == 1
    assert found["start"].startswith("domain/")
    assert found["cell"].startswith("decision/") and found["last"].startswith("decision/")
    assert found["cell"] != found["last"]
    assert found["head"].startswith("day/")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("scheme", [0, pytest.param(1, marks=CI)])
def test_text_stands_out_from_what_is_behind_it(
    served: tuple[Path, Server], tmp_path: Path, scheme: int
) -> None:
    home, server = served
    script = """const names = ["--text", "--muted", "--accent", "--good", "--warn", "--bad"];
      const style = view.getComputedStyle(page.documentElement);
      const one = (name) => style.getPropertyValue(name).trim();
      return {pairs: [...names.map((name) => [one(name), one("--surface")]),
        ...["good", "warn", "bad"].map((name) => [one(`--${name}`), one(`--${name}-bg`)]),
        ...[0, 1, 2, 3, 4, 5].map((step) => [one("--text"), one(`--h${step}`)]),
        [one("--on-hot"), one("--h6")]]};"""
    flag = f"--blink-settings=preferredColorScheme={scheme}"
    found = drive(home, server.url, "index.html", script, tmp_path / "profile", flags=(flag,))
    for front, back in found["pairs"]:
        assert contrast(front, back) >= 4.5, (front, back)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (#rrggbb) by WCAG 2.1."""

    def luminance(color: str) -> float:
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
