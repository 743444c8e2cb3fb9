"""What the review site costs with a long history: first build, daily refresh, sizes."""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.common import ROOT, finish, options, say, table
from benchmarks.site_world import SiteWorld
from driftune.config.loading import load_config
from driftune.registry.ledger import Ledger
from driftune.reports import build_site

REFRESHES = 3


def main() -> None:
    """Fill, build, refresh and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--domains", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="keep the site here, to look at")
    given = parser.parse_args()
    days, domains = (90, 30) if given.quick else (given.days, given.domains)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        shutil.rmtree(folder / "workspace", ignore_errors=True)
        figures = measure(folder, days, domains)
    table(
        ["review site", "seconds", "on the processor"],
        [
            [f"first build, {figures['pages']:,} pages", f"{figures['build_seconds']:.1f}",
             f"{figures['build_cpu_seconds']:.1f}"],
            ["build again, nothing changed", f"{figures['unchanged_seconds']:.1f}", ""],
            [f"refresh after a day, {figures['refresh_pages']} pages written",
             f"{figures['refresh_seconds']:.2f}", f"{figures['refresh_cpu_seconds']:.2f}"],
        ],
    )  # fmt: skip
    say(f"front page {figures['front_mb']:.2f} MB, whole site {figures['site_mb']:.0f} MB")
    finish(figures)


def measure(folder: Path, days: int, domains: int) -> dict[str, Any]:
    """The figures of a site over ``days`` days of ``domains`` domains."""
    config = load_config(_params(folder), env={})
    with Ledger(config) as ledger:
        world = SiteWorld(config, ledger, domains)
        say(f"{days} days of {domains} domains …")
        world.fill(0, days)
        say("first build …")
        build, build_cpu = _seconds(lambda: build_site(config, ledger))
        home = world.workspace.reports
        unchanged, _ = _seconds(lambda: build_site(config, ledger))
        refreshes, written = [], 0
        for number in range(REFRESHES):
            (day,) = world.fill(days + number, 1)
            before = time.time()
            refreshes.append(_seconds(partial(build_site, config, ledger, days=[day])))
            written = sum(path.stat().st_mtime >= before for path in home.rglob("*.html"))
        pages = list(home.rglob("*.html"))
        return {
            "benchmark": "site",
            "days": days,
            "domains": domains,
            "build_seconds": build,
            "unchanged_seconds": unchanged,
            "refresh_seconds": median(wall for wall, _ in refreshes),
            "build_cpu_seconds": build_cpu,
            "refresh_cpu_seconds": median(cpu for _, cpu in refreshes),
            "front_mb": (home / "index.html").stat().st_size / 1e6,
            "pages": len(pages),
            "refresh_pages": written,
            "site_mb": sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e6,
        }


def _seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that work took by the clock, and on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def _params(folder: Path) -> Path:
    """The project's own params.yaml, with a workspace of its own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    target = folder / "params.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(params), encoding="utf-8")
    return target


if __name__ == "__main__":
    main()
