"""A real headless Chromium: open a page, or drive the front page with a script."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

# The page in a frame of a given width, and a script that may use it when it has loaded.
FRAME = """<!doctype html><meta charset="utf-8">
<iframe src="{page}" style="border:0;width:{width}px;height:844px"></iframe>
<pre id="found"></pre><script src="_frame.js"></script>"""
# In a file of its own: the site's policy lets no other script run.
SCRIPT = """
const frame = document.querySelector("iframe");
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
frame.addEventListener("load", async () => {{
  const view = frame.contentWindow, page = frame.contentDocument;
  await rest(300);
  const found = await (async () => {{ {script} }})();
  document.getElementById("found").textContent = JSON.stringify(found);
}}, {{ once: true }});"""


def browse(address: str, profile: Path, flags: tuple[str, ...] = ()) -> tuple[str, str]:
    """The page's document after its scripts, and the browser's log."""
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={profile}", "--enable-logging=stderr",
            "--virtual-time-budget=6000", *flags, "--dump-dom", address,
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def drive(
    home: Path,
    url: str,
    page: str,
    script: str,
    profile: Path,
    *,
    width: int = 1280,
    flags: tuple[str, ...] = (),
) -> Any:
    """What ``script`` returns of a served page (``view`` and ``page`` are its window and document).

    Args:
        home: the folder that is served.
        url: of its front page.
    """
    frame = home / "_frame.html"
    frame.write_text(FRAME.format(page=page, width=width), encoding="utf-8")
    frame.with_suffix(".js").write_text(SCRIPT.format(script=script), encoding="utf-8")
    try:
        dom, log = browse(url.replace("index.html", frame.name), profile, flags)
    finally:
        frame.unlink()
        frame.with_suffix(".js").unlink()
    text = re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)
    assert text is not None and text[1], log
    assert "CONSOLE" not in log and "Uncaught" not in log, log
    return json.loads(text[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
