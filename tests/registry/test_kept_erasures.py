"""The ledger's list of erased users is the one that was written, in either database."""

import pytest
import sqlalchemy as sa

from driftune.config import Config
from driftune.errors import LedgerError
from driftune.lake.suppressed import Erasure, Suppressed, new_list
from driftune.registry.erasures import Standing, copy_erasures, keep_list, kept_list, standing
from driftune.registry.ledger import Ledger
from driftune.registry.schema import erased_days, erasures


def listed(*finished: str | None) -> Suppressed:
    """A list with an erasure for each end that is given."""
    held = new_list()
    for number, end in enumerate(finished):
        users = [held.mark(f"{number}-ünï"), held.mark("o'neil")]
        each = Erasure(at=f"2026-03-0{number + 1}", by="me", why="a 'letter'", users=users)
        held.erasures.append(each.model_copy(update={"finished": end, "removed": {"rows": 3}}))
    held.days = {"2026-03-01": {"a" * 64: "b" * 64}}
    held.number = len(finished)
    return held


def test_what_is_kept_is_what_was_written(ledger: Ledger) -> None:
    assert kept_list(ledger) is None
    assert standing(ledger) == Standing(0, "", "", frozenset())
    for held in (listed("2026-03-02"), listed("2026-03-02", None)):
        keep_list(ledger, held)
        assert kept_list(ledger) == held
        said = standing(ledger)
        assert (said.number, said.salt, said.state) == (held.number, held.salt, held.state)
        assert said.open == held.open


def test_a_list_with_a_gap_or_another_user_is_damaged(ledger: Ledger) -> None:
    for damage in (
        erasures.delete().where(erasures.c.number == 1),
        erasures.update().where(erasures.c.number == 1).values(users=["0" * 64]),
    ):
        keep_list(ledger, listed("2026-03-02", "2026-03-03"))
        with ledger.write() as connection:
            connection.execute(damage)
        with pytest.raises(LedgerError, match="its list of erased users is damaged"):
            kept_list(ledger)


def test_a_ledger_of_an_earlier_release_gets_the_tables(config: Config) -> None:
    with Ledger(config) as ledger, ledger.write() as connection:
        for table in (erasures, erased_days):
            connection.execute(sa.DDL(f"DROP TABLE {table.name}"))
    with Ledger(config) as ledger:
        assert kept_list(ledger) is None
        keep_list(ledger, listed(None))
        assert standing(ledger).open == {1}


def test_a_copy_has_the_same_list(ledger: Ledger, config: Config) -> None:
    keep_list(ledger, held := listed("2026-03-02"))
    config.home.mkdir(parents=True, exist_ok=True)
    home = str(config.home / "other")
    other = config.model_copy(
        update={
            "workspace": home,
            "registry": config.registry.model_copy(update={"ledger": f"sqlite:///{home}.db"}),
        }
    )
    with Ledger(other) as target:
        copy_erasures(ledger, target)
        assert kept_list(target) == held
