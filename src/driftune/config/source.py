"""Where the logs are, which days pre-training uses, and what taking in a day may use."""

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from driftune.config.base import Section, Share
from driftune.redact import redact


class Source(Section):
    """Where the day's files are: an fsspec URL or path with ``{day}``, globs allowed.

    A run without a day also takes up days before it that have arrived: the last ``late_days``
    ones, and after an outage up to ``catch_up_days`` since the newest that a run has taken in.
    With ``keep_columns`` the lake holds delivered columns that no role names, too.
    """

    uri: str = Field(repr=False)
    format: Literal["auto", "parquet", "csv", "jsonl"] = "auto"
    late_days: int = Field(3, ge=0)
    keep_columns: bool = True
    catch_up_days: int = Field(14, ge=0)

    @field_validator("uri")
    @classmethod
    def _has_day(cls, uri: str) -> str:
        if "{day}" not in uri:
            raise ValueError("must contain {day}")
        return uri


class Resources(Section):
    """What taking in a day may use: DuckDB's ``memory``; beyond it, files beside the staged day."""

    memory: str = Field("1.5GB", pattern=r"^[1-9][0-9]*(\.[0-9]+)?(MB|GB)$")


class Reference(Section):
    """The days that pre-training uses, both ends included."""

    first: date
    last: date
    uri: str | None = Field(None, repr=False)
    holdout: Share = 0.1

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @field_validator("uri")
    @classmethod
    def _no_secret(cls, uri: str | None) -> str | None:
        if uri is not None and redact(uri) != uri:
            raise ValueError("DVC would keep its password in dvc.lock; give it to fsspec")
        return uri

    @model_validator(mode="after")
    def _ordered(self) -> "Reference":
        if self.last < self.first:
            raise ValueError("last must not lie before first")
        return self
