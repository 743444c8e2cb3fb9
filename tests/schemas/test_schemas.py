"""Any log by configuration: from files to drift states and pages, for logs of every shape."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.deployment.roles import see_roles
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.pages import write_pages
from driftune.drift.windows import draw_windows
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.proposal.propose import propose
from driftune.registry.ledger import Ledger
from driftune.registry.records.states import State
from driftune.reports.site import build_site
from driftune.training.pretrain import pretrain
from tests.anywhere import anywhere
from tests.conftest import FIRST
from tests.marks import CI
from tests.schemas.logs import SCHEMAS, Schema

# What costs most, or shows least that the others do not.
COSTLY = ("many domains", "labels that come late", "a domain by price")
JUDGED = (State.STABLE, State.WATCHED)
# Small models, and limits that days of some hundred rows reach.
SMALL: dict[str, Any] = {
    "drift": {"min_rows": 200, "min_clicks": 30, "html": "never"},
    "backbone": {"hidden": [8], "epochs": 2, "embedding": 4},
    "quality": {"max_silence_hours": 24},
}


def configured(schema: Schema, root: Path) -> Config:
    """The params.yaml of a log's files: as ``init`` proposes it, or as it is given."""
    if schema.answers is None:
        params = dict(schema.params)
    else:
        proposal = propose([root / "logs"], root).answered(schema.answers)
        assert not proposal.lacking
        params = yaml.safe_load(proposal.text("UTC"))
    last = FIRST + timedelta(days=schema.reference - 1)
    params["reference"] = {"first": str(FIRST), "last": str(last), "holdout": 0.2}
    for section, values in SMALL.items():
        params[section] = {**params.get(section, {}), **values}
    path = root / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    return load_config(path, env={})


def decided(config: Config, ledger: Ledger, day: date) -> dict[str, str]:
    """Take a day in and decide its domains; their states."""
    ingest(config, ledger, day)
    windows = draw_windows(config, ledger, day)
    decide_day(config, ledger, windows, [measure_domain(config, window) for window in windows])
    write_pages(config, ledger, day)
    return {row.domain: row.state for row in ledger.decisions() if row.day == str(day)}


def _marks(schema: Schema) -> Any:
    return CI if schema.name in COSTLY else ()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "schema", [pytest.param(each, id=each.name, marks=_marks(each)) for each in SCHEMAS]
)
def test_a_log_of_this_shape_is_watched(schema: Schema, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    days = [FIRST + timedelta(days=number) for number in range(schema.reference + schema.later)]
    written = {day: schema.write(tmp_path / "logs", day) for day in days}
    config = configured(schema, tmp_path)
    assert {each["what"]: each["ok"] for each in see_roles(config).findings if not each["ok"]} == {}
    with Ledger(config) as ledger:
        pretrain(config, ledger)
        each = [decided(config, ledger, day) for day in days[schema.reference :]]
        states = each[-1]
        page = build_site(config, ledger)
    # Every impression is a row, and every click one.
    for day, frame in written.items():
        with anywhere() as con:
            delivered = "NOT drawn" if schema.drawn else "true"
            ((rows, clicks, others),) = con.execute(
                f"SELECT count(*) FILTER ({delivered}), sum(click)::BIGINT, "
                f"count(*) FILTER (NOT {delivered}) FROM {Lake.of(config).relation([day])}"
            ).fetchall()
        assert (rows, clicks) == (len(frame), frame["click"].sum())
        assert (others > 0) == schema.drawn
    # Days that are alike are stable; small domains, and days without history, are said to be so.
    assert all({*early.values()} == {State.INSUFFICIENT.value} for early in each[:-1])
    assert set(schema.domains) <= set(states)
    for domain in schema.domains:
        assert State.read(states[domain]) in JUDGED, (domain, states[domain])
    small = {domain: state for domain, state in states.items() if domain not in schema.domains}
    assert set(small.values()) <= {State.INSUFFICIENT.value}
    assert len(small) == schema.small
    text = page.read_text(encoding="utf-8")
    assert str(days[-1]) in text
    assert "Traceback" not in text
