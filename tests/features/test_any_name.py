"""Names of any text in every role: taken in, encoded and drawn from as they were delivered."""

from collections import Counter
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.drift.profiles import sample
from driftune.features.days import encode_day, fit_encoder
from driftune.intake.ingest import ensure_reference, ingest
from driftune.lake.table import Lake
from driftune.quality.record import read_quality
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.conftest import World, impressions
from tests.hostile import NAMES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ROWS = 240


def named(day: date, names: list[str], column: str) -> pd.DataFrame:
    """A day whose users, items, lists, domains, categories and restaurants have these names."""
    rows = impressions(day, ROWS)
    for number, role in enumerate(("user_id", "item_id", "restaurant_id", "category", "place")):
        text = pd.Series([names[(row + number) % len(names)] for row in range(ROWS)])
        rows[role] = text if role in ("category", "place") else rows[role] + text
    rows["request_id"] = rows["request_id"] + rows["place"]
    return rows.assign(**{column: rows["place"]})


def live(folder: Path, names: list[str], column: str) -> tuple[World, dict[str, int]]:
    """A world of such days: all is taken in and encoded; returns its rows by domain."""
    world = World(
        folder,
        columns={"domain": "place"},
        reference={"first": "2026-03-02", "last": "2026-03-02", "holdout": 0.2},
        quality={"min_rows": 1, "max_rejected_share": 1.0, "extra": [EXTRA | {"column": column}]},
    )
    days = [world.day(number) for number in range(2)]
    for day in days:
        world.write(day, named(day, names, column))
    config = world.config
    with Ledger(config) as ledger:
        ensure_reference(config, ledger)
        ingest(config, ledger, days[1])
    encoder = fit_encoder(config, days[:1], Workspace(config).model / "encoder")
    encoded = encode_day(config, encoder, days[1])
    with anywhere() as con:
        lake = Lake.of(config).relation([days[1]])
        rows = con.execute(f"SELECT domain, domain_key, count(*) FROM {lake} GROUP BY ALL")
        found = {name: (key, count) for name, key, count in rows.fetchall()}
    assert {name: key for name, (key, _) in found.items()} == {n: domain_key(n) for n in found}
    keys = sorted({key for key, _ in found.values()})
    table, totals = sample(config, encoded, keys, encoder)
    assert {key: totals[key][0] for key, _ in found.values()} == dict(found.values())
    assert table.num_rows == sum(count for _, count in found.values())
    return world, {name: count for name, (_, count) in found.items()}


EXTRA = {"expectation": "ExpectColumnValuesToNotBeNull", "sentence": "It is given."}


def delivered(names: list[str]) -> dict[str, int]:
    """The rows by domain: names are trimmed, and blank ones are none."""
    found = Counter(names[(row + 4) % len(names)].strip(" ") for row in range(ROWS))
    return {name: count for name, count in found.items() if name}


@pytest.mark.great_expectations
@pytest.mark.slow
@pytest.mark.ci
def test_hostile_names_in_every_role_go_through(tmp_path: Path) -> None:
    names = [*NAMES, " ", "a"]
    world, found = live(tmp_path, names, "100% {of} \"it\" 'is' \\x \u202e💥")
    assert found == delivered(names)
    quality = read_quality(Workspace(world.config), world.day(1))
    assert quality is not None
    broken = {check["rule"]: check for check in quality.checks if not check["success"]}
    assert "domain_unknown" not in broken
    assert not [check for check in quality.checks if "could not" in check.get("detail", "")]


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=5)
@given(names=st.lists(TEXT, min_size=1, max_size=4, unique=True), column=TEXT)
def test_any_name_goes_through(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], column: str
) -> None:
    _, found = live(tmp_path_factory.mktemp("any"), [*names, "a"], f"k{column}")
    assert found == delivered([*names, "a"])
