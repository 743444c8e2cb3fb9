"""Suppressed users: rows of those who were erased never come back, from whatever file.

The list knows users by a keyed hash alone, and numbers its erasures; the ledger holds the same
list (see ``intake.erasures``). A day whose rows were erased holds another content than its files
have: the list says which, so that the same files again stay a no-op.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError, SourceUnavailableError
from driftune.io import read_json, write_sealed
from driftune.lake.duck import Connection, literal
from driftune.locks import locked

# What may stand between the words of a line, and between its values.
_BETWEEN = r"[,;|\t\"'{}:\[\]\s]+"
_DELIMITERS = ",;|\t"
_AROUND = " \"'\r"

# What is hashed names the column, so that the same key may serve other columns' values.
_COLUMN = b"user_id\0"
_BLOCK = 64


class Erasure(BaseModel):
    """One erasure as the audit keeps it: users by their marks; ``finished`` is null meanwhile.

    One without users applied all that were before it again.
    """

    at: str
    by: str
    why: str
    users: list[str]
    finished: str | None = None
    removed: dict[str, int] = {}


class Suppressed(BaseModel):
    """Who was erased: the erasure at place n of ``erasures`` has the number n, from 1.

    ``salt``: the key of the marks (hex), made once; ``keyed``: how they are made of it, ``sha256``
    in lists of earlier releases. ``days``: per day (ISO) the content hash that its files have by
    themselves, and the one that the lake has of them without those rows. ``number``: how many
    erasures there are; null in a file of an earlier release.
    """

    salt: str
    keyed: Literal["sha256", "hmac-sha256"] = "sha256"
    number: int | None = None
    days: dict[str, dict[str, str]] = {}
    erasures: list[Erasure] = []

    @property
    def users(self) -> list[str]:
        """The marks of all who were erased, in order."""
        return sorted({mark for each in self.erasures for mark in each.users})

    @property
    def state(self) -> str:
        """A hash of who was erased, by which erasure; empty before the first."""
        return chain(self.salt, [each.users for each in self.erasures])[-1]

    @property
    def open(self) -> set[int]:
        """The numbers of erasures that did not end."""
        return {number for number, each in enumerate(self.erasures, 1) if each.finished is None}

    @property
    def done(self) -> int:
        """The number of the last erasure before which, itself included, all have ended."""
        return min(self.open, default=len(self.erasures) + 1) - 1

    def mark(self, user: str) -> str:
        """A user's keyed hash (hex)."""
        if self.keyed == "sha256":
            return hashlib.sha256(f"{self.salt}{user}".encode()).hexdigest()
        return hmac.new(bytes.fromhex(self.salt), _COLUMN + user.encode(), "sha256").hexdigest()

    def mark_sql(self, text: str) -> str:
        """The mark of an id as SQL, over the expression ``text``."""
        if self.keyed == "sha256":
            return f"sha256({literal(self.salt)} || {text})"
        key = bytes.fromhex(self.salt).ljust(_BLOCK, b"\0")
        inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
        within = f"sha256({_blob(inner + _COLUMN)} || encode({text}))"
        return f"sha256({_blob(outer)} || unhex({within}))"

    def content(self, day: date, source: str) -> str:
        """The content hash of the day in the lake, by that of its files."""
        return self.days.get(day.isoformat(), {}).get(source, source)


def _blob(value: bytes) -> str:
    return f"unhex('{value.hex()}')"


def new_list() -> Suppressed:
    """An empty list with a key of its own."""
    return Suppressed(salt=secrets.token_hex(32), keyed="hmac-sha256", number=0)


def chain(salt: str, users: Iterable[list[str]]) -> list[str]:
    """Hashes of a list after each of its erasures, by their users' marks; the first is empty."""
    found = [""]
    for number, marked in enumerate(users, 1):
        said = " ".join([found[-1], salt, str(number), *marked])
        found.append(hashlib.sha256(said.encode()).hexdigest())
    return found


def read_suppressed(config: Config) -> Suppressed:
    """Read the list; an empty one with a new key where there is none. Not to be changed.

    Raises:
        LakeDamageError: when it is damaged: without it erased users would come back.
    """
    path = Workspace(config).suppressed
    try:
        now = path.stat()
        return _read(path, now.st_size, now.st_mtime_ns, now.st_ino)
    except FileNotFoundError:
        return new_list()
    except (ValidationError, ValueError, OSError):
        raise LakeDamageError(
            f"{path}: the list of erased users is damaged; driftune erase --again writes it anew "
            "from the ledger"
        ) from None


