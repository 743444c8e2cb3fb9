"""Rows: what the ledger's tables hold, typed, in the order of their columns.

Days are ISO dates, times seconds since 1970.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypedDict


class DayRecord(NamedTuple):
    """A day in the lake: its content's hash and version, the rows that were taken in."""

    day: str
    revision: int
    content_hash: str
    lake_version: int
    rows: int
    rejected: int
    verdict: str
    recorded_at: float


class AdapterRecord(NamedTuple):
    """An adapter version of a domain; ``sha256`` of its files, ``reference_days`` trained on."""

    domain_key: str
    version: int
    domain: str
    sha256: str
    backbone: str
    decision_id: str
    reference_days: list[str]
    mlflow_version: str | None
    created_at: float


class Pointer(NamedTuple):
    """A domain's champion pointer: the version that serves since ``switched_at``."""

    domain_key: str
    domain: str
    version: int
    decision_id: str | None
    switched_at: float


class SwitchRecord(NamedTuple):
    """A switch of a champion, as the audit keeps it (see ``Switch``)."""

    id: int
    domain_key: str
    domain: str
    action: str
    from_version: int
    to_version: int
    decision_id: str | None
    who: str
    reason: str
    at: float
    data_version: str | None
    backbone: str | None
    data_day: str | None


class Finding(TypedDict):
    """A line about one thing that was looked at, and whether it is as it should be."""

    what: str
    ok: bool


class RunRecord(NamedTuple):
    """The newest run of a day; ``stations``: names and seconds; ``succeeded``: None under way."""

    day: str
    started_at: float
    stations: list[tuple[str, float]]
    succeeded: bool | None


MessageFacts = TypedDict(
    "MessageFacts",
    {
        "decision": str,
        # Of an alert.
        "rule": str | None,
        "score": float | None,
        "state": str,
        "sentence": str,
        # Of a promotion or a rejection.
        "version": int,
        "metric": str,
        "gain": float | None,
        "low": float | None,
        "high": float | None,
        "rules": list[str],
        "weak": list[str],
        # Of a switch.
        "who": str,
        "reason": str,
        "from": int,
        "to": int,
        # Of a day's quality.
        "problems": list[str],
        "rows": int,
        "reasons": list[str],
        # Of a failure.
        "run": str,
        "error": str,
        "todo": str,
    },
    total=False,
)
"""What a message tells; each kind has its own of these."""


class Message(NamedTuple):
    """A message to be sent; ``facts``: what it tells; ``delivered``: targets that have it."""

    id: str
    kind: str
    domain: str | None
    domain_key: str | None
    day: str | None
    facts: MessageFacts
    delivered: list[str]
    queued_at: float
    lease_until: float | None
    sent_at: float | None


@dataclass(frozen=True)
class Switch:
    """A switch of a domain's champion to be made, from version ``expected`` to ``version``.

    ``data_version``: of the data that spoke for it; ``backbone``: the fingerprint of the one that
    served then; ``data_day``: the newest day in the lake, of a switch by hand.
    """

    key: str
    domain: str
    action: str
    expected: int
    version: int
    decision_id: str | None
    who: str
    reason: str
    data_version: str | None = None
    backbone: str | None = None
    data_day: str | None = None
