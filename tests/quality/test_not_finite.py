"""NaN and infinities: broken values in what expectations of one's own and our own rules read.

The files have statistics of row groups, by which DuckDB leaves NaN out of a comparison.
"""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.config.workspace import Workspace
from driftune.intake.ingest import Ingested
from driftune.io import read_json
from driftune.lake.table import Lake
from tests.conftest import FIRST, World, impressions
from tests.marks import CI
from tests.quality.days import run

ROWS = 1200


def delivered(
    world: World, values: dict[str, Sequence[float]], kind: pa.DataType | None = None
) -> None:
    """Write the first day with columns whose values begin with those, and go on from 1 to 50."""
    table = pa.Table.from_pandas(impressions(FIRST, ROWS), preserve_index=False)
    for name, first in values.items():
        column = pa.array([*first, *np.linspace(1, 50, ROWS - len(first))], kind or pa.float64())
        number = table.schema.get_field_index(name)
        if number >= 0:
            table = table.remove_column(number)
        table = table.append_column(name, column)
    path = world.root / "logs" / f"{FIRST}.parquet"
    pq.write_table(table, path, row_group_size=100)


def judged(world: World, expectations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is said of the expectations, in their order."""
    extra = [
        {"severity": "warning", "sentence": "As it should be.", **each} for each in expectations
    ]
    quality = run(World(world.root, quality={"extra": extra}), FIRST).quality
    checks = {check["rule"]: dict(check) for check in quality.checks}
    return [checks[f"extra_{number}"] for number in range(len(extra))]


def expect(kind: str, **arguments: Any) -> dict[str, Any]:
    """An expectation of ``weight`` unless other columns are named."""
    named = kind.startswith("Table") or any(name.startswith("column") for name in arguments)
    return {"expectation": f"Expect{kind}", **({} if named else {"column": "weight"}), **arguments}


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()], ids=["double", "float"])
@pytest.mark.slow
@pytest.mark.ci
def test_a_bound_is_broken_by_one_row(world: World, kind: pa.DataType) -> None:
    columns = {"missing": [nan], "above": [inf], "below": [-inf]}
    delivered(world, columns, kind)
    bounds = [{"min_value": 0, "max_value": 100}, {"min_value": 0}, {"max_value": 100}]
    for check in judged(
        world,
        [
            expect("ColumnValuesToBeBetween", column=name, **bound)
            for name in columns
            for bound in bounds
        ],
    ):
        assert (check["success"], check["unexpected"]) == (False, 1)
        assert check["detail"] == "NaN or infinite in 1 row"


# Expectations that the finite values keep.
KEPT = [
    expect("ColumnMaxToBeBetween", max_value=100),
    expect("ColumnMinToBeBetween", min_value=0),
    expect("ColumnMeanToBeBetween", min_value=0, max_value=100),
    expect("ColumnMedianToBeBetween", min_value=0, max_value=100),
    expect("ColumnSumToBeBetween", min_value=0),
    expect("ColumnStdevToBeBetween", min_value=0, max_value=100),
    expect(
        "ColumnQuantileValuesToBeBetween",
        quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 100]]},
    ),
    expect("ColumnUniqueValueCountToBeBetween", min_value=1),
    expect("ColumnDistinctValuesToContainSet", value_set=[1.0]),
]
KEPT_BY_ROWS = [
    expect("ColumnValuesToNotBeInSet", value_set=[-1.0]),
    expect("ColumnValuesToNotBeNull"),
    expect("ColumnValuesToBeUnique"),
    expect("ColumnValueZScoresToBeLessThan", threshold=9, double_sided=True),
    expect("CompoundColumnsToBeUnique", column_list=["weight", "request_id", "item_id"]),
    expect("ColumnPairValuesAToBeGreaterThanB", column_A="weight", column_B="zero"),
    expect("ColumnValuesToBeBetween", column="other", min_value=0),
]


@pytest.mark.slow
@pytest.mark.ci
def test_every_expectation_of_values_is_broken(world: World) -> None:
    values = {"weight": [nan, inf, nan], "zero": [0.0] * ROWS, "other": [1.0]}
    delivered(world, values)
    *checks, plain = judged(world, [*KEPT, *KEPT_BY_ROWS])
    for check in checks:
        assert not check["success"], check
        assert check["detail"] == "NaN or infinite in 3 rows"
    assert [check["unexpected"] for check in checks[len(KEPT) :]] == [3] * (len(KEPT_BY_ROWS) - 1)
    assert checks[2]["observed"] == pytest.approx(25.5)
    assert plain["success"]


@pytest.mark.slow
@pytest.mark.ci
def test_without_them_every_one_is_kept(world: World) -> None:
    delivered(world, {"weight": [60.0], "zero": [0.0] * ROWS, "other": [1.0]})
    assert [check["success"] for check in judged(world, [*KEPT, *KEPT_BY_ROWS])] == [True] * 16


@pytest.mark.slow
@pytest.mark.ci
def test_they_are_added_to_the_other_broken_values(world: World) -> None:
    delivered(world, {"weight": [nan, 200.0, -3.0, inf]})
    between = expect("ColumnValuesToBeBetween", min_value=0, max_value=100)
    home = {"row_condition": 'col("scene")=="home"', "condition_parser": "great_expectations"}
    scenes = impressions(FIRST, ROWS)["scene"][:4] == "home"
    checks = judged(
        world,
        [
            between,
            between | {"mostly": 0.99},
            between | {"mostly": 0.999},
            between | home,
            expect("ColumnValuesToBeNull"),
            expect("ColumnToExist"),
            expect("TableRowCountToEqual", value=ROWS),
        ],
    )
    assert [check["success"] for check in checks[:3]] == [False, True, False]
    assert checks[0]["detail"] == "4 rows: NaN or infinite in 2 rows"
    assert [check["unexpected"] for check in checks[:5]] == [4, 4, 4, int(scenes.sum()), ROWS]
    assert [check["success"] for check in checks[5:]] == [True, True]
    page = str(read_json(Workspace(world.config).docs_record(FIRST)))
    assert "4 unexpected values found." in page
    assert f"of {ROWS} total rows" in page


@pytest.mark.slow
@pytest.mark.ci
def test_columns_of_which_all_values_are_nan(world: World) -> None:
    delivered(world, {"weight": [nan] * ROWS})
    mean, between = judged(world, [KEPT[2], expect("ColumnValuesToBeBetween", min_value=0)])
    assert not mean["success"]
    assert (between["success"], between["unexpected"]) == (False, ROWS)


def lake(world: World, column: str) -> tuple[int, int]:
    """How many rows of the lake's first day have a value in a column, and how many that is NaN or
    infinite."""
    view = Lake.of(world.config)
    with duckdb.connect() as con:
        query = f"SELECT count({column}), count(*) FILTER (NOT isfinite({column})) FROM "
        given, broken = con.execute(query + view.relation([FIRST])).fetchall()[0]
        return int(given), int(broken)


ROLES = (
    *(pytest.param(name, marks=CI) for name in ("position", "propensity")),
    *("price", "stars"),
)
RANGES = {"price": [0, 100], "position": [0, 100], "propensity": [0, 100], "stars": [0, 100]}


def numbers(world: World, **severity: str) -> Ingested:
    quality = {"ranges": RANGES, "severity": severity}
    features = {"numerical": ["stars"]}
    return run(World(world.root, quality=quality, features=features), FIRST)


@pytest.mark.few(1)
@pytest.mark.parametrize("column", ROLES)
@pytest.mark.parametrize(
    "kind", [pa.float64(), pytest.param(pa.float32(), marks=CI)], ids=["double", "float"]
)
@pytest.mark.slow
@pytest.mark.ci
def test_numbers_of_roles_and_features_go_to_quarantine(
    world: World, column: str, kind: pa.DataType
) -> None:
    delivered(world, {"stars": []})
    delivered(world, {"stars": [], column: [nan, inf, -inf]}, kind)
    quality = numbers(world).quality
    assert (quality.rows, quality.rejected) == (ROWS, 3)
    (counts,) = {(row["reason"], row["rows"]) for row in quality.rejections}
    assert counts == ("number_unreadable", 3)


@pytest.mark.slow
@pytest.mark.ci
def test_a_column_that_no_role_names_is_kept_as_delivered(world: World) -> None:
    delivered(world, {"weight": [nan, inf]})
    assert run(world, FIRST).quality.rejected == 0
    assert lake(world, "d_weight") == (ROWS, 2)


@pytest.mark.slow
@pytest.mark.ci
def test_a_label_that_is_nan_is_no_label(world: World) -> None:
    delivered(world, {"click": [nan, *[0.0] * 599, *[1.0] * 600], "ordered": [0.0] * ROWS})
    quality = run(world, FIRST).quality
    assert [(row["reason"], row["rows"]) for row in quality.rejections] == [("click_label", 1)]


@pytest.mark.few(1)
@pytest.mark.parametrize("column", ROLES)
@pytest.mark.slow
@pytest.mark.ci
def test_rows_that_are_let_in_are_profiled_without_those_values(world: World, column: str) -> None:
    delivered(world, {"stars": [], column: [nan, inf, -inf]})
    quality = numbers(world, number_unreadable="off").quality
    assert (quality.rejected, quality.accepted) == (0, ROWS)
    profile = read_json(Workspace(world.config).quality_profile(FIRST))["columns"][column]
    assert profile["nulls"] == 3
    assert profile["outside"] == 0
