"""A ledger on PostgreSQL: what its server does that a file does not."""

import sys
from datetime import date
from multiprocessing.context import ForkServerContext

import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.errors import LedgerBusyError, LedgerError
from driftune.registry.ledger import Ledger
from tests.postgres import Postgres
from tests.registry.conftest import Decide

pytestmark = pytest.mark.parametrize("config", ["postgresql"], indirect=True)


def hurry(ledger: Ledger) -> None:
    """Wait for a lock for a moment only."""

    @sa.event.listens_for(ledger.engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")


def test_a_row_that_stays_locked_is_one_line_and_others_are_free(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    taken, free = decide(), decide(day="2026-03-11")
    hold = sa.text("SELECT 1 FROM decisions WHERE id = :id FOR UPDATE")
    with Ledger(config) as other, ledger.write() as connection:
        connection.execute(hold, {"id": taken})
        hurry(other)
        with pytest.raises(LedgerBusyError, match=r"another process keeps it locked.*try again$"):
            other.claim(taken)
        assert other.claim(free) is not None
    assert ledger.decision(taken).state == "pending"


def test_processes_that_make_a_ledger_at_once_find_it_whole(
    config: Config, forks: ForkServerContext
) -> None:
    arguments = [(str(config.source_file), number) for number in range(3)]
    with forks.Pool(3) as pool:
        assert pool.starmap(_record, arguments) == [1, 1, 1]
    with Ledger(config) as ledger:
        assert len(ledger.days()) == 3


def _record(params: str, number: int) -> int:
    values = {"lake_version": 1, "rows": 2**40, "rejected": 0, "verdict": "ok"}
    with Ledger(load_config(params, env={})) as ledger:
        return ledger.record_day(date(2026, 3, 2 + number), content_hash="a", **values)


def test_figures_that_are_no_numbers_are_null(ledger: Ledger, decide: Decide) -> None:
    decision = decide(scores={"distances": {"click": float("nan")}, "n": [float("inf"), 1.0]})
    kept = ledger.decision(decision).scores.model_extra
    assert kept == {"distances": {"click": None}, "n": [None, 1.0]}


@pytest.mark.slow
@pytest.mark.ci
def test_a_server_that_goes_away_is_one_line_and_its_return_is_enough(
    config: Config, postgres: Postgres
) -> None:
    with Ledger(config) as ledger:
        assert ledger.decisions() == []
        postgres.stop()
        try:
            with pytest.raises(LedgerBusyError, match="its server does not answer") as error:
                ledger.decisions()
            with pytest.raises(LedgerBusyError, match="see whether its server runs"):
                Ledger(config)
        finally:
            postgres.start()
        assert "\n" not in str(error.value)
        assert ledger.decisions() == []


def test_without_its_driver_the_error_names_the_extra(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match="the extra postgres"):
        Ledger(config)
