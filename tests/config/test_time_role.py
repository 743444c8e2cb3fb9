"""The time's role: a column or an expression, a unit or a format."""

import pytest
from pydantic import ValidationError

from driftune.config.columns import TimeRole
from tests.anywhere import anywhere


def test_a_column_or_an_expression() -> None:
    assert TimeRole(column="shown_at", unit="ns").role == "shown_at"
    given = TimeRole(sql="day + clock")
    assert (given.role.sql, given.name) == ("day + clock", "time")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "names no time; give column: NAME, or sql: a DuckDB expression"),
        ({"column": "a", "sql": "b + c"}, "has column 'a' and sql 'b + c'; leave one out"),
        ({"column": "a", "unit": "ms", "format": "%Y%j"}, "has unit 'ms' and format '%Y%j'"),
        ({"column": "a", "format": "%d.%m.%Q"}, "%Q is no part of a time; there are %Y %y %m"),
        ({"column": "a", "format": "%d.%m.%Y %"}, "% is no part of a time"),
        ({"column": "a", "format": "%H:%M"}, "must name the day: a year"),
        ({"column": "a", "format": "%Y-%m"}, "must name the day: a year"),
        ({"column": "a", "format": "dd.mm.yyyy"}, "must name the day: a year"),
        ({"column": "a", "format": ""}, "must name the day: a year"),
        ({"column": "a", "format": "%d.%m.%Y %I:%M"}, "%I needs %p"),
        ({"column": "a", "format": "%d.%m.%Y %Z"}, "%Z is no part of a time"),
        ({"column": "a", "unit": "hours"}, "'timestamp', 's', 'ms', 'us' or 'ns'"),
    ],
)
def test_what_does_not_go_together(given: dict[str, str], wanted: str) -> None:
    with pytest.raises(ValidationError) as error:
        TimeRole.model_validate(given)
    (problem,) = error.value.errors()
    assert wanted in problem["msg"]
    assert "\n" not in problem["msg"]


def test_what_a_format_may_have_duckdb_reads() -> None:
    every = "%Y-%m-%d %j %H %I %p %M %S %f %a %A %b %B %y %z %% %-d %-m %-H %-M %-S %-I %-j %-y"
    assert TimeRole(column="a", format=every).format == every
    finer = ("%Y-%m-%d %H:%M:%S.%g", "%Y-%m-%d %H:%M:%S.%n")
    with anywhere() as con:
        for form in (every, *finer):
            moment = "TIMESTAMPTZ '2026-03-08 13:05:07.123'"
            text = f"strftime({moment}, '{form}')"
            ((same,),) = con.execute(f"SELECT strptime({text}, '{form}') = {moment}").fetchall()
            assert same, form
