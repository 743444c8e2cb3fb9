"""A ledger of an earlier release gets the indexes that it lacks, and its rows stay as they are."""

from collections.abc import Callable
from multiprocessing.context import ForkServerContext

import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.registry.database import Database
from driftune.registry.indexes import FORMER, INDEXES
from driftune.registry.ledger import Ledger
from driftune.registry.status import domain_status
from tests.conftest import World
from tests.registry.conftest import Decide
from tests.registry.old_ledger import unpack_old_ledger

NAMES = {index.name for index in INDEXES}


def held(ledger: Database) -> set[str | None]:
    inspector = sa.inspect(ledger.engine)
    return {
        index["name"] for table in ("decisions", "checks") for index in inspector.get_indexes(table)
    }


def test_a_new_ledger_has_them(ledger: Ledger) -> None:
    assert held(ledger) >= NAMES


def test_a_ledger_as_an_earlier_release_wrote_it_gets_them(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    unpack_old_ledger(world.config.home)
    with Ledger(world.config) as ledger:
        assert held(ledger) >= NAMES
        assert not held(ledger) & {*FORMER}
        assert sum(row["last_adaptation"] is not None for row in domain_status(ledger)) == 3
        assert len(ledger.decisions()) == 72


def strip(config: Config) -> None:
    """Leave a ledger the indexes of earlier releases alone."""
    with Ledger(config) as ledger, ledger.write() as connection:
        for index in INDEXES:
            index.drop(connection)
        for name, column in zip(FORMER, ("domain_key", "day"), strict=True):
            connection.exec_driver_sql(f"CREATE INDEX {name} ON decisions ({column})")


def open_ledger(params: str) -> int:
    with Ledger(load_config(params, env={})) as ledger:
        return len(ledger.decisions())


def test_two_that_open_it_at_once_add_them_once(
    config: Config, ledger: Ledger, decide: Decide, forks: ForkServerContext
) -> None:
    decide()
    strip(config)
    with forks.Pool(2) as pool:
        assert pool.map(open_ledger, [str(config.source_file)] * 2) == [1, 1]
    assert held(ledger) >= NAMES
    assert not held(ledger) & {*FORMER}


def test_one_that_cannot_be_added_leaves_the_ledger_as_it_was(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    strip(config)

    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("CREATE INDEX", {}, Exception("disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(INDEXES[-1], "create", fail)
        with pytest.raises(Exception, match="disk is full"):
            Ledger(config)
    engine = sa.create_engine(
        config.registry.ledger.replace("postgresql:", "postgresql+psycopg:")
        if config.registry.ledger
        else f"sqlite:///{config.home / 'ledger.db'}"
    )
    found = {index["name"] for index in sa.inspect(engine).get_indexes("decisions")}
    engine.dispose()
    assert found == {*FORMER}
    with Ledger(config) as again:
        assert held(again) >= NAMES
