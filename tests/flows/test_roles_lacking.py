"""A log of users, items, times, domains and clicks alone, from its files to the guard."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from driftune.config.workspace import Workspace
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.registry.checks import checks_of
from driftune.registry.ledger import Ledger
from driftune.simulate import simulate
from driftune.training.pretrain import load_item_groups, load_model, pretrain
from flows.daily import daily
from tests.conftest import Ended, World, made_once, make_mlflow_store, small_params
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, SIMULATION, simulated_world
from tests.margins import assert_drift_by_far, assert_promoted_by_far
from tests.marks import CI
from tests.shifts import SHIFTED

pytestmark = [*CI, pytest.mark.trains]
GIVEN = ["user_id", "item_id", "event_time", "scene", "region", "click"]
LACKING = ("convert", "category", "price", "request", "position", "propensity")
UNSAID = re.compile(
    r"conver(t|s)|ctcvr|\bcvr|categor|\borders\b|price|propensit|off-policy|undefined",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL)


def bare_world(folder: Path) -> None:
    """The simulated world with the columns of ``GIVEN`` alone, after the shift and a day more."""
    world = simulated_world(folder)
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    for role in LACKING:
        del params["columns"][role]
    del params["adapter"]["at"]
    params["features"] |= {"categorical": [], "counters": {"smoothing": 3000}}
    world.params.write_text(yaml.dump(params), encoding="utf-8")
    simulate(SIMULATION, folder / "logs")
    for path in (folder / "logs").glob("*.parquet"):
        pd.read_parquet(path)[GIVEN].to_parquet(path, index=False)
    with Ledger(world.config) as ledger:
        figures = pretrain(world.config, ledger)
    assert not [name for name in figures if UNSAID.search(name)], figures
    make_mlflow_store(world.config.home)
    for day in (SHIFT_DAY, DAY_AFTER):
        daily(day, str(world.params))


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> World:
    """A copy of the bare world, which is made once per session."""
    return World.copied(made_once(tmp_path_factory, "bare", bare_world), tmp_path / "bare")


def shown(path: Path) -> str:
    """The words of a page."""
    return html.unescape(_MARKUP.sub(" ", path.read_text(encoding="utf-8")))


def test_the_shift_is_found_by_groups_of_items_and_adapted_to(bare: World) -> None:
    with Ledger(bare.config) as ledger:
        rows = [row for row in ledger.decisions() if row.day == str(SHIFT_DAY)]
        (moved,) = [row for row in rows if row.domain == SHIFTED]
        checks = checks_of(ledger, DAY_AFTER)
    assert moved.state == "promoted", moved.sentence
    assert_promoted_by_far(moved.gate, bare.config)
    assert_drift_by_far([moved], bare.config)
    signals = moved.scores.signals
    assert signals is not None and signals["calibration"].p is not None
    assert not {"category_shown", "category_rate", "price_shown"} & set(signals)
    names = [row.name for row in moved.scores.fact("calibration").rows or ()]
    assert names and all(name.startswith(("items like ", "new items", "(other)")) for name in names)
    assert moved.gate is not None and moved.gate.guardrail is None
    assert moved.gate.off_policy is None
    assert {check.domain for check in checks} == {SHIFTED}


def test_no_page_and_no_record_speaks_of_what_the_log_lacks(
    bare: World, driftune: Callable[..., Ended]
) -> None:
    workspace = Workspace(bare.config)
    pages = [each for each in workspace.reports.rglob("*.html") if "evidently" not in each.name]
    assert len(pages) > 15
    for page in pages:
        assert not (found := UNSAID.search(shown(page))), (page, found)
    records = [*workspace.home.glob("quality/**/*.json"), *workspace.home.glob("drift/**/*.json")]
    records += [workspace.model / name for name in ("metrics.json", "by_domain.csv")]
    assert len(records) > 8
    for record in records:
        assert not (found := UNSAID.search(record.read_text(encoding="utf-8"))), (record, found)
    done = driftune("status", "--json", "-c", str(bare.params))
    assert json.loads(done.out) and not UNSAID.search(done.out)


def test_groups_are_those_of_the_backbone_and_the_lake_counts_no_conversion(bare: World) -> None:
    encoder, _, mark = load_model(bare.config)
    learned = load_item_groups(bare.config, encoder, mark)
    assert learned is not None
    most = small_params()["drift"].get("top_categories", 12)
    assert 2 <= len(learned.names) <= most and set(learned.groups) == set(range(len(learned.names)))
    assert "category" not in encoder.fields
    assert not [name for name in encoder.numbers if name.startswith("cvr")]
    lake = Lake.of(bare.config)
    with connect(reach=[lake.place]) as con:
        query = 'SELECT DISTINCT "convert", category, price, request_id FROM '
        assert con.sql(query + lake.relation([SHIFT_DAY])).fetchall() == [(0, None, None, None)]
