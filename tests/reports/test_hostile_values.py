"""Hostile values of every role in every page, in a real browser: none runs, all are shown."""

import html
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from driftune.domains import domain_key
from driftune.io import write_json
from driftune.quality.released import Entry, keep
from driftune.registry.ledger import Ledger
from driftune.reports.serve import Server, serving
from driftune.visible import visible
from tests.conftest import World
from tests.hostile import DELIVERED as VALUES
from tests.hostile import RAN
from tests.marks import CI
from tests.reports.browser import browse, drive
from tests.reports.records import FIRST, Site, drift_scores

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DAY = FIRST + timedelta(days=1)
FOCUS = VALUES[0]


def hostile_site(site: Site) -> Site:
    """A site with each value as domain, category, column, id, file, reason, reviewer and note."""
    places = range(len(VALUES))
    site.day(FIRST, VALUES)
    site.day(
        DAY,
        VALUES,
        "warning",
        rejections=[
            {"file": value, "reason": value, "column": value, "domain": value, "rows": 3}
            for value in VALUES
        ],
        examples=[
            {"file": value, "user_id": value, "item_id": VALUES[-1 - place], value: value}
            for place, value in enumerate(VALUES)
        ],
        checks=[
            {"rule": value, "severity": "warning", "sentence": value, "success": False,
             "unexpected": 3, "observed": None, "about": [value], "detail": value}
            for value in VALUES
        ],
    )  # fmt: skip
    docs = [
        {"title": value, "tables": [{"title": value, "head": [value], "rows": [
            [[{"status": "broken"}, {"text": value}]],
        ]}]}
        for value in VALUES
    ]  # fmt: skip
    write_json(site.workspace.docs_record(DAY), docs)
    at = datetime(2026, 3, 14, tzinfo=UTC).isoformat()
    entries = [Entry(at=at, by=value, why=value, reasons=[], domains=[value]) for value in VALUES]
    keep(site.workspace, DAY, entries)
    for place, value in zip(places, VALUES, strict=True):
        scores = drift_scores(site.rng, 1.8)
        moved = [
            {"name": name, "from": 0.1, "to": 0.2, "weight": 1.0}
            for name in (VALUES if value == FOCUS else VALUES[:2])
        ]
        scores["told"]["category_clicked"] = {"rows": moved}
        made = site.decide(
            value, DAY, "promoted" if place % 2 == 0 else "failed", 1.8, scores=scores,
            sentence=f"Drifted: {value}", note=value,
        )  # fmt: skip
        site.promote(value, made, 1, who=value)
    site.build()
    return site


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Server]]:
    """A site of hostile values, served."""
    config = World(tmp_path_factory.mktemp("hostile")).config
    with Ledger(config) as ledger:
        site = hostile_site(Site(config, ledger))
        with serving(site.workspace.reports, 0) as server:
            yield site, server


def shown(texts: list[str], length: int = 10**6) -> list[str]:
    """Values as a page has them in an element's text: visible, shortened, without blanks around."""
    words = [" ".join(visible(text).split()) for text in texts]
    return [word if len(word) <= length else f"{word[: length - 1].strip()}…" for word in words]


PAGES = {
    "index": "index.html",
    "day": f"day/{DAY}.html",
    "docs": f"data_docs/{DAY}.html",
    "decision": f"decision/{DAY}/{domain_key(FOCUS)}.html",
    "domain": f"domain/{domain_key(FOCUS)}.html",
}
READ = """
const words = (node) => node.textContent.trim().replace(/\\s+/g, " ");
return {names: [...page.querySelectorAll("bdi")].map((each) => each.title || words(each))
          .map((text) => text.trim().replace(/\\s+/g, " ")),
        text: words(page.body), title: page.title,
        charts: page.querySelectorAll("[data-figure] svg.main-svg").length,
        planned: page.querySelectorAll("[data-figure]").length,
        excess: page.documentElement.scrollWidth - view.innerWidth};
"""


