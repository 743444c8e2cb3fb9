"""A review site over a synthetic ledger and workspace."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from driftune.registry.ledger import Ledger
from tests.reports.records import DRIFTED, FIRST, HOSTILE, PLAIN, Site


@pytest.fixture
def site(make_world: Callable[..., Any]) -> Iterator[Site]:
    """An empty site."""
    config = make_world().config
    with Ledger(config) as ledger:
        yield Site(config, ledger)


@pytest.fixture
def full_site(site: Site) -> Site:
    """Eight days of plain and hostile domains, every state among them, built."""
    domains = PLAIN + HOSTILE
    site.fill(domains, 8)
    last = FIRST + timedelta(days=8)
    site.day(last, domains)
    for domain, state in zip(domains, (*DRIFTED, "stable", "insufficient"), strict=False):
        score = {"stable": 0.4, "insufficient": None}.get(state, 1.8)
        site.decide(domain, last, state, score)
    site.build()
    return site
