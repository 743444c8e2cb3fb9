"""Words: what a message says of an event, in plain text."""

from collections.abc import Callable
from typing import NamedTuple

from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.drift.rules import DUE
from driftune.redact import redact
from driftune.registry.rows import Message as Queued
from driftune.registry.rows import MessageFacts
from driftune.visible import visible

_LONGEST_NAME, _LONGEST_TEXT = 80, 600


class Message(NamedTuple):
    """A message's subject and its text, a line each for what, figures, what to do, where."""

    title: str
    body: str


class About(NamedTuple):
    """What a message is about: a domain by its name (in one line) and key, and a day."""

    name: str
    key: str
    day: str


def message_of(config: Config, row: Queued) -> Message:
    """The message of an outbox row; names and sentences in it are one line each."""
    about = About(_line(row.domain or "", _LONGEST_NAME), row.domain_key or "", row.day or "")
    title, lines = _SAY[row.kind](about, row.facts)
    lines = [*lines, _page(config, row)]
    return Message(
        redact(f"Driftune: {title}"),
        "\n".join(redact(_line(line, _LONGEST_TEXT)) for line in lines if line),
    )


def _alert(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    rule, score = facts["rule"], facts["score"]
    due = rule in DUE
    # The sentence of one that is due says by what.
    figures = "" if due else f"Drift {score:.1f}×, 1 triggers." if score is not None else f"{rule}."
    held = facts["state"] == "review"
    todo = f"Approve it: driftune approve {facts['decision']}" if held else "A fine-tune follows."
    what = "waits for approval" if held else "fine-tune" if due else "drift"
    return f"{what}: {about.name}, {about.day}", [facts["sentence"], figures, todo]


def _threshold(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    todo = "Nothing is adapted for it; look at the page."
    return f"threshold: {about.name}, {about.day}", [f"{facts['rule']}.", todo]


def _promotion(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    by = f"By {facts['who']}: {facts['reason']}"
    todo = f"To go back: driftune rollback {about.key}"
    serves = f"Version {facts['version']} serves {about.name}."
    lines = [serves, _gain(facts), *_weak(facts), by, todo]
    return f"promoted: {about.name}, {about.day}", lines


def _rejection(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    judged = facts["state"] == "rejected"
    kept = "The gate kept the champion." if judged else "The gate could not judge."
    todo = "Nothing is to be done; look at the page."
    lines = [kept, _gain(facts), *facts["rules"][:3], *_weak(facts), todo]
    return f"{facts['state']}: {about.name}, {about.day}", lines


def _rollback(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    to = f"version {facts['to']}" if facts["to"] else "the frozen base"
    lines = [
        f"Version {facts['from']} was taken back; {to} serves {about.name}.",
        f"By {facts['who']}: {facts['reason']}",
        f"All switches: driftune history {about.key}",
    ]
    return f"rolled back: {about.name}", lines


def _stale(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    text = facts["sentence"]
    return f"champion is stale: {about.name}", [f"{text[:1].upper()}{text[1:]}."]


def _refused_day(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    todo = "The lake is as before. Deliver the day again, or correct params.yaml, and run it again."
    return f"day refused: {about.day}", [*facts["problems"][:5], todo]


def _kept_out(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    todo = f"To let it in: driftune quarantine release {about.day} --domain … --why …"
    lines = [
        f"{facts['rows']:,} rows of {about.name} are in quarantine.",
        *facts["reasons"][:3],
        todo,
    ]
    return f"domain kept out: {about.name}, {about.day}", lines


def _failure(about: About, facts: MessageFacts) -> tuple[str, list[str]]:
    what = f"{about.name}, {about.day}" if about.name else facts["run"]
    return f"failed: {what}", [facts["error"], f"Then: {facts['todo']}"]


_SAY: dict[str, Callable[[About, MessageFacts], tuple[str, list[str]]]] = {
    "alert": _alert,
    "threshold": _threshold,
    "promotion": _promotion,
    "rejection": _rejection,
    "rollback": _rollback,
    "stale": _stale,
    "refused_day": _refused_day,
    "kept_out": _kept_out,
    "failure": _failure,
}


def _gain(facts: MessageFacts) -> str:
    gain = facts["gain"]
    if gain is None:
        return ""
    interval = ""
    if facts["low"] is not None and facts["high"] is not None:
        interval = f" ({facts['low']:+.4f} to {facts['high']:+.4f})"
    return f"{facts['metric']} {gain:+.4f}{interval}"


def _weak(facts: MessageFacts) -> list[str]:
    """What is wrong with either side beside plain models; messages of before do not know."""
    return [f"Weak: {told}." for told in facts.get("weak", [])]


def _page(config: Config, row: Queued) -> str:
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
    """Text in one line, control signs as escapes, cut where it is too long."""
    text = " ".join(visible(text).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
