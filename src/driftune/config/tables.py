"""Side tables: what is known of users, items and the like beside the logs."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from driftune.config.base import Section
from driftune.config.days import checked_template, names_day
from driftune.config.source import CsvOptions
from driftune.redact import redact

_NAME = re.compile(r"[^\W\d]\w{0,59}")
# What an expression may call a row's own values (see ``lake.roles``).
ROLES = (
    *("user", "item", "domain", "category", "request"),
    *("price", "position", "propensity"),
)


class SideTable(Section):
    """One row a key, found for each row of the logs; its columns are called ``TABLE.COLUMN``.

    A key is compared with the logs' column as ids are, by its writing: 7 and ``007`` are two. Rows
    whose key is not in the table have nulls, and are counted (``table_key_missing``).
    """

    uri: str = Field(repr=False)
    """Its file or files; with `{day}`, those of a day."""
    key: str = Field(min_length=1)
    """The column with the key; no two rows have the same."""
    # `on`, as SQL has it, would be true in YAML.
    matches: str | None = Field(None, min_length=1)
    """The column of the logs that holds the key; null: the one called as `key`."""
    columns: list[str] = Field(min_length=1)
    """Columns that roles, features and expressions may name."""
    as_of: Literal["day", "day_before", "latest"] = "day"
    """`day`: the files of the logs' day (`uri` has `{day}`), a change of which changes the day;
    `latest`: of the newest day up to it, or without `{day}` the files as they are when the day is
    taken in; `day_before`: of the newest day before it. A table that is made after its day knows
    that day's clicks: with counts of clicks, `day` and `latest` give the model the label; take
    `day_before`."""
    format: Literal["auto", "parquet", "csv", "jsonl"] = "auto"
    """Format of the files; `auto` goes by the ending."""
    csv: CsvOptions = CsvOptions()
    """How CSV files are written."""

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: list[str]) -> list[str]:
        seen: set[str] = set()
        for name in columns:
            if not name or name.lower() in seen:
                raise ValueError(f"names {name!r} twice; leave one out" if name else "is empty")
            seen.add(name.lower())
        return columns

    @field_validator("uri")
    @classmethod
    def _no_secret(cls, uri: str) -> str:
        if redact(uri) != uri:
            raise ValueError("DVC would keep its password in dvc.lock; give it to fsspec")
        return uri

    @model_validator(mode="after")
    def _has_day(self) -> Self:
        if names_day(self.uri):
            checked_template(self.uri, each=self.as_of == "day")
        elif self.as_of != "latest":
            raise ValueError("uri must contain {day}; for a file of no day write as_of: latest")
        return self

    @property
    def logs_column(self) -> str:
        """The column of the logs that holds the key."""
        return self.matches or self.key

    @property
    def is_undated(self) -> bool:
        """Whether its files are those of no day, and may be others when a day is read again."""
        return not names_day(self.uri)


def checked_names(tables: dict[str, SideTable]) -> dict[str, SideTable]:
    """Tables whose names can stand in an expression.

    Raises:
        ValueError: for a name that cannot.
    """
    seen: dict[str, str] = {}
    for name in tables:
        if not _NAME.fullmatch(name) or name.lower().startswith("_driftune"):
            raise ValueError(f"{name!r} is no name of a table; use letters, digits and _")
        if name.lower() in ROLES:
            raise ValueError(f"{name!r} is a role; call the table otherwise, such as {name}s")
        if other := seen.get(name.lower()):
            raise ValueError(f"{name!r} and {other!r} differ only in case; call one otherwise")
        seen[name.lower()] = name
    return tables
