"""Features read no label, no place that is taken out, no other row, and no clock."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.config.refusals import refusal
from tests.conftest import World

Make = Callable[..., World]
USERS = {"uri": "u-{day}.csv", "key": "user_id", "columns": ["age", "click"]}
ITEMS = {"uri": "i-{day}.csv", "key": "item_id", "columns": ["cost"]}


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("click", "mentions 'click', the label columns.click"),
        ("CLICK + 1", "the label columns.click; the model would read what it is to predict"),
        ("click.abs()", "the label columns.click"),
        ("list_sum([x + click for x in [1]])", "the label columns.click"),
        ("(SELECT max(x) FROM unnest([click]) t(x))", "the label columns.click"),
        ("convert::INT", "the label columns.convert"),
        ("_driftune_click", "mentions '_driftune_click', a name of Driftune's own"),
        ("avg(click) OVER (PARTITION BY item_id)", "reads other rows (OVER)"),
        ("lead(item_id) OVER (ORDER BY event_time)", "reads other rows (OVER)"),
        ("now() - event_time", "asks the clock (now)"),
        ("current_date - event_time::DATE", "asks the clock (current_date)"),
        ("age(event_time)", "asks the clock (now)"),
        ("random()", "calls random"),
    ],
)
@pytest.mark.few(3)
def test_an_expression_that_tells_the_label_is_one_line(
    make_world: Make, sql: str, why: str
) -> None:
    line = refusal(make_world, features={"numerical": {"y": {"sql": sql}}})
    assert f"features.numerical.y.sql = {sql!r}: " in line
    assert why in line


def test_what_a_label_is_made_of_is_no_feature(make_world: Make) -> None:
    columns = {"click": {"sql": "event = 'click' AND item_id <> ''"}}
    why = "of which the label columns.click is made"
    for feature in ({"a": "Event"}, {"a": {"sql": "event || 'x'"}}):
        line = refusal(make_world, columns=columns, features={"categorical": feature})
        assert why in line
    # The item is read anyway, and a table's column of a label's name is the table's.
    free = {"categorical": {"a": {"sql": "item_id || '!'"}}, "numerical": ["users.click"]}
    assert make_world(columns=columns, features=free, tables={"users": USERS}).config.tables
    line = refusal(make_world, tables={"users": {**USERS, "key": "click"}})
    assert "tables.users.key = 'click': is 'click', the label" in line


@pytest.mark.parametrize(
    "features",
    [
        {"numerical": {"place": "position"}},
        {"categorical": ["position"]},
        {"numerical": {"place": {"sql": "ln(position)"}}},
    ],
)
def test_a_place_that_is_taken_out_is_no_feature(
    make_world: Make, features: dict[str, Any]
) -> None:
    line = refusal(make_world, features={**features, "debias": {"position": 1}})
    assert "'position', the role columns.position; features.debias reads it" in line
    assert make_world(features=features).config.features.debias == {}


def test_a_drawn_row_can_have_each_feature(make_world: Make) -> None:
    tables = {"users": {**USERS, "columns": ["age"]}, "items": ITEMS}
    mixed = {"numerical": {"a": {"sql": "price / users.age"}}}
    given = {"tables": tables, "negatives": {"per_positive": 2}}
    line = refusal(make_world, **given, features=mixed)
    assert "mentions 'price', which is the item's, and 'users.age', which is not" in line
    assert make_world(tables=tables, features=mixed).config.negatives is None
    own = {"numerical": {"a": {"sql": "list_sum([x for x in [price, items.cost]])"}}}
    assert make_world(**given, features=own).config.negatives is not None