@lru_cache(maxsize=4)
def _read(path: Path, _size: int, _modified: int, _inode: int) -> Suppressed:
    held = Suppressed.model_validate(read_json(path))
    if held.number not in (None, len(held.erasures)):
        raise ValueError("its number is not that of its erasures")
    return held


def write_suppressed(config: Config, held: Suppressed) -> None:
    """Write the list, with its number and checksum."""
    whole = held.model_copy(update={"number": len(held.erasures)})
    write_sealed(Workspace(config).suppressed, whole.model_dump(mode="json"))


@contextmanager
def unless_erased(config: Config, day: date, state: str) -> Iterator[None]:
    """Write what a day staged under the list's ``state`` holds; no user is erased meanwhile.

    Raises:
        SourceUnavailableError: when users were erased since it was staged.
    """
    with locked(Workspace(config).suppressed_lock, shared=True):
        if read_suppressed(config).state != state:
            raise erased_meanwhile(day)
        yield


def erased_meanwhile(day: date) -> SourceUnavailableError:
    """That a day was staged under a list that has changed since."""
    return SourceUnavailableError(
        f"{day}: users were erased while it was taken in; the lake is unchanged; run the day again"
    )


def leave_out(con: Connection, config: Config, erased: Suppressed) -> int:
    """Take the rows of suppressed users out of ``raw`` and ``parsed``; returns their number."""
    if not erased.users:
        return 0
    # Each id is hashed once, however many rows it has.
    con.execute("CREATE TEMP TABLE gone AS SELECT unnest(?::VARCHAR[]) AS mark", [erased.users])
    con.execute(
        "CREATE TEMP TABLE gone_ids AS SELECT id FROM (SELECT DISTINCT user_id AS id FROM parsed) "
        f"WHERE {erased.mark_sql('id')} IN (SELECT mark FROM gone)"
    )
    con.execute(
        f"""
        DELETE FROM unreadable WHERE rowid IN (
            SELECT place FROM (SELECT rowid AS place, unnest(
                {words(config, "text")}) AS word FROM unreadable)
            WHERE {erased.mark_sql("word")} IN (SELECT mark FROM gone)
        )
        """
    )
    if not con.execute("SELECT 1 FROM gone_ids LIMIT 1").fetchall():
        return 0
    con.execute(
        "CREATE TABLE suppressed AS SELECT row_id FROM parsed "
        "WHERE user_id IN (SELECT id FROM gone_ids)"
    )
    ((rows,),) = con.execute("SELECT count(*) FROM suppressed").fetchall()
    con.execute("ALTER VIEW raw RENAME TO delivered")
    con.execute(
        "CREATE VIEW raw AS SELECT * FROM delivered ANTI JOIN suppressed ON _driftune_id = row_id"
    )
    con.execute("ALTER VIEW parsed RENAME TO delivered_parsed")
    con.execute("CREATE VIEW parsed AS FROM delivered_parsed ANTI JOIN suppressed USING (row_id)")
    return int(rows)


def words(config: Config, text: str) -> str:
    """SQL of a list: what of a line that is no row may be an id.

    That is each word, and for ids of several words or with a colon each value and quoted text.
    """
    delimiters = re.escape(_DELIMITERS + (config.source.csv.delimiter or ""))
    values = f"regexp_split_to_array({text}, {literal(f'[{delimiters}]')})"
    bare = f"list_transform({values}, lambda value: trim(value, {literal(_AROUND)}))"
    single = f"regexp_split_to_array({text}, {literal(_BETWEEN)})"
    return f"list_concat({single}, string_split({text}, '\"'), {bare})"


def marks(erased: Suppressed, users: Iterable[str]) -> list[str]:
    """The users' marks, in order."""
    return sorted({erased.mark(user) for user in users})


def without(content: str, mark: str) -> str:
    """The content hash of a day without the rows of ``mark``, by the one that it had with them."""
    return hashlib.sha256(f"{content} {mark}".encode()).hexdigest()


def note_day(erased: Suppressed, day: date, content: str, mark: str) -> None:
    """Note that a day, of whose rows the lake has this content, loses those of ``mark``.

    A day that lost rows before keeps the hash of its files.
    """
    known = erased.days.setdefault(day.isoformat(), {})
    source = next((own for own, now in known.items() if now == content), content)
    known[source] = without(content, mark)
