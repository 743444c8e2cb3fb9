"""Position as a feature that training reads and scores do not, and features of side tables."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.drift.cells import logit_cells
from driftune.drift.profiles import Profiler, Served
from driftune.errors import BackboneError, ConfigError
from driftune.evaluation.metrics import auc
from driftune.features.days import encode_day
from driftune.features.encoder import require_roles
from driftune.io import read_json
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterBank
from driftune.registry.ledger import Ledger
from driftune.training.base_record import base_problems
from driftune.training.pretrain import load_model, pretrain
from driftune.training.rows import load_rows
from driftune.training.scoring import score, score_clicks
from tests.conftest import REFERENCE_DAYS, World, impressions

Make = Callable[..., World]
TABLE = {"uri": "users.csv", "key": "user_id", "columns": ["age", "segment"], "as_of": "latest"}
FEATURES = {
    "categorical": {"segment": "users.segment"},
    "numerical": {"per_year": {"sql": "price / users.age"}},
    "debias": {"position": 1},
}

pytestmark = pytest.mark.trains


@pytest.fixture
def world(make_world: Make) -> World:
    """A world whose clicks depend on the position alone, with a backbone."""
    world = make_world(
        tables={"users": TABLE}, features=FEATURES, backbone={"epochs": 4, "learning_rate": 0.02}
    )
    users = [f"u{n}" for n in range(150)]
    table = pd.DataFrame({"user_id": users, "age": 30, "segment": [user[-1] for user in users]})
    table.to_csv(world.root / "users.csv", index=False)
    for number in range(REFERENCE_DAYS):
        frame = impressions(world.day(number))
        frame["click"] = (frame["position"] <= 2).astype("int8")
        frame["ordered"] = (frame["position"] == 1).astype("int8")
        world.write(world.day(number), frame)
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
    return world


def test_a_position_is_trained_on_and_not_scored_by(world: World) -> None:
    encoder, model, _ = load_model(world.config)
    assert "segment" in encoder.fields
    assert {"log_per_year", "log_position"} <= set(encoder.numbers)
    rows = load_rows(encoder, [encode_day(world.config, encoder, world.day(0))])
    column = encoder.numbers.index("log_position")
    ((stated, value),) = rows.stated
    assert stated == column
    given = rows.numbers[:, column].numpy()
    first = given[rows.position == 1]
    assert len(set(given)) == 8
    assert first == pytest.approx(value)
    # What is learnt of the position is seen where it is given.
    seen = score(model, replace(rows, stated=()))[0]
    assert seen[rows.position == 1].mean() > seen[rows.position == 8].mean() + 0.1
    # A score is that of the first position, wherever the row was shown.
    scored = score(model, rows)
    moved = replace(rows, numbers=rows.numbers.clone())
    moved.numbers[:, column] = 0.5
    assert np.array_equal(score(model, moved), scored)
    assert np.array_equal(score_clicks(model, moved, AdapterBank()), scored[0])
    assert scored[0][rows.position == 1] == pytest.approx(seen[rows.position == 1])
    # Rows that are taken keep it.
    assert rows.take(np.arange(3)).stated == rows.stated


@pytest.mark.slow
@pytest.mark.ci
def test_probabilities_are_held_against_clicks_where_the_rows_were_shown(world: World) -> None:
    # The base that evaluates itself: clicks of places 1 and 2 alone are one in four.
    figures = read_json(Workspace(world.config).model / "metrics.json")
    assert figures["ctr_calibration"] == pytest.approx(1, abs=0.15)
    by_domain = pd.read_csv(Workspace(world.config).model / "by_domain.csv")
    assert by_domain["calibration"].between(0.8, 1.25).all()
    assert not by_domain["miscalibrated"].any()
    # That rates of items and places foresee such clicks better is told, and true.
    told = [problem["told"] for problem in base_problems(world.config)]
    assert not any("clicks for each one" in each for each in told)
    encoder, model, _ = load_model(world.config)
    rows = load_rows(encoder, [encode_day(world.config, encoder, world.day(0))])
    stated, shown = score(model, rows)[0], score(model, rows.as_shown())[0]
    assert stated.sum() > 1.5 * shown.sum()
    # What ranks the rows knows nothing of their places.
    assert figures["ctr_auc"] < 0.7 < auc(rows.click.numpy(), shown)
    # Drift's calibration counts what was foreseen where the rows were shown, ranking what ranks.
    keys = [str(key) for key in np.unique(rows.domain_key)]
    served = {key: Served("base", 0) for key in keys}
    profiler = Profiler(world.config, encoder, model, AdapterBank(), Lake.of(world.config), served)
    for key, profile in profiler.of_day(world.day(0), keys).items():
        expected = profile.parts["expected"].sum()
        assert expected == pytest.approx(shown[rows.domain_key == key].sum(), rel=1e-3)
        ranking = profile.parts["ranking"].reshape(2, -1).sum(axis=0)
        cells = np.bincount(logit_cells(stated[rows.domain_key == key]), minlength=len(ranking))
        assert np.array_equal(ranking, cells)


@pytest.mark.slow
@pytest.mark.ci
def test_another_value_than_the_encoder_was_fitted_with_is_one_line(world: World) -> None:
    encoder, *_ = load_model(world.config)
    require_roles(world.config, encoder)
    changed = world.config.features.model_copy(update={"debias": {"position": 2.0}})
    with pytest.raises(BackboneError, match=r"fitted with features.debias = .*run driftune"):
        require_roles(world.config.model_copy(update={"features": changed}), encoder)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"columns": {"position": None}}, "features.debias: 'position' needs columns.position"),
        (
            {"features": {"debias": {"position": 1}, "numerical": ["position"]}},
            "features.debias: 'position' is one of features.numerical, too",
        ),
        (
            {"features": {"debias": {"price": 1}}},
            "features.debias: the key 'price' must be 'position'",
        ),
    ],
)
def test_a_wrong_debias_is_one_line(make_world: Make, changes: dict, why: str) -> None:
    given = {"features": {"debias": {"position": 1}}} | changes
    with pytest.raises(ConfigError) as refused:
        _ = make_world(**given).config
    assert why in str(refused.value)
