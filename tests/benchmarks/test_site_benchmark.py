"""The benchmark of the review site measures a site that is whole."""

from pathlib import Path

import pytest

from benchmarks.site import REFRESHES, measure


@pytest.mark.slow
@pytest.mark.ci
def test_the_site_s_benchmark_counts_every_page(tmp_path: Path) -> None:
    days, domains = 4, 3
    figures = measure(tmp_path, days, domains)
    made = days + REFRESHES
    # A page per decision, per day and per domain, and the front page.
    assert figures["pages"] == made * domains + made + domains + 1
    # The new day and the one before it, their decisions, the domains and the front page.
    assert figures["refresh_pages"] >= 2 + 2 * domains + domains + 1
    assert 0 < figures["front_mb"] < 2
