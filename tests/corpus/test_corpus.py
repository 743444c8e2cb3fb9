"""Every file of the corpus arrives value by value, or is refused in the line that is to be said."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.errors import SourceError
from driftune.intake.stage import stage
from driftune.lake.duck import connect, identifier
from driftune.lake.source import fetch
from tests.conftest import FIRST, World
from tests.corpus.table import cases
from tests.corpus.written import Case

Make = Callable[..., World]
ALL = cases(FIRST)


@pytest.mark.few(6)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in ALL])
def test_what_was_delivered_arrives(make_world: Make, tmp_path: Path, case: Case) -> None:
    domain = ["scene", "region"]
    world = make_world(
        source={"uri": f"logs/{case.file}"} | case.source,
        columns={"domain": domain, "position": None, "propensity": None} | case.columns,
        features={"categorical": [], "numerical": []},
        quality={"max_rejected_share": 0.7 if case.quarantined else 0.2},
    )
    path = world.root / "logs" / case.file.format(day=FIRST)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(case.content, pa.Table):
        pq.write_table(case.content, path)
    else:
        path.write_bytes(case.content)
    fetched = lambda: fetch(world.config, FIRST, tmp_path / "remote")  # noqa: E731
    database = tmp_path / "scratch" / "day.duckdb"
    if case.says:
        with pytest.raises(SourceError) as error:
            stage(world.config, fetched(), None, database)
        assert re.search(case.says, str(error.value)), str(error.value)
        assert "\n" not in str(error.value)
        return
    staged = stage(world.config, fetched(), None, database)
    with connect(database, reach=staged.reach) as con:
        found = con.execute(
            f"SELECT {identifier(case.column)} FROM staged WHERE rejected = 0 ORDER BY row_id"
        ).fetchall()
        reasons = con.execute(
            "SELECT reasons, sum(n)::BIGINT FROM tally WHERE rejected GROUP BY 1"
        ).fetchall()
    assert [value for (value,) in found] == case.values
    assert dict(reasons) == case.quarantined
    assert {*case.said} <= {change.rule for change in staged.evolution.changes}


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    names = [case.name for case in ALL]
    assert len(set(names)) == len(names)
    assert len(names) >= 150