@pytest.mark.parametrize(
    "page",
    ["index", *(pytest.param(name, marks=CI) for name in ("day", "docs", "decision", "domain"))],
)
def test_no_value_runs_in_a_page_and_all_are_shown(
    served: tuple[Site, Server], tmp_path: Path, page: str
) -> None:
    site, server = served
    # It fails on any line of the browser's console: a script that ran, or that the policy stopped.
    found = drive(
        site.workspace.reports, server.url, PAGES[page], READ, tmp_path / "profile", width=390
    )
    assert found["charts"] >= found["planned"]
    assert found["excess"] <= 0
    if page in ("domain", "decision"):
        # They are about one domain, and the second tells the categories that moved most.
        assert shown([FOCUS])[0] in found["names"]
        return
    if page == "docs":
        assert sorted(set(shown([*VALUES])) - set(found["names"])) == []
        return
    assert sorted(set(shown([*VALUES])) - set(found["names"])) == []


@pytest.mark.slow
@pytest.mark.ci
def test_every_page_is_quiet_whichever_value_it_is_about(
    served: tuple[Site, Server], tmp_path: Path
) -> None:
    site, server = served
    home = site.workspace.reports
    pages = sorted(str(path.relative_to(home)) for path in home.glob("d*/**/*.html"))
    about = [path for path in pages if path.startswith(("decision", "domain", "day"))]
    assert len(about) >= 2 * len(VALUES)
    # As text alone: whatever stands in a page as markup is counted, nothing has to be drawn.
    texts = json.dumps({path: (home / path).read_text(encoding="utf-8") for path in about})
    script = f"""const found = {{}}, known = new Set({ELEMENTS!r});
      for (const [path, text] of Object.entries({texts})) {{
        const read = new DOMParser().parseFromString(text, "text/html");
        found[path] = [...read.querySelectorAll("*")].filter((node) =>
          (node.localName === "script" && !node.src && node.type !== "application/json")
          || !known.has(node.localName)
          || [...node.attributes].some((each) => each.name.startsWith("on")
            || (["href", "src", "srcdoc", "action"].includes(each.localName)
              && /^\\s*(javascript:|data:text)/i.test(each.value)))).map((node) => node.outerHTML);
      }}
      return found;"""
    found = drive(home, server.url, "index.html", script, tmp_path / "profile")
    assert len(found) == len(about)
    assert {path: nodes for path, nodes in found.items() if nodes} == {}


ELEMENTS = [
    "html", "head", "meta", "title", "link", "script", "noscript", "body", "a", "header", "div",
    "nav", "main", "footer", "span", "p", "h1", "h2", "h3", "small", "section", "table", "thead",
    "tbody", "tr", "th", "td", "bdi", "b", "i", "ul", "ol", "li", "figure", "figcaption",
    "details", "summary", "code", "pre", "time", "dl", "dt", "dd", "form", "label", "input",
    "select", "option", "button", "output",
]  # fmt: skip


@pytest.mark.parametrize("page", [pytest.param(name, marks=CI) for name in PAGES])
def test_no_value_runs_in_a_page_that_is_opened_from_disk(
    served: tuple[Site, Server], tmp_path: Path, page: str
) -> None:
    site, _ = served
    dom, log = browse((site.workspace.reports / PAGES[page]).as_uri(), tmp_path / "profile")
    assert "CONSOLE" not in log and RAN not in log
    assert html.escape(FOCUS, quote=False) in dom
    assert f"<script>{RAN}" not in dom
    assert dom.count('class="main-svg"') >= dom.count("data-figure")


def test_a_page_s_policy_names_no_inline_script(served: tuple[Site, Server]) -> None:
    site, _ = served
    pages = sorted(site.workspace.reports.rglob("*.html"))
    assert len(pages) > 2 * len(VALUES)
    for path in pages:
        text = path.read_text(encoding="utf-8")
        policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
        assert policy is not None, path
        rules = dict(rule.split(" ", 1) for rule in html.unescape(policy[1]).split("; "))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert rules["script-src"] == "'self' file:"
        # Before anything that it is to rule.
        assert text.index(policy[0]) < min(text.index("<title"), text.index("<script"))


@pytest.mark.slow
@pytest.mark.ci
def test_no_value_reaches_a_file_s_name(served: tuple[Site, Server]) -> None:
    site, _ = served
    home = site.config.root
    for path in home.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._/-]{1,160}", str(path.relative_to(home))), path
