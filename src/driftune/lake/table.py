"""The lake: one Delta table of accepted impressions, partitioned by day."""

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from driftune.checksums import sha256_of
from driftune.config import Config
from driftune.errors import LakeDamageError, LakeError
from driftune.lake.duck import Connection, identifier, parquet
from driftune.lake.store import LakeStore, reason, store_of

if TYPE_CHECKING:
    from arro3.core import Schema as ArrowSchema
    from deltalake import DeltaTable

_FILE_COLUMNS = ("partition.day", "path", "size_bytes", "num_records")
_DAY_FOLDER = r".*/day=(\d{4}-\d\d-\d\d)/[^/]*$"
_CONTENT = re.compile(r"part-\d{5}-([0-9a-f]{16})-")


@dataclass(frozen=True)
class Lake:
    """The lake at one moment, however often it is written to meanwhile.

    ``contents``: each day's short content hash; ``files``: its data files by their names, with
    their sizes (bytes); ``rows`` of each day; ``schema``: its columns (Arrow), None before the
    first day.
    """

    store: LakeStore
    contents: dict[date, int]
    files: dict[date, dict[str, int]]
    rows: dict[date, int]
    schema: "ArrowSchema | None" = None

    @staticmethod
    def at(store: LakeStore, version: int | None = None) -> "Lake":
        """Look at the lake in a place, by default as it is; one not there yet holds no days.

        Raises:
            LakeError: when its log cannot be read, or holds no such version.
        """
        table = open_table(store, version)
        if table is None:
            return Lake(store, {}, {}, {})
        actions = table.get_add_actions(flatten=True)
        columns = [actions.column(name).to_pylist() for name in _FILE_COLUMNS]
        files: dict[date, dict[str, int]] = {}
        rows: dict[date, int] = {}
        for iso, name, size, number in sorted(zip(*columns, strict=True)):
            day = _day(store, iso)
            files.setdefault(day, {})[unquote(name)] = size
            rows[day] = rows.get(day, 0) + (number or 0)
        contents = {day: _content(table, day, files[day]) for day in files}
        return Lake(store, contents, files, rows, table.schema().to_arrow())

    @staticmethod
    def of(config: Config) -> "Lake":
        """Look at the lake of a configuration."""
        return Lake.at(store_of(config))

    @property
    def place(self) -> Path:
        """The folder on disk that holds its data files, or those of an object store when read."""
        return self.store.place

    @property
    def days(self) -> list[date]:
        """The days that the lake holds, in order."""
        return list(self.files)

    def version(self, days: Iterable[date]) -> str:
        """Data version of some days: a hash of their contents' hashes."""
        named = {day.isoformat(): self.contents.get(day) for day in sorted(days)}
        return sha256(json.dumps(named).encode()).hexdigest()[:16]

    def damage(self, day: date, *, deep: bool = True) -> str | None:
        """What is wrong with the day's files: one is missing, has another size or other bytes.

        Without ``deep`` the bytes are not read.
        """
        return self.store.damage(self.files.get(day, {}), deep=deep)

    def paths(self, day: date) -> list[Path]:
        """The day's files on disk.

        Raises:
            LakeError: when the day is not in the lake, or its files are not as they were written.
        """
        if day not in self.files:
            raise LakeError(
                f"the lake {self.store} lacks {day}; ingest it first: driftune run --day {day}"
            )
        try:
            return [self.store.read(name, size) for name, size in self.files[day].items()]
        except LakeDamageError as error:
            raise LakeDamageError(
                f"{error}; bring the day in again: driftune run --day {day}"
            ) from None

    def types(self, con: Connection) -> dict[str, str]:
        """The lake's columns and their DuckDB types; none before the first day."""
        import pyarrow as pa

        if self.schema is None:
            return {}
        con.register("lake_columns", pa.schema(self.schema).empty_table())
        rows = con.execute("DESCRIBE lake_columns").fetchall()
        con.unregister("lake_columns")
        return {name: kind for name, kind, *_ in rows}

    def whole_relation(self, con: Connection, days: Iterable[date]) -> str:
        """``relation`` with every column of the lake: null on days that were without it.

        Raises:
            LakeError: as ``relation`` does.
        """
        nulls = ", ".join(
            f"NULL::{kind} AS {identifier(name)}" for name, kind in self.types(con).items()
        )
        rows = self.relation(days)
        return f"(FROM {rows} UNION ALL BY NAME SELECT {nulls} WHERE false)"

    def relation(self, days: Iterable[date]) -> str:
        """Return a DuckDB table expression over the given days.

        Raises:
            LakeError: when a day is not in the lake, or its files are not as they were written.
        """
        files = [file for day in sorted(set(days)) for file in self.paths(day)]
        found = parquet(*files, options="union_by_name=true, filename='_driftune_file'")
        # Of the path only the lake's own folder says something.
        day = f"regexp_extract(_driftune_file, '{_DAY_FOLDER}', 1)::DATE"
        return f"(SELECT * EXCLUDE (_driftune_file), {day} AS day FROM {found})"


def file_name(number: int, content_hash: str, finished: Path) -> str:
    """A new name for a data file: what content it is part of, and the SHA-256 of its bytes."""
    content, own = short_hash(content_hash), uuid.uuid4().hex[:12]
    return f"part-{number:05d}-{content:016x}-{own}-{sha256_of(finished)}.zstd.parquet"


def _content(table: "DeltaTable", day: date, files: Iterable[str]) -> int:
    """A day's short content hash, by its files' names."""
    for name in files:
        if found := _CONTENT.search(name):
            return int(found[1], 16)
    # Earlier releases only had the transaction say it, for which the log is read each time.
    return table.transaction_version(application(day)) or 0


def _day(store: LakeStore, iso: str) -> date:
    try:
        return date.fromisoformat(iso)
    except ValueError:
        raise LakeError(
            f"the lake {store} is damaged (its log names a day {iso!r}); put a backup back, or "
            "move it away and replay its days"
        ) from None


def short_hash(content_hash: str) -> int:
    """A content hash as the lake's transaction version: its first 62 bits."""
    return int(content_hash[:16], 16) >> 2


def open_table(store: LakeStore, version: int | None = None) -> "DeltaTable | None":
    """The Delta table, at its newest version by default; None when there is none.

    Raises:
        LakeError: when its log cannot be reached or read, or holds no such version.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(store.url, version=version, storage_options=store.options)
    except TableNotFoundError:
        return None
    except OSError as error:
        raise LakeError(f"the lake {store} cannot be reached ({reason(error)})") from None
    except DeltaError as error:
        table = None if version is None else open_table(store)
        newest = None if table is None else table.version()
        if version is not None and newest is not None and not 0 <= version <= newest:
            raise LakeError(f"the lake {store} has versions 0 to {newest}, not {version}") from None
        raise LakeError(
            f"the lake {store} is damaged ({reason(error)}); put a backup back, or move it "
            "away and replay its days"
        ) from None


def last_content(store: LakeStore, day: date) -> int | None:
    """The short hash of what the day's last commit put there, be it nothing; None before any."""
    table = open_table(store)
    return None if table is None else table.transaction_version(application(day))


def application(day: date) -> str:
    """The name under which the table's log holds a day's content hash."""
    return f"driftune.day.{day}"
