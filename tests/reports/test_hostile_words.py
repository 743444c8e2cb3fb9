"""Hostile values in what is told elsewhere: Prefect's artifacts, and messages."""

import re
from datetime import timedelta

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from driftune.notify.words import message_of
from driftune.quality.record import read_quality
from driftune.registry.rows import Message
from driftune.reports.artifacts import day_summary, day_table, plain
from driftune.reports.summary import day_rows
from driftune.visible import visible
from tests.conftest import World
from tests.hostile import DELIVERED, VALUES
from tests.reports.records import FIRST, Site

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]")
# What a reader of markdown may make of an address that stands bare.
ADDRESS = re.compile(r"https?://|www\.|[\w.]@[\w.]", re.IGNORECASE)


def read(text: str) -> list[Token]:
    """All tokens of a document in markdown, by a reader that lets markup and any link through."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    reader.validateLink = lambda _: True  # type: ignore[method-assign]  # as its docs have it
    return leaves(reader.parse(text))


def leaves(tokens: list[Token]) -> list[Token]:
    """All tokens of a document, those inside others too."""
    return [each for token in tokens for each in (token, *leaves(token.children or []))]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_is_text_in_markdown(value: str) -> None:
    source = f"- [{plain(value)}](file:///page.html): promoted"
    found = read(source)
    # One item of a list with one link in it, whose text is the value.
    kinds = {token.type for token in found}
    assert kinds <= {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
        "paragraph_open", "paragraph_close", "inline", "text", "text_special", "link_open",
        "link_close",
    }  # fmt: skip
    links = [token.attrs for token in found if token.type == "link_open"]
    assert links == [{"href": "file:///page.html"}]
    text = "".join(token.content for token in found if token.type in ("text", "text_special"))
    assert text == f"{' '.join(visible(value).split())}: promoted"
    assert not ADDRESS.search(plain(value))


def test_the_day_s_artifacts_hold_values_as_text(site: Site) -> None:
    day = FIRST + timedelta(days=1)
    rejections = [
        {"file": value, "reason": value, "column": value, "domain": value, "rows": 1}
        for value in DELIVERED
    ]
    checks = [
        {"rule": value, "severity": "warning", "sentence": value, "success": False,
         "unexpected": 3, "observed": None}
        for value in DELIVERED
    ]  # fmt: skip
    site.day(day, DELIVERED, "warning", rejections=rejections, checks=checks)
    for value in DELIVERED:
        site.decide(value, day, "failed", 1.8, sentence=value, note=value)
    quality, rows = read_quality(site.workspace, day), day_rows(site.ledger, day)
    text = day_summary(day, quality, rows, site.workspace.reports)
    found = read(text)
    assert not {token.type for token in found} & {"html_block", "html_inline", "image", "fence"}
    links = [str(token.attrs["href"]) for token in found if token.type == "link_open"]
    assert len(links) >= len(DELIVERED) and all(each.startswith("file:///") for each in links)
    assert not OBEYED.search(text)
    for row in day_table(quality, rows, site.workspace.reports):
        assert not OBEYED.search("".join(str(cell) for cell in row.values()))


def test_each_value_is_text_in_one_line_of_a_message(world: World) -> None:
    for value in VALUES:
        row = Message(
            id="1",
            kind="alert",
            domain=value,
            domain_key="key",
            day="2026-03-12",
            facts={"rule": value, "score": None, "state": "review", "decision": "id",
                   "sentence": value},
            delivered=[],
            queued_at=0.0,
            lease_until=None,
            sent_at=None,
        )  # fmt: skip
        message = message_of(world.config, row)
        assert not OBEYED.search(message.title + message.body)
        assert "\n" not in message.title and len(message.body.split("\n")) == 4
        start = " ".join(visible(value).split())[:60].strip()
        assert start in message.title and start in message.body
