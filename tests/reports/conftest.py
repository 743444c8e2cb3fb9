"""A review site over a synthetic ledger and workspace."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from driftune.registry.ledger import Ledger
from tests.conftest import World
from tests.reports.records import Site


@pytest.fixture
def site(make_world: Callable[..., Any]) -> Iterator[Site]:
    """An empty site."""
    config = make_world().config
    with Ledger(config) as ledger:
        yield Site(config, ledger)


@pytest.fixture(scope="session")
def full_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A whole site, made once per session, for tests that only read it."""
    config = World(tmp_path_factory.mktemp("site")).config
    with Ledger(config) as ledger:
        yield Site(config, ledger).whole()
