"""Lists by their paths: as Parquet, JSON, Python and separators write them."""

from typing import Any

import pytest

from driftune.lake.lists.clicks import At, Ids, Suffix
from driftune.lake.lists.paths import NoListError, find_list
from tests.anywhere import anywhere


def elements(value: str, path: str, separator: str | None = None, *, alone: bool = False) -> Any:
    """What the list of a path gives for a row with one column ``x`` (SQL)."""
    with anywhere() as con:
        con.execute(f"CREATE TABLE t AS SELECT {value} AS x")
        found = con.sql("FROM t LIMIT 0")
        types = dict(zip(found.columns, found.types, strict=True))
        listed = find_list(path, types, separator, alone=alone)
        each = f"list_transform({listed.sql}, lambda e: {listed.field('e')})"
        ((values,),) = con.execute(f"SELECT {each} FROM t").fetchall()
    return values


@pytest.mark.parametrize(
    ("value", "path", "separator", "wanted"),
    [
        ("[1, NULL, 3]", "x", None, [1, None, 3]),
        ("[1, 2]::INT[2]", "x", None, [1, 2]),
        ("[{'id': 'a', 'at': {'n': 1}}]", "x.at.n", None, [1]),
        ("{'shown': [{'id': 'a'}, {'id': 'b'}]}", "x.shown.id", None, ["a", "b"]),
        ("'a|b||d'", "x", "|", ["a", "b", "", "d"]),
        ("' a  b '", "x", " ", ["a", "b"]),
        ("'New York\tParis'", "x", "\t", ["New York", "Paris"]),
        ("'1\t\t3'", "x", "\t", ["1", "", "3"]),
        ("'[a]|[b]'", "x", "|", ["[a]", "[b]"]),
        ("'[a|b]'", "x", "|", ["a", "b"]),
        ('\'["a, b", "c"]\'', "x", None, ["a, b", "c"]),
        ('\'[{"id": 7, "k": "v"}]\'', "x.id", None, ["7"]),
        ('\'[{"a\\"b": 7}]\'', 'x.a"b', None, ["7"]),
        ("'[''a, b'', ''c'', '''']'", "x", None, ["a, b", "c", ""]),
        ("'[''a'' ''b c'']'", "x", None, ["a", "b c"]),
        ("'[1 2 3]'", "x", None, ["1", "2", "3"]),
        ("'[None, ''c'', nan]'", "x", None, [None, "c", None]),
        ("'[]'", "x", None, None),
        ("''", "x", " ", None),
    ],
)
def test_a_list_is_what_was_written(
    value: str, path: str, separator: str | None, wanted: list[Any] | None
) -> None:
    assert (elements(value, path, separator) or None) == wanted


@pytest.mark.parametrize(
    ("value", "path", "why"),
    [
        ("7", "x", "is INTEGER, and no list or text"),
        ("[1]", "x.id", "has no field 'id' there"),
        ("{'a': [1]}", "x.b", "has no field 'b' there"),
        ("[1]", "y", "is missing; the day has x"),
    ],
)
def test_a_path_that_leads_to_no_list_says_why(value: str, path: str, why: str) -> None:
    with pytest.raises(NoListError, match=why):
        elements(value, path)


def clicked(shown: str, says: str, how: str) -> tuple[list[int | None], bool]:
    """The labels of a list (SQL), by a column that says its clicks, and whether one is outside."""
    with anywhere() as con:
        con.execute(f"CREATE TABLE t AS SELECT {shown} AS m, {says} AS says")
        found = con.sql("FROM t LIMIT 0")
        types = dict(zip(found.columns, found.types, strict=True))
        first = find_list("m", types, None)
        source = find_list("says", types, None, alone=True)
        clicks = Ids(source, first) if how == "ids" else At(source, first, int(how))
        rows = con.execute(
            f"SELECT {clicks.label('element')}, {clicks.outside} FROM (SELECT *, "
            f"{clicks.marks} AS _driftune_marks, unnest({first.sql}) AS element, "
            f"unnest(range(1, len({first.sql}) + 1)) AS list_place FROM t)"
        ).fetchall()
    return [label for label, _ in rows], rows[0][1]


@pytest.mark.parametrize(
    ("shown", "says", "how", "labels", "outside"),
    [
        ("[7, 8, 9]", "[8]", "ids", [0, 1, 0], False),
        ("[7, 8, 9]::BIGINT[]", "8::DOUBLE", "ids", [0, 1, 0], False),
        ("[7.0, 8.5]::DOUBLE[]", "[7]::INT[]", "ids", [1, 0], False),
        ("['a', 'b']", "'b'", "ids", [0, 1], False),
        ("['a', 'b']", '\'["b", "c"]\'', "ids", [0, 1], True),
        ("['a', 'b']", "NULL::VARCHAR", "ids", [0, 0], False),
        ("['a', 'b']", "1", "1", [1, 0], False),
        ("['a', 'b']", "1", "0", [0, 1], False),
        ("['a', 'b']", "'[0, 1]'", "0", [1, 1], False),
        ("['a', 'b']", "-1", "0", [0, 0], False),
        ("['a', 'b']", "0", "1", [0, 0], False),
        ("['a', 'b']", "3", "1", [0, 0], True),
        ("['a', 'b']", "1.6", "1", [None, None], False),
        ("['a', 'b']", "'first'", "1", [None, None], False),
    ],
)
def test_the_clicks_of_a_list(
    shown: str, says: str, how: str, labels: list[int | None], outside: bool
) -> None:
    assert clicked(shown, says, how) == (labels, outside)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("m", [("N-1", "0"), ("N2", None), (None, "1")]), ("n", [("3", None)])],
)
def test_the_last_sign_stands_before_the_label(path: str, wanted: list[Any]) -> None:
    with anywhere() as con:
        con.execute("CREATE TABLE t AS SELECT ['N-1-0', 'N2', '-1'] AS m, [3] AS n")
        found = con.sql("FROM t LIMIT 0")
        types = dict(zip(found.columns, found.types, strict=True))
        clicks = Suffix("-", find_list(path, types, None))
        selected = f"{clicks.shown('e')}, {clicks.label('e')}"
        query = f"SELECT {selected} FROM (SELECT unnest({path}) AS e FROM t)"
        assert con.execute(query).fetchall() == wanted
