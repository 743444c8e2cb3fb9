"""Domains of several columns: one name for each list of parts, and the parts of a name."""

from itertools import product
from pathlib import Path

import pytest

from driftune.config import Config
from driftune.lake import roles
from driftune.lake.duck import connect
from tests.conftest import World

PARTS = ("a", "·", "a ·", "· a", "a · a", "· ·", r"\·", r"a \·", r"\\· a", "a·a", "\\", "a  ·  a")


def two_columns(folder: Path) -> Config:
    return World(folder, columns={"domain": ["scene", "region"]}).config


def test_no_two_lists_of_parts_make_one_domain(tmp_path: Path) -> None:
    config = two_columns(tmp_path)
    domain = roles.domain_expression(config)
    pairs = list(product(PARTS, PARTS))
    with connect() as con:
        con.execute("CREATE TABLE raw (scene VARCHAR, region VARCHAR)")
        con.executemany("INSERT INTO raw VALUES (?, ?)", pairs)
        found = con.execute(
            f"SELECT name, {roles.domain_part('name', 1)}, {roles.domain_part('name', 2)} "
            f"FROM (SELECT {domain} AS name FROM raw)"
        ).fetchall()
    assert len({name for name, *_ in found}) == len(pairs)
    assert [(scene, region) for _, scene, region in found] == pairs


@pytest.mark.parametrize("part", ["a", "a·a", "·a", "\\", "a\\", "a \\ a", "a  a", "a - a"])
def test_a_part_without_a_dot_that_stands_alone_is_written_as_it_is(
    tmp_path: Path, part: str
) -> None:
    with connect() as con:
        ((found,),) = con.execute(
            f"SELECT {roles.domain_expression(two_columns(tmp_path))} "
            "FROM (SELECT $1 AS scene, 'north' AS region)",
            [part],
        ).fetchall()
    assert found == f"{part} · north"
