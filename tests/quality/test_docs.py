"""Data Docs: what Great Expectations says, as plain values and as a page that escapes them."""

import json
from datetime import date

import pytest

from driftune.config.workspace import Workspace
from driftune.intake.ingest import check, domains_for
from driftune.intake.stage import stage
from driftune.io import read_json
from driftune.lake.scratch import scratch
from driftune.lake.source import fetch
from driftune.quality.docs import sections
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from tests.conftest import World, impressions

HOSTILE = "<script>alert(1)</script>"


def broken_day(world: World) -> date:
    """A day with a hostile domain, missing users and impossible labels, validated."""
    day = world.day(3)
    frame = impressions(day)
    frame.loc[:5, "scene"] = HOSTILE
    frame.loc[6:8, "click"] = 7
    frame.loc[10:20, "user_id"] = None
    world.write(day, frame)
    config = world.config
    with scratch(config, day) as folder:
        staged = stage(
            config, fetch(config, day, folder), domains_for(config, day), folder / "day.duckdb"
        )
        check(config, staged)
    return day


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_s_docs_name_what_broke(ingested_world: World) -> None:
    day = broken_day(ingested_world)
    found = {
        section["title"]: section["tables"]
        for section in read_json(Workspace(ingested_world.config).docs_record(day))
    }
    ((status, sentence, observed),) = found["user_id"][0]["rows"]
    assert status == [{"status": "broken"}]
    assert {"text": "values must never be null."} in sentence
    assert {"text": "11 unexpected values found. ≈0.9167% of 1200 total rows."} in sentence
    assert observed == [{"text": "≈99.083% not null"}]
    (nested,) = [part["table"] for part in sentence if "table" in part]
    assert nested["rows"] == [[[{"text": "null"}], [{"text": "11"}]]]
    labels = found["click_label"][0]["rows"]
    assert labels[0][0] == [{"status": "broken"}]
    assert found["item_id"][0]["rows"][0][0] == [{"status": "passed"}]


@pytest.mark.slow
@pytest.mark.ci
def test_the_page_escapes_names_and_needs_no_network(ingested_world: World) -> None:
    day = broken_day(ingested_world)
    with Ledger(ingested_world.config) as ledger:
        home = build_site(ingested_world.config, ledger).parent
    text = (home / "data_docs" / f"{day}.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE not in text
    assert "http://" not in text and "https://" not in text
    assert f'href="../day/{day}.html"' in text
    assert f"data_docs/{day}.html" in (home / "day" / f"{day}.html").read_text(encoding="utf-8")


def test_unknown_blocks_are_passed_over() -> None:
    graph = {"content_block_type": "graph", "graph": {"mark": "bar"}}
    bullets = {"content_block_type": "bulleted_list", "bulleted_list": ["one"]}
    odd = {
        "content_block_type": "table",
        "table": [[graph, None, 3, [float("nan")], {"string_template": {"template": "$a $b"}}]],
    }
    found = sections({"sections": [{"content_blocks": [graph, bullets, odd]}, {}]})
    assert found == [
        {
            "title": "",
            "tables": [
                {
                    "title": "",
                    "head": [],
                    "rows": [[[], [], [{"text": "3"}], [{"text": "nan"}], [{"text": "$a $b"}]]],
                }
            ],
        }
    ]
    assert json.dumps(found, allow_nan=False)
    assert sections({}) == []
