"""Parts of a day's quality record, as they lie in its JSON file."""

from typing import Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_STRICT = ConfigDict(strict=True, extra="allow")

# A rejected row's file, row number, reasons, ids, time, domain and labels, by column.
Example = dict[str, str | int | float | bool | None]


@with_config(_STRICT)
class CheckRecord(TypedDict):
    """One expectation's outcome; ``about``: the domains or columns that broke it, worst first."""

    rule: str
    severity: Literal["critical", "warning", "info"]
    sentence: str
    success: bool
    unexpected: int | None
    observed: float | None
    about: NotRequired[list[str]]
    detail: NotRequired[str]


@with_config(_STRICT)
class Rejection(TypedDict):
    """Rejected rows by file, reason, column and domain (empty: none is named)."""

    file: str
    reason: str
    column: str
    domain: str
    rows: int


@with_config(_STRICT)
class DomainRecord(TypedDict):
    """A domain's accepted ``rows`` and rejected ones, its labels, and its own verdict.

    ``conversions`` is absent where the log has none; ``drawn``: rows without a click that were
    drawn beside them.
    """

    domain: str
    key: str
    rows: int
    rejected: int
    clicks: int
    conversions: NotRequired[int]
    drawn: NotRequired[int]
    verdict: NotRequired[str]
    reasons: NotRequired[list[str]]


@with_config(_STRICT)
class RefusedDomain(TypedDict):
    """A domain whose rows of the day are kept out, with the rules that it broke."""

    domain: str
    key: str
    why: list[str]
    rules: NotRequired[list[str]]


class ReleaseRecord(TypedDict):
    """A release under which the day was judged."""

    at: str
    by: str
    why: str
    reasons: list[str]
    domains: list[str]
    content: NotRequired[str | None]


class ShownRelease(ReleaseRecord):
    """A release with its state: in force, pending, or of another delivery."""

    state: str
