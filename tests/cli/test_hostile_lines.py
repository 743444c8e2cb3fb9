"""Hostile values on the terminal: each command's lines are its own, and nothing drives it."""

import json
import re
from collections.abc import Callable

import pytest

from driftune.io import write_json
from driftune.quality.released import Entry, keep
from driftune.registry.ledger import Ledger
from driftune.visible import visible
from tests.conftest import Ended, World
from tests.hostile import DELIVERED
from tests.reports.records import FIRST, Site

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]")
# Those that a terminal or rich might obey: a table of all of them is laid out for seconds.
KINDS = tuple(
    value for value in DELIVERED if len(value) < 300 and (visible(value) != value or "[" in value)
)


@pytest.fixture
def told(make_world: Callable[..., World]) -> World:
    """A ledger and records whose names, reasons and reviewers are hostile."""
    world = make_world()
    with Ledger(world.config) as ledger:
        site = Site(world.config, ledger)
        rejections = [
            {"file": value, "reason": "click_label", "column": value, "domain": value, "rows": 1}
            for value in DELIVERED
        ]
        site.day(FIRST, KINDS, "warning", rejections=rejections)
        entries = [
            Entry(at="2026-03-14", by=value, why=value, reasons=[], domains=[value])
            for value in DELIVERED
        ]
        keep(site.workspace, FIRST, entries)
        for value in KINDS:
            made = site.decide(value, FIRST, "review", 1.8, sentence=f"Drifted: {value}")
            site.promote(value, made, 1, who=value)
    return world


def test_every_line_is_the_command_s_own(
    driftune: Callable[..., Ended], told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20000")
    config = ("--config", str(told.params))
    status = driftune("status", *config)
    shown = driftune("quarantine", "show", str(FIRST), *config)
    waiting = driftune("approve", "--list", *config)
    history = [driftune("history", value, *config) for value in KINDS if value[0] != "-"]
    for done in (status, shown, waiting, *history):
        assert not OBEYED.search(done.out + done.err)
    for value in KINDS:
        assert visible(value).strip() in status.out and visible(value) in waiting.out
    assert len(waiting.out.splitlines()) == len(KINDS)
    # What it holds, a line for each count, and one for each release.
    assert len(shown.out.splitlines()) == 1 + 2 * len(DELIVERED)
    for value in DELIVERED:
        assert visible(value) in shown.out
    found = json.loads(driftune("status", *config, "--json").out)
    assert sorted(row["domain"] for row in found["domains"]) == sorted(KINDS)


@pytest.mark.parametrize("value", [value for value in KINDS if value[0] != "-"][::6])
def test_an_error_that_names_a_value_is_one_line(
    driftune: Callable[..., Ended], told: World, value: str
) -> None:
    done = driftune("rollback", f"{value}?", "--config", str(told.params))
    assert done.code == 1
    assert not OBEYED.search(done.err) and len(done.err.splitlines()) == 1


def test_a_file_with_hostile_keys_is_told_in_one_line(
    driftune: Callable[..., Ended], world: World
) -> None:
    for value in KINDS:
        write_json(world.params, {value: value})
        done = driftune("status", "--config", str(world.params))
        assert done.code == 1
        assert not OBEYED.search(done.err) and len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--config"),
        ("simulate", "--to"),
        ("import", "kuairand", "--to", "x"),
        ("erase", "--users-file"),
    ],
)
def test_a_path_that_is_too_long_is_one_line(
    driftune: Callable[..., Ended], world: World, arguments: tuple[str, ...]
) -> None:
    done = driftune(*arguments, "x" * 6000, folder=world.root)
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("error: ") and len(done.err.splitlines()) == 1
    assert "too long" in done.err.lower()


def test_a_full_disk_is_one_line_before_the_run(
    driftune: Callable[..., Ended], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftune.cli.flow_runs.ROOM", 2**60)
    done = driftune("run", "--day", str(world.day(3)), "--config", str(world.params))
    assert done.code == 1
    assert re.fullmatch(r"error: workspace: .* MB are free in .*; free some .*\n", done.err)
