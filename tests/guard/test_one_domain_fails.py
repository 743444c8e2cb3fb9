"""A champion that cannot be checked stops no other domain's, and is told after all others."""

from collections.abc import Iterator, Sequence
from datetime import date

import pandas as pd
import pytest

from driftune.domains import domain_key
from driftune.errors import DriftuneError, LakeError
from driftune.guard import check, scores
from driftune.guard.check import check_champions
from driftune.registry.checks import checks_of
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.schema import adapters, champions, decisions
from tests.conftest import DOMAINS, World, impressions
from tests.crowning import DOMAIN, KEY, bring, pending

OTHER = "search · south"


@pytest.fixture
def two_champions(bad_champion: World) -> World:
    """A world in which another domain is served by the same bad adapter."""
    key = domain_key(OTHER)
    folder = bad_champion.config.home / "adapters"
    made = next(each for each in folder.glob(f"{KEY}/*"))
    target = folder / key / made.name
    target.parent.mkdir()
    target.symlink_to(made, target_is_directory=True)
    with Ledger(bad_champion.config) as ledger, ledger.write() as connection:
        for table in (adapters, champions):
            row = connection.execute(table.select()).mappings().one()
            own = {name: value for name, value in row.items() if name != "id"}
            connection.execute(table.insert().values({**own, "domain_key": key, "domain": OTHER}))
    return bad_champion


def serving(world: World) -> dict[str, int]:
    with Ledger(world.config) as ledger:
        return {row.domain: row.version for row in ledger.champions().values()}


def checked(world: World, day: date) -> list[str]:
    with Ledger(world.config) as ledger:
        check_champions(world.config, ledger, day, mirrored=False)
        return [each.domain for each in checks_of(ledger, day)]


def large(world: World) -> date:
    day = world.day(3)
    return bring(world, day, impressions(day, 12_000))


@pytest.mark.slow
@pytest.mark.ci
def test_both_are_checked_where_nothing_fails(two_champions: World) -> None:
    assert checked(two_champions, large(two_champions)) == [DOMAIN, OTHER]
    assert serving(two_champions) == {DOMAIN: BASE, OTHER: BASE}


def test_one_whose_scores_fail(two_champions: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scores.score_day

    def broken(*given: object) -> Iterator[object]:
        contests: Sequence[scores.Contest] = given[4]  # type: ignore[assignment]
        if any(each.key == KEY for each in contests):
            raise RuntimeError("shapes do not fit")
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(scores, "score_day", broken)
    day = large(two_champions)
    with pytest.raises(DriftuneError, match=f"of 1 domains could not be checked: {DOMAIN}"):
        checked(two_champions, day)
    assert serving(two_champions) == {DOMAIN: 1, OTHER: BASE}
    monkeypatch.undo()
    assert checked(two_champions, day) == [DOMAIN, OTHER]
    assert serving(two_champions) == {DOMAIN: BASE, OTHER: BASE}


@pytest.mark.slow
@pytest.mark.ci
def test_one_whose_verdict_fails(two_champions: World, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = check._judge

    def broken(config: object, contest: scores.Contest, *more: object) -> object:
        if contest.key == KEY:
            raise LakeError("no rows")
        return judged(config, contest, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(check, "_judge", broken)
    with pytest.raises(DriftuneError, match=r"\(no rows\); the others were"):
        checked(two_champions, large(two_champions))
    assert serving(two_champions) == {DOMAIN: 1, OTHER: BASE}


@pytest.mark.slow
@pytest.mark.ci
def test_one_whose_decision_is_damaged(two_champions: World) -> None:
    day = large(two_champions)
    decision = pending(two_champions, two_champions.day(2))
    with Ledger(two_champions.config) as ledger, ledger.write() as connection:
        own = adapters.update().where(adapters.c.domain_key == KEY)
        connection.execute(own.values(decision_id=decision))
        damage = decisions.update().where(decisions.c.id == decision)
        connection.execute(damage.values(gate={"looks": "none"}))
    with pytest.raises(DriftuneError, match=DOMAIN):
        checked(two_champions, day)
    assert serving(two_champions) == {DOMAIN: 1, OTHER: BASE}


@pytest.mark.parametrize("clicks", [None, 0, 1], ids=["no row", "no click", "only clicks"])
@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_stays_on_a_day_that_says_nothing_of_it(
    two_champions: World, clicks: int | None
) -> None:
    lenient = {"domain": {"min_rows": 10**6}, "severity": {"domain_click_rate_absurd": "warning"}}
    World(two_champions.root, quality=lenient)
    day = two_champions.day(3)
    frame = impressions(day, 12_000)
    there = (frame["scene"] + " · " + frame["region"]) == DOMAIN
    own = frame[there].assign(click=clicks, ordered=0) if clicks is not None else frame.head(0)
    bring(two_champions, day, pd.concat([frame[~there], own]))
    found = checked(two_champions, day)
    assert found == ([OTHER] if clicks is None else [DOMAIN, OTHER])
    assert serving(two_champions) == {DOMAIN: 1, OTHER: BASE}
    assert {DOMAIN, OTHER} < set(DOMAINS)
