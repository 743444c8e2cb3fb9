"""The terminal: log lines once, levels as they were, errors in one line."""

import logging

import pytest

from driftune.cli import console
from driftune.progress import LOGGER, report


def test_log_lines_are_printed_once_whatever_the_root_logger_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import sys

    root = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(root)
    try:
        with console.progress():
            logging.getLogger("driftune").info("a day with [brackets] and a long line " * 9)
            report("work", 1, 2)
            report("work", 2, 2)
    finally:
        logging.getLogger().removeHandler(root)
    printed = capsys.readouterr().err
    assert len(printed.strip().splitlines()) == 1
    assert printed.count("[brackets]") == 9


def test_loggers_are_left_as_they_were() -> None:
    loggers = [logging.getLogger(name) for name in ("driftune", LOGGER)]
    before = [(one.level, one.propagate, list(one.handlers)) for one in loggers]
    with pytest.raises(RuntimeError), console.progress():
        raise RuntimeError
    assert [(one.level, one.propagate, list(one.handlers)) for one in loggers] == before


@pytest.mark.parametrize("debug", [True, False])
def test_where_a_program_crashed_is_shown_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], debug: bool
) -> None:
    console.show_debug(debug)
    try:
        with console.progress():
            logging.getLogger("driftune").error("home: it failed")
            try:
                raise ZeroDivisionError("a slip")
            except ZeroDivisionError as error:
                logging.getLogger("driftune").debug("home: where", exc_info=error)
    finally:
        console.show_debug(False)
    printed = capsys.readouterr().err
    assert printed.startswith("home: it failed\n")
    assert ("Traceback" in printed and "ZeroDivisionError: a slip" in printed) == debug


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.fail("first [red]line\nsecond   line")
    assert capsys.readouterr().err == "error: first [red]line second line\n"


def test_the_status_shows_hostile_names_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    row: dict[str, object] = {
        "champion": 2,
        "since": None,
        "day": "2026-03-05",
        "drift": 1.25,
        "state": "pending",
    }
    row |= {"stale": None, "champion_stale": None, "champion_weak": None, "why": "Moved."}
    console.show_status([{"domain": "[bold]x[/bold]", **row}])
    printed = capsys.readouterr().out
    assert "[bold]x[/bold]" in printed
    assert "v2" in printed and "1.25×" in printed
