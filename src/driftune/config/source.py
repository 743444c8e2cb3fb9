"""Where the logs are, which days pre-training uses, and what taking in a day may use."""

import codecs
from datetime import date, timedelta
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from driftune.config.base import Section, Share
from driftune.config.days import checked_template, names_day
from driftune.config.explode import Explode
from driftune.redact import redact

# An option before it is validated.
Given = str | int | bool | list[str] | None


class CsvOptions(Section):
    """How CSV files are written. What is not said is found from the header, the same for all rows.

    A blank line is no row. A value is null where it is one of ``null`` and not quoted.
    """

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """The sign between values; null: that of , ; | and tab by which the header reads best."""
    quote: str = Field('"', max_length=1)
    """The sign around values that hold others; empty: there is none."""
    escape: str | None = Field(None, min_length=1, max_length=1)
    """The sign before a quote within quotes; null: the quote itself."""
    encoding: str = "utf-8"
    """Encoding of the text, as Python calls it."""
    header: int | list[str] | bool = 1
    """The line that names the columns; the lines before it are left out. Or the names, of files
    without such a line; false: the columns are called column0, column1, …."""
    null: list[str] = [""]
    """What is written for no value; the empty text by default."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_key(cls, given: dict[str | None, Given]) -> dict[str | None, Given]:
        # YAML reads a bare `null:` as no name at all.
        if not isinstance(given, dict):
            return given
        return {"null" if key is None else key: value for key, value in given.items()}

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
            return codecs.lookup(encoding).name
        except (LookupError, ValueError):
            raise ValueError("is no encoding that Python knows, such as utf-16 or cp1252") from None

    @field_validator("header", mode="before")
    @classmethod
    def _line(cls, header: str | int | list[str] | bool) -> int | list[str] | bool:
        if header is True:
            return 1
        if isinstance(header, str):
            raise ValueError("must be a line's number, a list of names, or false")
        if header is not False and isinstance(header, int) and header < 1:
            raise ValueError("lines are counted from 1")
        return header

    @field_validator("null", mode="before")
    @classmethod
    def _listed(cls, null: str | list[str]) -> list[str]:
        return [null] if isinstance(null, str) else null


class Source(Section):
    """Where the day's files are: an fsspec URL or path with ``{day}``, globs allowed.

    A run without a day also takes up days before it that have arrived: the last ``late_days``
    ones, and after an outage up to ``catch_up_days`` since the newest that a run has taken in.
    With ``keep_columns`` the lake holds delivered columns that no role names, too.
    """

    day_from: Literal["uri", "time"] = "uri"
    """What says a row's day: `{day}` in `uri`; or with `time` its `columns.time` in `timezone`, of
    files that hold many days, whose `uri` has no `{day}`."""
    uri: str = Field(repr=False)
    """Template of the day's files with `{day}`, or its form, such as `{day:%Y/%m/%d}`: path,
    `s3://`, `gs://`; globs allowed."""
    format: Literal["auto", "parquet", "csv", "jsonl"] = "auto"
    """Format of the files; `auto` goes by the ending."""
    csv: CsvOptions = CsvOptions()
    """How CSV files are written."""
    partitions: list[str] | None = None
    """Columns whose values are parts of the files' paths, `NAME=VALUE`; null: those that a role
    names and a file lacks. A column of the file goes before its path's."""
    explode: Explode | None = None
    """Lists of a row whose elements become rows; null: a row is an impression."""
    late_days: int = Field(3, ge=0)
    """Days before the last one that a scheduled run takes in when they arrive late."""
    keep_columns: bool = True
    """Keep columns that no role names in the lake, as `d_NAME`."""
    catch_up_days: int = Field(14, ge=0)
    """Days that a run goes back at most after an outage."""

    @field_validator("uri")
    @classmethod
    def _has_day(cls, uri: str, info: ValidationInfo) -> str:
        if info.data.get("day_from") != "time":
            return checked_template(uri)
        if names_day(uri):
            raise ValueError(
                "names {day}, and source.day_from: time takes the day from each row; leave one out"
            )
        return uri

    def check_time(self, time: str | None, *, of_table: bool) -> None:
        """See that each delivered row has a time of its own where that says its day.

        Args:
            time: the column of the time; None where it is an expression.
            of_table: whether that is a side table's.

        Raises:
            ValueError: where it has none.
        """
        if self.day_from != "time":
            return
        if of_table:
            raise ValueError(
                f"source.day_from = 'time' needs a time in the logs: columns.time = {time!r} is a "
                "column of a side table; name one of the logs"
            )
        if self.explode is not None and time in self.explode.columns:
            raise ValueError(
                f"source.day_from = 'time' needs one time a row: columns.time = {time!r} is one "
                "of source.explode.columns; name a time of the whole list"
            )


class Resources(Section):
    """What taking in a day may use: DuckDB's ``memory``; beyond it, files beside the staged day."""

    memory: str = Field("1.5GB", pattern=r"^[1-9][0-9]*(\.[0-9]+)?(MB|GB)$")
    """Memory of DuckDB while a day is taken in; the rest goes to files."""


class Reference(Section):
    """The days that pre-training uses, both ends included."""

    first: date
    """First reference day."""
    last: date
    """Last reference day."""
    uri: str | None = Field(None, repr=False)
    """Template of their files; null: that of `source`."""
    holdout: Share = 0.1
    """Share of each domain's rows, its newest ones, that evaluates the backbone."""

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @field_validator("uri")
    @classmethod
    def _no_secret(cls, uri: str | None) -> str | None:
        if uri is not None:
            checked_template(uri)
        if uri is not None and redact(uri) != uri:
            raise ValueError("DVC would keep its password in dvc.lock; give it to fsspec")
        return uri

    @model_validator(mode="after")
    def _ordered(self) -> "Reference":
        if self.last < self.first:
            raise ValueError(
                f"last must not lie before first: {self.last} is before {self.first}; exchange them"
            )
        return self
