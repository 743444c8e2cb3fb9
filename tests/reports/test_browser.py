"""Pages in a real headless Chromium: charts are drawn, nothing fails, nothing overflows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from driftune.domains import domain_key
from tests.reports.records import FIRST, HOSTILE, Site

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]

PROBE = """
<script>addEventListener("load", () => setTimeout(() => parent.postMessage({
  width: innerWidth, excess: document.documentElement.scrollWidth - innerWidth,
  charts: document.querySelectorAll("[data-figure] svg.main-svg").length,
  planned: document.querySelectorAll("[data-figure]").length}, "*"), 300))</script>
"""
FRAME = """<!doctype html><iframe src="{name}" style="border:0;width:390px;height:844px"></iframe>
<p id="found"></p><script>addEventListener("message", event => {{
  document.getElementById("found").textContent = JSON.stringify(event.data); }})</script>"""


def browse(page: Path, profile: Path) -> tuple[str, str]:
    """The page's document after its scripts, and the browser's log."""
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={profile}", "--enable-logging=stderr",
            "--virtual-time-budget=4000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.mark.parametrize("page", ["index", "day", "decision", "docs"])
def test_a_page_draws_its_charts_and_fits_a_phone(
    full_site: Site, tmp_path: Path, page: str
) -> None:
    day = max(path.stem for path in (full_site.workspace.reports / "day").glob("*.html"))
    path = (
        full_site.workspace.reports
        / {
            "index": "index.html",
            "day": f"day/{day}.html",
            "docs": f"data_docs/{day}.html",
            "decision": f"decision/{day}/{domain_key(HOSTILE[0])}.html",
        }[page]
    )
    probed = path.with_name("_probed.html")
    probed.write_text(path.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    frame = path.with_name("_frame.html")
    frame.write_text(FRAME.format(name=probed.name), encoding="utf-8")
    dom, log = browse(frame, tmp_path / "profile")
    found = re.search(r'"width":(\d+),"excess":(-?\d+),"charts":(\d+),"planned":(\d+)', dom)
    assert found is not None, log
    width, excess, charts, planned = map(int, found.groups())
    assert width == 390
    assert excess <= 0
    assert charts >= planned
    if page == "index":
        assert planned > 0
    assert "Uncaught" not in log and "CONSOLE" not in log


def test_the_front_page_shows_a_drawn_chart_and_hostile_names_as_text(
    full_site: Site, tmp_path: Path
) -> None:
    dom, log = browse(full_site.workspace.reports / "index.html", tmp_path / "profile")
    assert 'class="main-svg"' in dom
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in dom
    assert "<script>alert(1)" not in dom
    assert str(FIRST) in dom
    assert "CONSOLE" not in log
