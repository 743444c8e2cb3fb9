"""The files of a log by day: the template of their names, and the days that they are of."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from driftune.config.days import with_day
from driftune.errors import SourceError
from driftune.lake.finding import COMPRESSED, FORMATS

_NUMBERS = {"%Y": r"(?:19|20)\d\d", "%y": r"\d\d", "%m": r"\d\d", "%d": r"\d\d"}
# What may follow a day of eight digits: hours, minutes and seconds.
_HOURS = r"(?=[0-2]\d(?:[0-5]\d){0,2}(?!\d))"
# How names write a day, the surest first.
_FORMS = (
    *("year=%Y/month=%m/day=%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d"),
    *("%d-%m-%Y", "%d_%m_%Y", "%d.%m.%Y", "%y%m%d"),
)
# What parts a template: a day, and a folder.
_SIGNS = re.compile(r"(\{day(?::[^{}]*)?\}|/)")
_WORDS = re.compile(r"[^\W\d_]+|\d+|[\W_]")
_ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)


@dataclass(frozen=True)
class DailyFiles:
    """Files by day, and the template of ``source.uri`` that finds them.

    ``by_time``: they hold many days, and a row's time says its day (``source.day_from``).
    """

    template: str
    days: dict[date, tuple[Path, ...]]
    by_time: bool = False


def daily_files(given: Iterable[Path], root: Path) -> DailyFiles:
    """Sort files, and those in folders, by the day that their names write.

    ``root``: the folder that the template is relative to.

    Raises:
        SourceError: when there is none, or their names write no day.
    """
    files = log_files(given)
    names = [os.path.relpath(path, root) for path in files]
    found = max((_dated(names, form) for form in _FORMS), key=lambda each: -each.count(None))
    days: dict[date, tuple[Path, ...]] = {}
    dated: list[str] = []
    for path, each in zip(files, found, strict=True):
        if each is None:
            raise SourceError(
                f"{path}: its name writes no day (such as 2026-03-02 or 20260302)"
                f"{'' if not any(found) else ', or not as the others do'}; deliver one file or "
                "folder a day, or split it: --split-to FOLDER"
            )
        days[each[0]] = (*days.get(each[0], ()), path)
        dated.append(each[1])
    template = _common(dated)
    for path, name, each in zip(files, names, found, strict=True):
        if each is not None and not _is_found(name, template, each[0]):
            raise SourceError(
                f"{path}: lies or is called otherwise than the others, so that one source.uri "
                f"({template}) does not find it; name the files of one log"
            )
    return DailyFiles(template, dict(sorted(days.items())))


def shared_template(files: Sequence[Path], root: Path) -> str | None:
    """A template of files whose names write no day; None where one does, or none finds all."""
    names = [os.path.relpath(path, root) for path in files]
    if any(any(_dated(names, form)) for form in _FORMS):
        return None
    template = _common(names)
    # No day is filled in.
    return template if all(_is_found(name, template, date.min) for name in names) else None


def log_files(given: Iterable[Path]) -> list[Path]:
    """The files, and those of logs in folders.

    Raises:
        SourceError: when there are none.
    """
    given = list(given)
    files = sorted({path.resolve() for each in given for path in _within(each)})
    if not files:
        named = ", ".join(map(str, given))
        raise SourceError(f"{named}: no Parquet, CSV or JSON lines there; name files or a folder")
    return files


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


def _dated(names: Sequence[str], form: str) -> list[tuple[date, str] | None]:
    """For each name the last day that it writes in a form, and the name as a template of it."""
    after = rf"(?:(?!\d)|{_HOURS})" if form == "%Y%m%d" else r"(?!\d)"
    pattern = re.compile(rf"(?<!\d){_pattern(form)}{after}")
    sign = "{day}" if form == "%Y-%m-%d" else f"{{day:{form}}}"
    return [_day_of(name, pattern, form, sign) for name in names]


def _day_of(name: str, pattern: re.Pattern[str], form: str, sign: str) -> tuple[date, str] | None:
    found = [(match, _read(match[0], form)) for match in pattern.finditer(name)]
    day = next((day for _, day in reversed(found) if day is not None), None)
    if day is None:
        return None
    template, start = "", 0
    for match, read in found:
        if read == day:
            # An hour behind the day differs in the files of others.
            hours = re.compile(r"\d*").match(name, match.end())
            template += name[start : match.start()] + sign
            start = match.end()
            if hours and hours[0]:
                template, start = f"{template}*", hours.end()
    return day, template + name[start:]


def _read(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        return None


def _common(templates: Sequence[str]) -> str:
    """One template of all: a star in each part of a path, and beside the day, where they differ."""
    parts = [_SIGNS.split(each) for each in templates]
    # Those that lie otherwise than most are left out; the caller sees it.
    shape, _ = Counter(tuple(each[1::2]) for each in parts).most_common(1)[0]
    alike = [each for each in parts if tuple(each[1::2]) == shape]
    joined = [_one_text(list(texts)) for texts in zip(*alike, strict=True)]
    if any("*" in text for text in joined):
        # With a star in it, a template's other signs of a glob would be ones, too.
        joined = [re.sub(r"[?\[]", r"[\g<0>]", text) for text in joined]
    return "".join(joined)


def _one_text(texts: Sequence[str]) -> str:
    """What texts have in common, by words and numbers, with a star where they differ."""
    if len(set(texts)) == 1:
        return texts[0]
    words = [_WORDS.findall(text) for text in texts]
    start = _alike(words)
    end = _alike([list(reversed(each[len(start) :])) for each in words])
    return f"{''.join(start)}*{''.join(reversed(end))}"


def _alike(texts: Sequence[Sequence[str]]) -> list[str]:
    """What all begin with, word by word."""
    same = takewhile(lambda words: len(set(words)) == 1, zip(*texts, strict=False))
    return [words[0] for words in same]


def _is_found(name: str, template: str, day: date) -> bool:
    """Whether a template finds a name; a star stands for a part of a path."""
    wanted = with_day(template, day)
    pattern = wanted.split("/")
    parts = name.split("/")
    return wanted == name or (len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern)))
