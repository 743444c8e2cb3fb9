"""Users' ids in records of words and values: quality records, Data Docs, quarantined examples."""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pydantic import JsonValue

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from driftune.io import read_json, write_json, write_sealed
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import rewrite_facts

ERASED = "(erased)"
# Names and figures of ours, which a user's id may happen to look like.
_OURS = ("domain", "key", "rule", "content_hash", "day", "bins")
_QUOTED = re.compile(r"'([^']*)'")
_WORD = re.compile(r"[^\s'\",;:()\[\]]+")
NUMBER = re.compile(r"[+-]?[0-9.]+")


def redact_records(
    config: Config,
    users: Collection[str],
    further: Callable[[Path, JsonValue], JsonValue] = lambda _, content: content,
    *,
    write: bool = True,
) -> int:
    """Take the ids of users out of the records of days, and what ``further`` does of a file's path
    and content; returns how many files had any.

    Examples of theirs are dropped. An id in a sentence is blotted out; one that is a bare number
    only where it is quoted, or is a value that an expectation shows: elsewhere it is a count.

    Raises:
        DriftuneError: when a record cannot be read.
    """
    wanted, changed = frozenset(users), 0
    for path in _records(config):
        before = _read(path)
        after = further(path, redacted(before, wanted))
        if after != before:
            changed += 1
            if write:
                if isinstance(after, dict):
                    write_sealed(path, after)
                else:
                    write_json(path, after)
    return changed


def _records(config: Config) -> list[Path]:
    kept = ("quality", "quality/profiles", "quality/released", "data_docs")
    folders = [Workspace(config).home / name for name in kept]
    return sorted(path for folder in folders for path in folder.glob("*.json"))


def recorded_words(config: Config, ledger: Ledger) -> set[str]:
    """Whatever in records of days and in messages may be an id.

    Raises:
        DriftuneError: when a record cannot be read.
        LedgerBusyError: when another process keeps the ledger locked.
    """
    found: set[str] = set()

    def look(value: JsonValue) -> JsonValue:
        found.update(_texts_in(value))
        return value

    for path in _records(config):
        look(_read(path))
    rewrite_facts(ledger, look, write=False)
    return found


def _texts_in(value: JsonValue) -> Iterator[str]:
    """Every text in a record, whole, its quoted parts, and its words."""
    if isinstance(value, str):
        yield value
        yield from _QUOTED.findall(value)
        for word in _WORD.findall(value):
            yield from (word, word.rstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from _texts_in(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts_in(each)


def redact_messages(ledger: Ledger, users: Collection[str], *, write: bool = True) -> int:
    """Take the ids of users out of the messages in the ledger; returns how many had any.

    Raises:
        LedgerBusyError: when another process keeps the ledger locked.
    """
    wanted = frozenset(users)
    return rewrite_facts(ledger, lambda facts: redacted(facts, wanted), write=write)


def redacted(value: JsonValue, users: frozenset[str], *, shown: bool = False) -> JsonValue:
    """A record without the users' ids; ``shown``: numbers in it are values, not counts."""
    if isinstance(value, str):
        return _blotted(value, users, shown)
    if isinstance(value, list):
        theirs = [each for each in value if not _is_example_of(each, users)]
        return [redacted(each, users, shown=shown) for each in theirs]
    if isinstance(value, dict):
        shown = shown or any("unexpected value" in str(each).lower() for each in _head(value))
        kept = {name: each for name, each in value.items() if name not in users or name in _OURS}
        return {
            name: each if name in _OURS else redacted(each, users, shown=shown)
            for name, each in kept.items()
        }
    return value


def mentions(path: Path, users: Collection[str]) -> bool:
    """Whether a file's bytes hold one of the ids as a word; bare numbers are not looked for."""
    looked = [user for user in users if not NUMBER.fullmatch(user)]
    content = path.read_bytes()
    for user in looked:
        word = re.escape(user.encode())
        if re.search(rb"(?<![0-9A-Za-z_-])" + word + rb"(?![0-9A-Za-z_-])", content):
            return True
    return False


def _blotted(text: str, users: frozenset[str], shown: bool) -> str:
    if text in users and (shown or not NUMBER.fullmatch(text)):
        return ERASED
    text = _QUOTED.sub(lambda found: f"'{ERASED}'" if found[1] in users else found[0], text)

    def word(found: re.Match[str]) -> str:
        bare = found[0].rstrip(".")
        if bare in users and not NUMBER.fullmatch(bare):
            return ERASED + found[0][len(bare) :]
        return found[0]

    return _WORD.sub(word, text)


def _is_example_of(value: JsonValue, users: frozenset[str]) -> bool:
    return isinstance(value, dict) and value.get("user_id") in users


def _head(value: dict[str, JsonValue]) -> list[JsonValue]:
    head = value.get("head")
    return head if isinstance(head, list) else []


def _read(path: Path) -> JsonValue:
    try:
        return read_json(path)
    except ValueError:
        raise DriftuneError(
            f"{path}: is damaged and may name users; run its day again, or delete it"
        ) from None
