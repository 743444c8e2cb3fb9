"""Words: what a message says of an event, in plain text."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.drift.rules import DUE
from driftune.redact import redact

# Control signs, and those that turn the direction of text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LONGEST_NAME, _LONGEST_TEXT = 80, 600


class Message(NamedTuple):
    """A message's subject and its text, a line each for what, figures, what to do, where."""

    title: str
    body: str


def message_of(config: Config, row: Any) -> Message:
    """The message of an outbox row; names and sentences in it are one line each."""
    facts: Mapping[str, Any] = {**row.facts, "key": row.domain_key}
    name = _line(row.domain or "", _LONGEST_NAME)
    title, lines = _SAY[row.kind](name, row.day or "", facts)
    lines = [*lines, _page(config, row)]
    return Message(
        redact(f"Driftune: {title}"),
        "\n".join(redact(_line(line, _LONGEST_TEXT)) for line in lines if line),
    )


def _alert(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    rule, score = facts["rule"], facts["score"]
    figures = rule if rule in DUE or score is None else f"Drift {score:.1f}×, 1 triggers"
    held = facts["state"] == "review"
    todo = f"Approve it: driftune approve {facts['decision']}" if held else "A fine-tune follows."
    what = "waits for approval" if held else "drift"
    return f"{what}: {name}, {day}", [facts["sentence"], f"{figures}.", todo]


def _promotion(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    by = f"By {facts['who']}: {facts['reason']}"
    todo = f"To go back: driftune rollback {facts['key']}"
    lines = [f"Version {facts['version']} serves {name}.", _gain(facts), by, todo]
    return f"promoted: {name}, {day}", lines


def _rejection(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    kept = "The gate kept the champion." if facts["state"] == "rejected" else "Too little data."
    lines = [kept, _gain(facts), *facts["rules"][:3], "Nothing is to be done; look at the page."]
    return f"{facts['state']}: {name}, {day}", lines


def _rollback(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    to = f"version {facts['to']}" if facts["to"] else "the frozen base"
    lines = [
        f"Version {facts['from']} was taken back; {to} serves {name}.",
        f"By {facts['who']}: {facts['reason']}",
        f"All switches: driftune history {facts['key']}",
    ]
    return f"rolled back: {name}", lines


def _refused_day(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    todo = "The lake is as before. Deliver the day again, or mend params.yaml, and run it again."
    return f"day refused: {day}", [*facts["problems"][:5], todo]


def _kept_out(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    todo = f"To let it in: driftune quarantine release {day} --domain … --why …"
    lines = [f"{facts['rows']:,} rows of {name} are in quarantine.", *facts["reasons"][:3], todo]
    return f"domain kept out: {name}, {day}", lines


def _failure(name: str, day: str, facts: Mapping[str, Any]) -> tuple[str, list[str]]:
    about = f"{name}, {day}" if name else facts["run"]
    return f"failed: {about}", [facts["error"], f"Then: {facts['todo']}"]


_SAY: dict[str, Callable[[str, str, Mapping[str, Any]], tuple[str, list[str]]]] = {
    "alert": _alert,
    "promotion": _promotion,
    "rejection": _rejection,
    "rollback": _rollback,
    "refused_day": _refused_day,
    "kept_out": _kept_out,
    "failure": _failure,
}


def _gain(facts: Mapping[str, Any]) -> str:
    gain = facts["gain"]
    if gain is None:
        return ""
    interval = ""
    if facts["low"] is not None and facts["high"] is not None:
        interval = f" ({facts['low']:+.4f} to {facts['high']:+.4f})"
    return f"{facts['metric']} {gain:+.4f}{interval}"


def _page(config: Config, row: Any) -> str:
    """Where the review site tells of it."""
    path = "index.html"
    if row.facts.get("decision") and row.domain_key:
        path = f"decision/{row.day}/{row.domain_key}.html"
    elif row.domain_key and row.kind == "rollback":
        path = f"domain/{row.domain_key}.html"
    elif row.kind in ("refused_day", "kept_out"):
        path = f"day/{row.day}.html"
    if config.notify.site is not None:
        return f"{config.notify.site.rstrip('/')}/{path}"
    return shown_path(config, Workspace(config).reports / path)


def _line(text: str, longest: int) -> str:
    """Text in one line without control signs, cut where it is too long."""
    text = " ".join(_CONTROL.sub(" ", text).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
