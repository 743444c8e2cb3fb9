"""Roles and features that are expressions: computed over delivered rows as the lake has them."""

import numpy as np
import pyarrow as pa
import pytest

from driftune.project import Project
from driftune.serving import RowsError, Scorer
from driftune.serving.check import check_bundle
from driftune.serving.expressions import Expressions
from driftune.serving.manifest import read_manifest
from driftune.serving.registered import columns
from driftune.serving.roles import Role, Roles, Time
from tests.conftest import REFERENCE_DAYS, World, made_once
from tests.serving.conftest import ORDER, Bundled, bundled, pretrained

COLUMNS = {
    "domain": {"sql": "scene || '/' || region"},
    "category": {"sql": "upper(category)"},
    "price": {"sql": "CASE WHEN price > 70 THEN 'dear' ELSE price::VARCHAR END"},
}
FEATURES = {
    "categorical": {
        "kind": {"sql": "left(item, 2) || coalesce(category, '')"},
        "opened": "opened",
        "late": {"sql": "hour(event_time) > 12"},
    },
    "numerical": {"per": {"sql": "price / nullif(distance, 0)"}, "stock": "stock"},
}


@pytest.fixture(scope="session")
def _computed(tmp_path_factory):
    def make(folder):
        quality = {"severity": {"number_unreadable": "off"}}
        world = World(folder, columns=COLUMNS, features=FEATURES, quality=quality)
        pretrained(world)
        bundled(world)

    return made_once(tmp_path_factory, "computed", make)


@pytest.fixture
def computed(_computed):
    world = World.at(_computed)
    return Bundled(world, _computed / "bundle", world.day(REFERENCE_DAYS))


@pytest.mark.slow
@pytest.mark.ci
def test_their_scores_are_those_of_training(computed):
    frame = computed.rows.to_pandas()
    frame["key"] = frame.scene + "/" + frame.region
    frame = frame.sort_values(["event_time", "key", *ORDER[2:]], kind="stable")
    rows = pa.Table.from_pandas(frame.drop(columns="key"), preserve_index=False)
    p_click, _ = computed.expected()
    found = Scorer.open(computed.bundle).score(rows)
    dear = (frame.price > 70).to_numpy()
    assert found["why"].to_pandas()[dear].unique().tolist() == ["price is no number"]
    scored = ~dear
    assert scored.sum() > 500
    assert len(p_click) == len(frame)
    np.testing.assert_array_equal(found["p_click"].to_numpy()[scored], p_click[scored])


@pytest.mark.slow
@pytest.mark.ci
def test_a_bundle_with_expressions_is_not_compared_and_says_so(computed):
    with Project(computed.world.config) as project:
        assert "its scores are not compared" in check_bundle(project, computed.bundle)


def test_rows_that_lack_what_an_expression_names_are_refused_in_one_line(computed):
    rows = computed.rows.drop_columns(["distance"])
    with pytest.raises(RowsError, match=r"features\.numerical\.per = .* cannot be computed"):
        Scorer.open(computed.bundle).score(rows)


def test_a_text_that_may_be_a_number_is_refused_where_the_logs_say_no_types():
    role = Role("features.numerical.twice", None, "2 * price")
    roles = Roles({}, (), {"twice": role}, Time(Role("columns.time", "t"), "timestamp", None))
    expressions = Expressions(roles, "UTC", text=True)
    from driftune.serving.expressions import Seen

    none = Seen({}, {})
    with pytest.raises(RowsError, match="comes as text"):
        expressions.with_features(pa.table({"price": ["1.5"]}), none)
    found = expressions.with_features(pa.table({"price": [1.5]}), none)
    assert found[role.source].to_pylist() == [3.0]


@pytest.mark.slow
@pytest.mark.ci
def test_the_signature_of_a_registered_bundle_has_the_columns_of_expressions(computed):
    with Project(computed.world.config) as project:
        found = {each.name: each for each in columns(project, read_manifest(computed.bundle))}
    named = {"scene", "region", "category", "price", "distance", "event_time"}
    assert named <= found.keys() and "click" not in found
    assert found["user_id"].needed and not any(found[name].needed for name in named)
    assert (found["event_time"].kind, found["scene"].kind) == ("datetime", "string")
    example = {name: each.example for name, each in found.items()}
    (row,) = Scorer.open(computed.bundle).score([example]).to_pylist()
    assert 0 < row["p_click"] < 1
