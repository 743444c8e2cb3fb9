"""Hostile names show as text, every link resolves, nothing comes from a network."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st

from driftune.domains import domain_key
from driftune.reports.figures import draw, intervals_spec, lines_spec
from tests.reports.records import HOSTILE, PLAIN, Site


class Reader(HTMLParser):
    """Collects tags, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.addresses += [value for name in ("href", "src") if (value := found.get(name))]
        if found.get("id"):
            self.ids.append(str(found["id"]))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def pages(site: Site) -> dict[Path, Reader]:
    """Every page of the site, read."""
    files = sorted(site.workspace.reports.rglob("*.html"))
    return {path: Reader(path.read_text(encoding="utf-8")) for path in files}


def test_every_internal_link_resolves(full_site: Site) -> None:
    home, read = full_site.workspace.reports, pages(full_site)
    for path, page in read.items():
        for address in page.addresses:
            if address.startswith(("#", "data:")):
                continue
            address, _, anchor = address.partition("#")
            target = (path.parent / address).resolve()
            if anchor:
                assert anchor in read[target].ids, f"{path.relative_to(home)}: #{anchor}"
            assert target.is_file(), f"{path.relative_to(home)}: {address}"
            assert target.is_relative_to(home)


def test_pages_need_no_network_and_have_unique_ids(full_site: Site) -> None:
    for path, page in pages(full_site).items():
        assert not [address for address in page.addresses if re.match(r"\w+://|//", address)]
        assert len(page.ids) == len(set(page.ids)), path


def test_figures_are_ones_that_plotly_takes(full_site: Site) -> None:
    kinds = set()
    for path in full_site.workspace.reports.rglob("*.html"):
        for text in re.findall(r'data-figure.*?json">(.*?)</script>', path.read_text("utf-8")):
            # A figure of it refuses unknown names and wrong values.
            figure = go.Figure(json.loads(re.sub(r'"var\(--[\w-]+\)"', '"red"', text)))
            kinds.add(len(figure.data))
    assert len(kinds) > 2


def test_hostile_names_show_as_text_and_stay_out_of_addresses(full_site: Site) -> None:
    found = pages(full_site)
    front = found[full_site.workspace.reports / "index.html"]
    for name in HOSTILE[:5]:
        assert name in front.words
    assert any(word.startswith("xxxx") and word.endswith("…") for word in front.words)
    known = {domain_key(name) for name in PLAIN + HOSTILE}
    for page in found.values():
        assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe", "object"})
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes)
            if tag == "script":
                assert attributes.get("src") or attributes.get("type") == "application/json"
        for address in page.addresses:
            if "decision/" in address or "domain/" in address:
                assert Path(address).stem in known


def test_the_site_lies_wholly_inside_the_reports_folder(full_site: Site) -> None:
    written = {path.name for path in full_site.config.root.iterdir()}
    assert written == {"params.yaml", "logs", "workspace"}


@given(name=st.text(max_size=60), value=st.one_of(st.none(), st.floats(0, 9)))
def test_no_name_breaks_out_of_a_figure(name: str, value: float | None) -> None:
    figures: list[dict[str, Any] | None] = [
        lines_spec(["2026-03-12", "2026-03-13"], [(name, [value, 1.0])]),
        intervals_spec([{"label": name, "estimate": 0.1, "low": value, "high": 0.2}]),
    ]
    for spec in figures:
        assert spec is not None
        assert "<" not in draw(spec)
