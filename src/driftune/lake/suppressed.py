"""Suppressed users: rows of those who were erased never come back, from whatever file.

The list knows users by a salted hash alone. A day whose rows were erased holds another content
than its files have: the list says which, so that the same files again stay a no-op.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from pydantic import BaseModel, ValidationError

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeError, SourceUnavailableError
from driftune.io import write_json
from driftune.lake.duck import Connection, literal
from driftune.locks import locked

# What may stand between the words of a line, and between its values.
_BETWEEN = r"[,;|\t\"'{}:\[\]\s]+"
_DELIMITERS = ",;|\t"
_AROUND = " \"'\r"


class Erasure(BaseModel):
    """One erasure as the audit keeps it: users by their marks; ``finished`` is null meanwhile."""

    at: str
    by: str
    why: str
    users: list[str]
    finished: str | None = None
    removed: dict[str, int] = {}


class Suppressed(BaseModel):
    """Who was erased. ``days``: per day (ISO) the content hash that its files have by themselves,
    and the one that the lake has of them without those rows.
    """

    salt: str
    users: list[str] = []
    days: dict[str, dict[str, str]] = {}
    erasures: list[Erasure] = []

    @property
    def state(self) -> str:
        """A hash of who is on the list."""
        return hashlib.sha256(" ".join(self.users).encode()).hexdigest()

    def mark(self, user: str) -> str:
        """A user's salted hash."""
        return hashlib.sha256(f"{self.salt}{user}".encode()).hexdigest()

    def content(self, day: date, source: str) -> str:
        """The content hash of the day in the lake, by that of its files."""
        return self.days.get(day.isoformat(), {}).get(source, source)


def read_suppressed(config: Config) -> Suppressed:
    """Read the list; an empty one with a new salt where there is none.

    Raises:
        LakeError: when it is damaged: without it erased users would come back.
    """
    path = Workspace(config).suppressed
    try:
        return Suppressed.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Suppressed(salt=secrets.token_hex(16))
    except (ValidationError, ValueError, OSError):
        raise LakeError(
            f"{path}: the list of erased users is damaged; put it back from a backup: without it "
            "they would come back"
        ) from None


@contextmanager
def rewriting(config: Config) -> Iterator[Suppressed]:
    """Yield the list to be changed, and write what was; what is being committed ends before."""
    with locked(Workspace(config).suppressed_lock):
        erased = read_suppressed(config)
        before = erased.model_dump(mode="json")
        yield erased
        if (now := erased.model_dump(mode="json")) != before:
            write_json(Workspace(config).suppressed, now)


@contextmanager
def unless_erased(config: Config, day: date, state: str) -> Iterator[None]:
    """Write what a day staged under the list's ``state`` holds; no user is erased meanwhile.

    Raises:
        SourceUnavailableError: when users were erased since it was staged.
    """
    with locked(Workspace(config).suppressed_lock, shared=True):
        if read_suppressed(config).state != state:
            raise SourceUnavailableError(
                f"{day}: users were erased while it was taken in; the lake is unchanged; run the "
                "day again"
            )
        yield


def leave_out(con: Connection, config: Config, erased: Suppressed) -> int:
    """Take the rows of suppressed users out of ``raw`` and ``parsed``; returns their number."""
    if not erased.users:
        return 0
    con.execute("CREATE TEMP TABLE gone (mark VARCHAR)")
    con.execute("INSERT INTO gone SELECT unnest(?::VARCHAR[])", [erased.users])
    con.execute(
        "CREATE TABLE suppressed AS SELECT row_id FROM parsed "
        f"WHERE sha256({literal(erased.salt)} || user_id) IN (SELECT mark FROM gone)"
    )
    con.execute(
        f"""
        DELETE FROM unreadable WHERE rowid IN (
            SELECT place FROM (SELECT rowid AS place, unnest(
                {words(config, "text")}) AS word FROM unreadable)
            WHERE sha256({literal(erased.salt)} || word) IN (SELECT mark FROM gone)
        )
        """
    )
    ((rows,),) = con.execute("SELECT count(*) FROM suppressed").fetchall()
    if not rows:
        return 0
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
