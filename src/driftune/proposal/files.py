"""The files of a log by day: the template of their names, and the days that they are of."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from pathlib import Path

from driftune.errors import SourceError
from driftune.lake.finding import COMPRESSED, FORMATS

_NUMBERS = {"%Y": r"(?:19|20)\d\d", "%y": r"\d\d", "%m": r"\d\d", "%d": r"\d\d"}
# How names write a day, the surest first.
_FORMS = (
    *("year=%Y/month=%m/day=%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d"),
    *("%d-%m-%Y", "%d_%m_%Y", "%d.%m.%Y", "%y%m%d"),
)
_ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)


@dataclass(frozen=True)
class DailyFiles:
    """Files by day, and the template of ``source.uri`` that finds them."""

    template: str
    days: dict[date, tuple[Path, ...]]


def daily_files(given: Iterable[Path], root: Path) -> DailyFiles:
    """Sort files, and those in folders, by the day that their names write.

    ``root``: the folder that the template is relative to.

    Raises:
        SourceError: when there is none, or their names write no day.
    """
    files = sorted({path.resolve() for each in given for path in _within(each)})
    if not files:
        named = ", ".join(map(str, given))
        raise SourceError(f"{named}: no Parquet, CSV or JSON lines there; name files or a folder")
    for form in _FORMS:
        pattern = re.compile(rf"(?<!\d){_pattern(form)}(?!\d)")
        found = [_dated(str(path), pattern, form) for path in files]
        dated = [each for each in found if each is not None]
        if len(dated) < len(files):
            continue
        days: dict[date, tuple[Path, ...]] = {}
        for path, (day, _) in zip(files, dated, strict=True):
            days[day] = (*days.get(day, ()), path)
        names = [os.path.relpath(name, root) for _, name in dated]
        return DailyFiles(_common(names), dict(sorted(days.items())))
    raise SourceError(
        f"{files[0]}: its name writes no day (such as 2026-03-02 or 20260302); deliver one file or "
        "folder a day, or split it: --split-to FOLDER"
    )


def _within(path: Path) -> list[Path]:
    """A file, or all files of logs in a folder.

    Raises:
        SourceError: when it is not there.
    """
    if not path.exists():
        raise SourceError(f"{path}: is not there; name files, or a folder of them")
    if not path.is_dir():
        return [path]
    inside = (each for each in path.rglob("*") if each.is_file())
    return [each for each in inside if _is_log(each.relative_to(path))]


def _is_log(path: Path) -> bool:
    name = path.name.lower()
    for packed in COMPRESSED:
        name = name.removesuffix(packed)
    return name.endswith(_ENDINGS) and not any(part[0] in "._" for part in path.parts)


def _pattern(form: str) -> str:
    escaped = re.escape(form).replace("%", "%")
    for sign, number in _NUMBERS.items():
        escaped = escaped.replace(sign, number)
    return escaped


def _dated(name: str, pattern: re.Pattern[str], form: str) -> tuple[date, str] | None:
    """The last day that a name writes, and the name with it as part of a template."""
    for match in reversed(list(pattern.finditer(name))):
        try:
            day = datetime.strptime(match[0], form).date()
        except ValueError:
            continue
        sign = "{day}" if form == "%Y-%m-%d" else f"{{day:{form}}}"
        return day, name[: match.start()] + sign + name[match.end() :]
    return None


def _common(names: Sequence[str]) -> str:
    """One template of all names: where they differ, a star."""
    if len(set(names)) == 1:
        return names[0]
    # A day that is written twice differs in one of its places.
    most, _ = Counter(names).most_common(1)[0]
    start = _alike(names)
    end = _alike([name[::-1] for name in names])[::-1]
    end = end[max(0, len(start) + len(end) - min(map(len, names))) :]
    if "{day" not in start + end:
        return most
    return f"{start}*{end}" if start.count("{") == start.count("}") else most


def _alike(names: Sequence[str]) -> str:
    """What all names begin with, sign by sign."""
    first, last = min(names), max(names)
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(sign for sign, _ in pairs)
