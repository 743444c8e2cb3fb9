"""Visible: signs that a terminal, a log or a page would obey, or not show, as escapes in the text.

A newline in a name would begin a log line of its own, ESC drives the terminal, and signs that turn
the direction of text show a name as another one. Letters of all scripts stay as they are.
"""

import html
import json
import re
import traceback
from types import TracebackType

# C0 and C1 controls, lone surrogates, and characters without a glyph: marks and overrides of
# direction, separators of lines, zero widths (but the joiners, which scripts and emoji need), tags.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
ErrorInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def visible(text: str, keep: str = "") -> str:
    r"""The text in one line, each sign in it that is not seen as an escape: ``\n``, ``\x1b``.

    Args:
        keep: signs that stay as they are, such as newlines in a text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: _escape(found[0], keep), text)


def plotly_text(text: str, length: int = 40) -> str:
    """Text for Plotly, which reads markup in names: visible, shortened, escaped."""
    text = visible(text)
    short = text if len(text) <= length else f"{text[: length - 1]}…"
    return html.escape(short, quote=False)


def traceback_text(error: ErrorInfo) -> str:
    """A traceback whose lines are indented: no text of an error can pass for a line of its own."""
    text = "".join(traceback.format_exception(*error)).rstrip()
    return "\n".join(f"  {visible(line)}" for line in text.split("\n"))


def _escape(sign: str, keep: str) -> str:
    if sign in keep:
        return sign
    if sign < " ":
        return _NAMED.get(sign) or f"\\x{ord(sign):02x}"
    # So that a line of JSON stays one.
    return json.dumps(sign)[1:-1]
