"""Visible text: one line of signs that are seen; a terminal and a log obey nothing in it."""

import json
import logging
import re
import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.errors import DriftuneError
from driftune.observe.logs import structured
from driftune.redact import guard_logs
from driftune.visible import plotly_text, visible
from tests.hostile import VALUES

OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c\ud800-\udfff]")


@given(st.text(st.characters(), max_size=60))
def test_what_is_shown_is_one_line_that_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert not OBEYED.search(shown)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    shown.encode()


@given(st.text(max_size=60))
def test_letters_of_all_scripts_stay(text: str) -> None:
    letters = "".join(sign for sign in text if unicodedata.category(sign)[0] in "LNPSM")
    assert visible(letters) == letters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x1b[31m\x00\x07", r"\x1b[31m\x00\x07"),
        ("\x7f\x9b1m", r"\u007f\u009b1m"),
        ("abc\u202egnp", r"abc\u202egnp"),
        ("half \ud800", r"half \ud800"),
        ("tag \U000e0041", r"tag \udb40\udc41"),
        ("👩\u200d🍳 नमस्ते", "👩\u200d🍳 नमस्ते"),
    ],
)
def test_signs_are_shown_as_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_line_of_json_stays_json() -> None:
    for value in VALUES:
        line = visible(json.dumps({"domain": value}, ensure_ascii=False))
        assert json.loads(line) == {"domain": value}


def test_text_for_plotly_holds_no_markup() -> None:
    for value in VALUES:
        assert "<" not in plotly_text(value) and len(plotly_text(value)) <= 200


def test_each_value_is_one_line_of_an_error_and_of_a_log() -> None:
    guard_logs()
    plain, lines = StringIO(), StringIO()
    handlers = [logging.StreamHandler(plain), structured(logging.StreamHandler(lines))]
    log = logging.getLogger("driftune")
    for handler in handlers:
        log.addHandler(handler)
    try:
        for value in VALUES:
            assert not OBEYED.search(str(DriftuneError(f"domain '{value}' is not known")))
            log.error("domain '%s' is not known", value)
    finally:
        for handler in handlers:
            log.removeHandler(handler)
    shown = [f"domain '{visible(value)}' is not known" for value in VALUES]
    assert plain.getvalue().split("\n") == [*shown, ""]
    found = [json.loads(line)["message"] for line in lines.getvalue().split("\n") if line]
    assert found == shown


def test_no_line_of_a_traceback_passes_for_a_line_of_the_log() -> None:
    guard_logs()
    stream = StringIO()
    handler, log = logging.StreamHandler(stream), logging.getLogger("driftune")
    log.addHandler(handler)
    try:
        raise ValueError("no such domain: a\nERROR all is lost\x1b[2J")
    except ValueError:
        log.exception("failed")
    finally:
        log.removeHandler(handler)
    first, *others = stream.getvalue().rstrip("\n").split("\n")
    assert first == "failed" and all(line.startswith("  ") for line in others)
    assert r"\x1b[2J" in others[-1] and not OBEYED.search("".join(others))
