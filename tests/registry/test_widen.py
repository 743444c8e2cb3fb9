"""A ledger that allowed one decision a domain and day takes several, and keeps what it holds."""

import logging
import sqlite3
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from driftune.registry.widen import one_decision_a_day
from tests.conftest import World
from tests.forks import kill_at
from tests.registry.conftest import BACKBONE, KEY, Decide
from tests.registry.old_ledger import unpack_old_ledger


def narrow(config: Config) -> None:
    """Give the ledger the constraint of earlier releases."""
    with Ledger(config) as ledger, ledger.write() as connection:
        columns = "domain_key, day, revision, backbone"
        if connection.dialect.name == "postgresql":
            text = f"ALTER TABLE decisions ADD UNIQUE ({columns})"
            connection.exec_driver_sql(text)
            return
        table = decisions.to_metadata(sa.MetaData())
        table.append_constraint(sa.UniqueConstraint(*columns.split(", ")))
        connection.exec_driver_sql("DROP TABLE decisions")
        table.create(connection)


def test_a_ledger_of_before_takes_a_second_decision(config: Config) -> None:
    narrow(config)
    with Ledger(config) as ledger:
        assert one_decision_a_day(ledger.engine) is None
        for number in (1, 2):
            _, new = ledger.decide(**values(number))
            assert new
        assert len(ledger.decisions()) == 2
        indexed = sa.inspect(ledger.engine).get_indexes("decisions")
        assert {name for each in indexed for name in each["column_names"]} >= {"day", "domain_key"}


def values(number: int) -> dict[str, Any]:
    from driftune.registry.records import Scores

    return {
        "id": f"2026-03-10.{KEY}.r1.{number}",
        "domain": "home",
        "domain_key": KEY,
        "day": "2026-03-10",
        "revision": 1,
        "backbone": BACKBONE,
        "state": "stable",
        "score": None,
        "scores": Scores(),
        "sentence": "Stable.",
        "data_version": "v",
        "champion_version": 0,
    }


@pytest.fixture
def old(make_world: Callable[..., World]) -> World:
    """A world with a ledger of release 62340b5."""
    world = make_world()
    unpack_old_ledger(world.config.home)
    return world


def rows(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(decisions)")]
        held = ", ".join(sorted(name for name in names if name not in ("stale", "rule")))
        return connection.execute(f"SELECT {held} FROM decisions ORDER BY id").fetchall()


def test_an_old_ledger_keeps_every_row(old: World) -> None:
    path = old.config.home / "ledger.db"
    before = rows(path)
    with Ledger(old.config) as ledger:
        assert one_decision_a_day(ledger.engine) is None
        assert len(ledger.decisions()) == len(before) == 72
    assert rows(path) == before


def open_ledger(params: Path) -> int:
    with Ledger(load_config(params, env={})) as ledger:
        return len(ledger.decisions())


@pytest.mark.slow
@pytest.mark.ci
def test_two_that_open_it_at_once_and_a_kill_lose_nothing(
    old: World, forks: ForkServerContext
) -> None:
    path = old.config.home / "ledger.db"
    before = rows(path)
    kill_at(forks, "driftune.registry.widen:inspect", open_ledger, old.params)
    kill_at(forks, "sqlalchemy:Table.create", open_ledger, old.params)
    assert rows(path) == before
    with forks.Pool(2) as pool:
        calls = [pool.apply_async(open_ledger, (old.params,)) for _ in range(2)]
        assert [call.get(timeout=120) for call in calls] == [72, 72]
    assert rows(path) == before


def test_a_decision_is_still_made_once(ledger: Ledger, decide: Decide) -> None:
    first = decide()
    _, new = ledger.decide(**{**values(1), "id": first})
    assert not new


def test_what_others_added_to_an_old_ledger_stays(
    old: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    path = old.config.home / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE decisions ADD COLUMN weight REAL NOT NULL DEFAULT 1.5")
        connection.execute("ALTER TABLE decisions ADD COLUMN shop VARCHAR(8) DEFAULT 'it''s'")
        connection.execute("ALTER TABLE decisions ADD COLUMN plain")
        connection.execute("CREATE INDEX of_mine ON decisions (shop, day)")
        connection.execute("CREATE UNIQUE INDEX part ON decisions (id) WHERE state = 'promoted'")
    before = added(path)
    with Ledger(old.config) as ledger:
        assert one_decision_a_day(ledger.engine) is None
    assert added(path) == before
    assert (
        caplog.messages.count(
            "the ledger of an earlier release takes several decisions a day now: 72 kept"
        )
        == 1
    )


def added(path: Path) -> list[Any]:
    """The columns and indexes that no release has made, and their values."""
    with sqlite3.connect(path) as connection:
        columns = connection.execute(
            "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('decisions') "
            "WHERE name IN ('weight', 'shop', 'plain') ORDER BY name"
        ).fetchall()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name IN ('of_mine', 'part') ORDER BY name"
        ).fetchall()
        values = connection.execute("SELECT weight, shop, plain FROM decisions ORDER BY id")
        return [columns, indexes, values.fetchall()]
