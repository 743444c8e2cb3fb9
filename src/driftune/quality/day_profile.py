"""The profile of a day as it is kept: typed, and its JSON file."""

from datetime import date
from typing import NotRequired, TypedDict

from driftune.config.workspace import Workspace
from driftune.errors import LakeError
from driftune.io import read_json, write_sealed

FORMAT = 1


class DomainCounts(TypedDict):
    """Rows of one domain; ``rows`` are the accepted ones, ``copies`` the rejected exact copies.

    ``conversions`` is absent where the log has none.
    """

    delivered: int
    rows: int
    rejected: int
    copies: int
    clicks: int
    conversions: NotRequired[int]


class AttributeProfile(TypedDict, total=False):
    """How a column goes with items and users; what could not be measured is absent.

    ``per_item``: of the rows whose item has several, the share that differs from the item's most
    frequent value, and ``per_item_rows`` such rows; ``items``: the value of each frequent item.
    The same of users.
    """

    per_item: float
    per_item_rows: int
    per_user: float
    per_user_rows: int
    items: dict[str, float | str]
    users: dict[str, float | str]


class ColumnProfile(AttributeProfile):
    """A column over the ``looked`` rows that were drawn: ``kind`` is number, value or id.

    Numbers have ``bins`` (a histogram) and rows ``outside`` their range, values their most frequent
    ones (``whole``: these are all), ids their ``formats`` and most frequent ones (``top``).
    ``known``: the share of rows whose id is in the encoder's vocabulary.
    """

    kind: str
    looked: int
    nulls: int
    distinct: int
    bins: NotRequired[dict[str, int]]
    outside: NotRequired[int]
    values: NotRequired[dict[str, int]]
    whole: NotRequired[bool]
    formats: NotRequired[dict[str, int]]
    top: NotRequired[dict[str, int]]
    known: NotRequired[float]


class DayProfile(TypedDict):
    """A day's accepted rows in figures, for the days after it to compare with.

    ``day`` is ISO 8601; ``hours`` are rows by hour; ``silent_hours`` lie between the newest
    impression and the end of the day; ``repeated`` is the share of repeated impressions, ``trace``
    a hash of who saw what and when, ``vocabulary`` the encoder's fingerprint. A day that is known
    by its quality record alone lacks what is not required.
    """

    format: int
    day: str
    rows: int
    domains: dict[str, DomainCounts]
    columns: dict[str, ColumnProfile]
    content_hash: NotRequired[str]
    delivered: NotRequired[int]
    files: NotRequired[int]
    silent_hours: NotRequired[float | None]
    written_early: NotRequired[int]
    hours: NotRequired[list[int]]
    vocabulary: NotRequired[str | None]
    repeated: NotRequired[float]
    trace: NotRequired[str]


def write_profile(workspace: Workspace, profile: DayProfile) -> None:
    """Keep the profile of an accepted day."""
    write_sealed(workspace.quality_profile(date.fromisoformat(profile["day"])), profile)


def read_profile(workspace: Workspace, day: date) -> DayProfile | None:
    """The profile of a day; None when it has none or one of another format.

    Raises:
        LakeError: when it is damaged: later days would be compared with something else.
    """
    path = workspace.quality_profile(day)
    try:
        found = read_json(path) if path.exists() else None
    except ValueError:
        raise LakeError(
            f"{path}: the day's figures are damaged; take the day in again: driftune run --day "
            f"{day}; or delete the file, then later days are compared with its quality record alone"
        ) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    if not all(isinstance(found.get(part), dict) for part in ("domains", "columns")):
        return None
    # Written by this module in this format.
    profile: DayProfile = {**found}  # type: ignore[typeddict-item]  # its parts were seen above
    return profile if profile.get("day") == day.isoformat() else None
