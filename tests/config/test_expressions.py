"""SQL of params.yaml: one expression over the columns of a row, refused before anything runs."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from driftune.config.expressions import refused_expressions
from driftune.errors import ConfigError
from tests.conftest import World

PLAIN = """
clicked * ordered
'shop ' || user_id
coalesce(user_id, 'nobody')
context.city
items[1].price
{'a': 1}.a
shown_at::TIMESTAMP
try_cast(price AS DOUBLE)
CASE WHEN a IN (1, 2) THEN NULL ELSE a // 2 END
a IS NOT DISTINCT FROM b AND NOT c OR d BETWEEN 1 AND 2
list_transform(l, lambda x: x + 1)
[x * 2 for x in l if x > 1]
(SELECT max(x) FROM unnest(l) t(x))
(SELECT sum(x) FROM (SELECT unnest(l) AS x))
exists(SELECT 1 FROM unnest(l) t(x) WHERE x = a)
a = ANY(l)
j->>'$.a'
json_extract_string(j, '$.a')
extract(year FROM t) + date_part('month', t)
t AT TIME ZONE 'Europe/Berlin' - INTERVAL 1 DAY
a ILIKE 'x%' OR a SIMILAR TO 'x.*' OR a GLOB 'b*'
regexp_extract(a, '(.)', 1)
trim(both ' ' from a)
a COLLATE nocase
row_number() OVER (PARTITION BY r ORDER BY t)
sum(a) OVER (PARTITION BY r)
list_sum(l) + len(l)
a.upper()
now() - t
a /* of the shop */ + b
"my ""col"" · %(a)s" || 'it''s; -- FROM'
""".strip().splitlines()

REFUSED = {
    "unnest(items)": "calls unnest, which makes several rows of one: source.explode does",
    "lower(generate_subscripts(a, 1))": "which makes several rows of one",
    "": "is no expression",
    "a AS b": "a name or a comment follows it",
    "1, 2": "holds 2 expressions",
    "1) , (2": "is no expression",
    "1) + (2": "is no expression",
    "1) FROM read_csv('x'": "is no expression",
    "1); COPY (SELECT 1) TO 'x'; SELECT (1": "is no expression",
    "a; ATTACH 'x'": "is no expression",
    "a;": "follows it",
    "a -- note": "a comment follows it",
    "a /* note": "unterminated",
    "a FROM t": "clauses of its own",
    "a UNION SELECT 1": "clauses of its own",
    "DISTINCT a": "clauses of its own",
    "*": "several columns",
    "COLUMNS('a.*')": "several columns",
    "?": "a parameter",
    "#1": "by its place",
    "sum(a)": "calls sum, which makes one row of many",
    "count(*)": "calls count_star, which makes one row of many",
    "getenv('HOME')": "calls getenv",
    "main.current_setting('x')": "calls current_setting",
    "list_transform(l, lambda x: current_setting(x))": "calls current_setting",
    "sum(getvariable('x')) OVER ()": "calls getvariable",
    "sleep_ms(1000)": "calls sleep_ms",
    "random()": "calls random",
    "nextval('s')": "calls nextval",
    "json_serialize_plan('SELECT 1')": "calls json_serialize_plan",
    "lower((SELECT content FROM read_text('/etc/passwd')))": "selects from read_text",
    "(SELECT 1 FROM '/etc/passwd')": "selects from /etc/passwd",
    "(SELECT 1 FROM (SELECT * FROM glob('*')))": "selects from glob",
    "(SELECT 1 FROM unnest(l) JOIN read_csv('x') ON true)": "selects from read_csv",
    "(WITH q AS (SELECT * FROM read_csv('x')) FROM q)": "selects from q",
    "(SELECT 1 UNION ALL SELECT 1 FROM raw)": "selects from raw",
    "(FROM query('SELECT 1'))": "selects from query",
    "exists(FROM duckdb_secrets())": "selects from duckdb_secrets",
    "(DESCRIBE raw)": "selects from",
    "(" * 5000 + "1" + ")" * 5000: "is no expression",
}


def test_an_expression_over_a_row_is_allowed() -> None:
    assert refused_expressions({sql: sql for sql in PLAIN}) == {}


def test_anything_else_is_refused_and_named() -> None:
    found = refused_expressions({sql: sql for sql in REFUSED})
    assert {sql[:60]: REFUSED[sql] in found.get(sql, "allowed") for sql in REFUSED} == {
        sql[:60]: True for sql in REFUSED
    }
    assert all("\n" not in line and "write one expression" in line for line in found.values())


def test_each_role_is_refused_in_one_line(make_world: Callable[..., World]) -> None:
    broken = "1); COPY (SELECT 1) TO 'x'; SELECT (1"
    world = make_world(columns={"user": {"sql": broken}, "time": {"sql": "sum(t)", "unit": "s"}})
    with pytest.raises(ConfigError) as refused:
        _ = world.config
    line = str(refused.value)
    assert f'params.yaml: columns.user.sql = "{broken}": is no expression' in line
    assert "columns.time.sql = 'sum(t)': calls sum" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (
            {"expectation": "ExpectQueryResultsToMatchComparison", "base_query": "SELECT 1"},
            "runs queries of its own",
        ),
        (
            {"expectation": "ExpectColumnToExist", "column": "%(a)s"},
            "takes '%(a)s' for a parameter",
        ),
    ],
)
def test_expectations_with_statements_of_their_own_are_refused(
    make_world: Callable[..., World], extra: dict[str, str], why: str
) -> None:
    world = make_world(quality={"extra": [{**extra, "sentence": "It holds."}]})
    with pytest.raises(ConfigError, match=r"quality\.extra\.0") as refused:
        _ = world.config
    assert why in str(refused.value)


@pytest.mark.slow
@pytest.mark.ci
def test_duckdb_is_loaded_only_for_expressions(make_world: Callable[..., World]) -> None:
    world = make_world()
    script = (
        "import sys; from driftune.config.loading import load_config; "
        f"load_config({str(world.params)!r}); sys.exit('duckdb' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], env=os.environ, check=False).returncode == 0
    )
