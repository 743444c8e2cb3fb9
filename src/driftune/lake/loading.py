"""Load: the day's files as one relation ``raw``, with what they deliver and no more.

Parquet is read where it lies, as often as it is needed: a copy of it would cost more than the
whole checkpoint. Text is parsed once, into a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake import roles
from driftune.lake.derived import HASH
from driftune.lake.duck import Connection, identifier, literal
from driftune.lake.readers.csv_reader import read_csv
from driftune.lake.readers.json_reader import read_jsonl
from driftune.lake.readers.kinds import check_kind
from driftune.lake.readers.parquet_reader import read_parquet
from driftune.lake.readers.part import Part, broken_off
from driftune.lake.readers.unreadable import (
    TooManyUnreadableError,
    create_unreadable,
    too_many,
)
from driftune.lake.source import Fetched, SourceFile
from driftune.lake.together import Together, Uses, put_together

# Every name of our own is prefixed: a delivered column may be called anything else.
OWN = (
    *("_driftune_id", "_driftune_row", "_driftune_file", "_driftune_fingerprint"),
    *("_driftune_sha", "_driftune_element"),
)


@dataclass(frozen=True)
class Loaded:
    """The day's files as read: ``parts`` in their order, ``rows`` in ``raw``, so many
    ``unreadable`` lines, and the columns ``together``; those ``derived`` from the texts of every
    file, which the view ``raw_derived`` holds beside those of ``raw``."""

    parts: tuple[Part, ...]
    rows: int
    unreadable: int
    together: Together
    derived: tuple[str, ...]

    @property
    def types(self) -> dict[str, str]:
        """The columns of ``raw`` and their DuckDB types."""
        return self.together.types

    @property
    def is_text(self) -> bool:
        """Whether no file says the types of its columns."""
        return all(part.is_text for part in self.parts)

    @property
    def has_text(self) -> bool:
        """Whether some file says no types."""
        return any(part.is_text for part in self.parts)


def load(con: Connection, config: Config, fetched: Fetched, folder: Path) -> Loaded:
    """Create the view ``raw`` over all files and the table ``unreadable`` of what is no row.

    ``raw`` holds the delivered columns, each of a type that holds what every file delivers, and
    ``_driftune_id`` (1 … rows), ``_driftune_file``, ``_driftune_row`` (1 … within the file) and
    ``_driftune_fingerprint``, equal for rows whose delivered values are equal. What must be
    unpacked or recoded is written to ``folder``.

    Raises:
        SourceError: for a file that breaks off or changes while it is read, columns that do not
            go together, or no rows at all.
    """
    create_unreadable(con)
    parts = read_parts(con, config, fetched, folder)
    together = put_together(con, Uses.of_logs(config), parts)
    derived = _derived(parts)
    made = [identifier(name) for name in derived]
    # What was read of lists is known by the file's bytes.
    sha = config.source.explode is not None
    selected, rows = [], 0
    for part, columns in zip(parts, together.columns, strict=True):
        named = "".join(f", {sql} AS {identifier(name)}" for name, sql in columns.items())
        selected.append(
            f"SELECT {rows} + _driftune_row AS _driftune_id, _driftune_row, "
            f"{literal(part.file.uri)} AS _driftune_file"
            f"{f', {literal(part.file.sha256[:12])} AS _driftune_sha' if sha else ''}{named}"
            f"{''.join(f', {name}' for name in made) if part.derived else ''} "
            f"FROM {part.relation}"
        )
        rows += part.rows
    if rows == 0:
        raise SourceError(f"{fetched.files[0].uri}: the file holds no rows; deliver it again")
    values = ", ".join(map(identifier, together.types))
    alike = derived and all(list(part.columns) == list(together.types) for part in parts)
    fingerprint = HASH if alike else f"hash({values})"
    own = f"_driftune_id, _driftune_row, _driftune_file, {fingerprint} AS _driftune_fingerprint"
    own += ", _driftune_sha" if sha else ""
    all_parts = f"({' UNION ALL BY NAME '.join(selected)})"
    con.execute(f"CREATE VIEW raw AS SELECT {own}, {values} FROM {all_parts}")
    if derived:
        more = ", ".join([values, *made])
        con.execute(f"CREATE VIEW raw_derived AS SELECT {own}, {more} FROM {all_parts}")
    unreadable = sum(part.unreadable for part in parts)
    return Loaded(tuple(parts), rows, unreadable, together, derived)


def _derived(parts: Sequence[Part]) -> tuple[str, ...]:
    """The columns that every file with rows has derived; none where one lacks any."""
    found = {part.derived for part in parts if part.rows}
    return found.pop() if len(found) == 1 else ()


def read_parts(con: Connection, config: Config, fetched: Fetched, folder: Path) -> list[Part]:
    """Read each file.

    Raises:
        SourceError: for one that cannot be read, or that changed meanwhile, and where more lines
            of the day than ``quality.max_rejected_share`` are no rows.
    """
    parts: dict[int, Part] = {}
    late: dict[int, TooManyUnreadableError] = {}
    try:
        for number, file in enumerate(fetched.files):
            try:
                parts[number] = _read(con, config, file, f"delivered_{number}", folder)
            except TooManyUnreadableError as error:
                late[number] = error
        if late:
            _check_share(config, list(parts.values()), list(late.values()))
        quality = config.quality.model_copy(update={"max_rejected_share": 1.0})
        lenient = config.model_copy(update={"quality": quality})
        for number in late:
            file = fetched.files[number]
            parts[number] = _read(con, lenient, file, f"again_{number}", folder)
    except SourceError:
        fetched.check_unchanged()
        raise
    return [parts[number] for number in range(len(fetched.files))]


def _read(con: Connection, config: Config, file: SourceFile, table: str, folder: Path) -> Part:
    """Read a file; ``table`` names what is made on the way."""
    check_kind(file)
    if file.format == "parquet":
        return read_parquet(con, file, table)
    if file.format == "csv":
        return read_csv(con, config, file, table, folder, roles.delivered_columns(config))
    ids, looked_into = roles.id_columns(config), roles.looked_into(config)
    return read_jsonl(con, config, file, table, folder, ids, looked_into)


def _check_share(
    config: Config, parts: Sequence[Part], late: Sequence[TooManyUnreadableError]
) -> None:
    """See that enough lines of the day are rows, and some of each file that has lines.

    Raises:
        TooManyUnreadableError: with the file that has most of the others.
    """
    worst = max(late, key=lambda error: (not error.rows, error.unreadable))
    rows = sum(part.rows for part in parts) + sum(error.rows for error in late)
    unreadable = sum(part.unreadable for part in parts) + sum(error.unreadable for error in late)
    if worst.rows and not too_many(config, rows, unreadable):
        return
    if len(parts) + len(late) == 1 or not worst.rows:
        raise worst
    said = f"of all files' lines {unreadable:,} of {rows + unreadable:,} are none"
    raise TooManyUnreadableError(f"{worst}; {said}", rows, unreadable)


def delivered_types(con: Connection) -> dict[str, str]:
    """The delivered columns of ``raw`` and their types."""
    rows = con.execute("DESCRIBE raw").fetchall()
    return {name: kind for name, kind, *_ in rows if name not in OWN}


def damaged_file(con: Connection, fetched: Fetched) -> SourceError | None:
    """The error that names the first file that cannot be read to its end; None when all can."""
    for number, file in enumerate(fetched.every):
        if file.format != "parquet":
            continue
        try:
            part = read_parquet(con, file, f"again_{number}")
            values = ", ".join(map(identifier, part.columns))
            con.execute(f"SELECT bit_xor(hash({values})) FROM {part.relation}").fetchone()
        except SourceError as error:
            return error
        except duckdb.Error as fault:
            return broken_off(file, fault)
    return None
