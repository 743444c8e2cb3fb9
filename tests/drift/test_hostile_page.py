"""Evidently's page with hostile categories: served and from disk, none runs and all are shown."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from driftune.drift.cells import FIRST
from driftune.drift.evidently_page import frame_text, page_text
from driftune.drift.evidently_report import compare
from driftune.drift.profiles import Profile
from driftune.reports.serve import serving
from tests.drift.windows import profile, windows
from tests.hostile import RAN, VALUES
from tests.marks import CI
from tests.reports.browser import browse

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
    *CI,
]
# A frame in a process of its own is not in the document that headless Chromium prints.
TOGETHER = ("--disable-features=IsolateSandboxedIframes",)
FOLDER = "drift/2026-03-20"


def many(rng: np.random.Generator) -> Profile:
    """A day's window with a category for each hostile value."""
    parts = {name: cells.copy() for name, cells in profile(rng).parts.items()}
    own = slice(FIRST, FIRST + len(VALUES))
    for name, low, high in (("shown", 50, 90), ("clicked", 5, 30)):
        parts[name][:] = 0
        parts[name][own] = rng.integers(low, high, len(VALUES))
    return Profile(parts)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with Evidently's page and its frame."""
    rng = np.random.default_rng(0)
    drawn = windows(rng)
    reference = {day: many(rng) for day in drawn.reference}
    drawn = replace(drawn, current=many(rng), reference=reference, top_categories=60)
    names = {FIRST + place: value for place, value in enumerate(VALUES)}
    folder = tmp_path_factory.mktemp("site") / FOLDER
    folder.mkdir(parents=True)
    text = page_text(compare(drawn, names, 4000))
    (folder / "key.evidently.html").write_text(text, encoding="utf-8")
    frame = frame_text(VALUES[0], "key", date(2026, 3, 20), "key.evidently.html")
    (folder / "key.html").write_text(frame, encoding="utf-8")
    yield folder.parents[1]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("name", ["key.html", "key.evidently.html"])
def test_no_category_runs_and_all_are_drawn(
    home: Path, tmp_path: Path, served: bool, name: str
) -> None:
    if served:
        with serving(home, 0) as server:
            address = server.url.replace("index.html", f"{FOLDER}/{name}")
            dom, log = browse(address, tmp_path / "profile", TOGETHER)
    else:
        dom, log = browse((home / FOLDER / name).as_uri(), tmp_path / "profile", TOGETHER)
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    # The frame's stylesheet is not in this folder; nothing else is told, nor run.
    assert [line for line in console if "driftune.css" not in line] == []
    assert RAN not in log
    if name == "key.evidently.html":
        assert "Drift in column 'category_shown'" in dom
        ticks = re.findall(r'<g class="xtick">.*?</g>', dom, re.DOTALL)
        assert len(ticks) >= len(VALUES)
        assert "&lt;/script&gt;&lt;script&gt;console.log(" in "".join(ticks)
        assert not re.search(r'<a [^>]*href="(?!#)', "".join(ticks))
    else:
        assert 'sandbox="allow-scripts"' in dom
        assert "&lt;/script&gt;&lt;script&gt;" in dom


def test_the_page_s_own_scripts_alone_are_named(home: Path) -> None:
    text = (home / FOLDER / "key.evidently.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src &#x27;none&#x27;" in policy[1] and "unsafe-eval" not in policy[1]
    scripts = policy[1].split("script-src")[1]
    assert "unsafe-inline" not in scripts and scripts.count("sha256-") == 4
    data = re.search(r"<script>\n(.*?)\n</script>", text, re.DOTALL)
    assert data is not None and "<" not in data[1] and RAN in data[1]
