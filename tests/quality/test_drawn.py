"""Columns of the drawn rows are coded, and their values counted, as a query would."""

import numpy as np
import pyarrow as pa

from driftune.lake.duck import connect
from driftune.quality.drawn import coded, in_parts, most_frequent, read_drawn


def test_the_most_frequent_values_are_those_of_a_query() -> None:
    rng = np.random.default_rng(0)
    with connect() as con:
        con.execute("CREATE TABLE drawn (text VARCHAR, n DOUBLE, is_looked BOOL, is_of_user BOOL)")
        for _ in range(400):
            text, n = f"é{rng.integers(40)}", float(rng.integers(-3, 3))
            given = [text if rng.random() < 0.9 else None, n if rng.random() < 0.9 else None]
            con.execute("INSERT INTO drawn VALUES (?, ?, ?, true)", [*given, rng.random() < 0.7])
        drawn = read_drawn(con, ["text", "n"])
        for name in ("text", "n"):
            column = drawn.columns[name]
            found = most_frequent(column.values, column.counts(drawn.looked), 5)
            wanted = con.execute(
                f"SELECT {name}::VARCHAR AS text, count(*) AS rows FROM drawn "
                f"WHERE is_looked AND {name} IS NOT NULL "
                "GROUP BY 1 ORDER BY rows DESC, text LIMIT 5"
            ).fetchall()
            assert [(each.text.removesuffix(".0"), each.rows) for each in found] == [
                (text.removesuffix(".0"), rows) for text, rows in wanted
            ]


def test_nulls_alone_have_no_value() -> None:
    column = coded(pa.chunked_array([pa.array([None, None], pa.string())]))
    assert column.codes.tolist() == [-1, -1]
    assert most_frequent(column.values, column.counts(np.ones(2, dtype=bool))) == []


def test_large_days_are_read_in_parts() -> None:
    assert in_parts("abcde", 10) == ["abcde"]
    assert in_parts("abcde", 5_000_000) == ["ab", "cd", "e"]
