"""The text of a proposed params.yaml, with what each value rests on."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from driftune.config.explode import LIST_ID, PLACE, Explode
from driftune.proposal.columns import Column
from driftune.proposal.files import DailyFiles
from driftune.proposal.roles import Guess, Value, names

_OPTIONAL = ("convert", "category", "price", "request", "position", "propensity")
NEEDED = ("user", "item", "time", "domain")
_ORDER = (*NEEDED, "click", *_OPTIONAL)


_NEGATIVES = (
    "# Without columns.click every row is a click, and rows without one are drawn for each. Where",
    "# the log has a label, name it as columns.click and leave this out.",
    "negatives: {per_positive: 4, from: domain_day}",
)


def params_text(
    files: DailyFiles,
    explode: Explode | None,
    guesses: Sequence[Guess],
    columns: Sequence[Column],
    timezone: str,
) -> str:
    """A params.yaml that reads these files by these roles."""
    days = list(files.days)
    first, last = days[0], days[reference_days(len(days)) - 1]
    lines = [
        "# Proposed by driftune init: read it, correct what is wrong, then driftune doctor.",
        "# All other keys have their defaults; docs/reference/params.md names them.",
        "workspace: workspace",
        f"timezone: {_yaml(timezone)}",
        "",
        "source:",
        f"  uri: {_yaml(_path(files.template))}",
    ]
    if files.by_time:
        lines.append(
            "  day_from: time           # the files hold many days: a row's time says its own"
        )
    if explode is not None:
        given = explode.model_dump(mode="json", exclude_defaults=True)
        lines += ["  explode:", *(f"    {key}: {_yaml(value)}" for key, value in given.items())]
    lines += [
        "",
        f"reference:                 # {_count(len(days))}: the first of them are pre-training's",
        f'  first: "{first}"',
        f'  last: "{last}"',
        "",
        "columns:",
    ]
    by_role = {guess.role: guess for guess in guesses}
    for role in _ORDER:
        guess = by_role.get(role)
        if guess is None or (guess.value is None and role in _OPTIONAL):
            continue
        lines.append(f"  # {role}: {_comment(guess)}")
        if guess.value is not None or role != "click":
            lines.append(f"  {role}: {_yaml(guess.value)}")
    lacking = [role for role in _OPTIONAL if role not in by_role or by_role[role].value is None]
    if lacking:
        lines.append(f"  # No column is one for: {', '.join(lacking)}.")
    if by_role["click"].value is None:
        lines += ["", *_NEGATIVES]
    unused = _unused(columns, guesses)
    if unused:
        lines += [
            "",
            "# No role names these. Those that are known before an impression may be features;",
            "# what is known only after it (such as time spent) must not:",
            "#   features: {categorical: […], numerical: […]}",
            *(f"#   {_line(column.name)}: {_described(column)}" for column in unused),
        ]
    return "\n".join(lines) + "\n"


def reference_days(days: int) -> int:
    """Of so many days, those that pre-training uses; the rest can be run."""
    return max(1, min(14, days * 2 // 3))


def _comment(guess: Guess) -> str:
    sure = {"sure": "", "likely": "likely; ", "question": "A QUESTION; "}[guess.sure]
    others = f"; or {', '.join(guess.others[:4])}" if guess.others else ""
    return _line(f"{sure}{guess.why}{others}")


def _unused(columns: Sequence[Column], guesses: Sequence[Guess]) -> list[Column]:
    named = {c.name for c in columns for guess in guesses if names(guess.value, c)}
    return [column for column in columns if column.name not in {*named, LIST_ID, PLACE}]


def _described(column: Column) -> str:
    empty = 1 - column.filled / max(1, column.rows)
    missing = f", {empty:.0%} empty" if empty > 0.001 else ""
    return _line(f"{column.distinct:,} values, such as {', '.join(column.examples[:2])}{missing}")


def _line(text: str) -> str:
    """A text as part of a comment: one line of signs that YAML takes."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def _path(template: str) -> str:
    """A path whose signs mean themselves, as ``config.paths`` reads it."""
    template = template.replace("$", "$$")
    return f"./{template}" if template.startswith("~") else template


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _yaml(value: Value | Mapping[str, str] | date) -> str:
    """A value in YAML's flow style, of which JSON is a part."""
    if value is None:
        return "null"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in text)
