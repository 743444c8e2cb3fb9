"""The history of a domain's champion: every switch of its pointer."""

from datetime import UTC, datetime
from typing import TypedDict

import sqlalchemy as sa

from driftune.registry.ledger import Ledger
from driftune.registry.schema import adapters, decisions

SwitchEntry = TypedDict(
    "SwitchEntry",
    {
        "at": str,
        "action": str,
        "from": int,
        "to": int,
        "who": str,
        "why": str,
        "decision": str | None,
        "data_version": str | None,
        "backbone": str | None,
        "stale": str | None,
    },
)


def switch_history(ledger: Ledger, key: str) -> list[SwitchEntry]:
    """The switches of a domain, oldest first, as plain values; ``at`` is ISO 8601 in UTC.

    ``data_version`` and ``backbone`` are None where the ledger was written by a release that did
    not keep them, or where the switch rests on no data; ``stale`` says which day that its decision
    used was delivered anew since.
    """
    query = sa.select(decisions.c.id, decisions.c.stale)
    found = ledger.read(query.where(decisions.c.domain_key == key, decisions.c.stale.is_not(None)))
    stale = {row.id: row.stale for row in found}
    return [
        {
            "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds"),
            "action": row.action,
            "from": row.from_version,
            "to": row.to_version,
            "who": row.who,
            "why": row.reason,
            "decision": row.decision_id,
            "data_version": row.data_version,
            "backbone": row.backbone,
            "stale": stale.get(row.decision_id or ""),
        }
        for row in ledger.switches(key)
    ]


def mlflow_versions(ledger: Ledger) -> dict[tuple[str, int], str | None]:
    """MLflow's version of every adapter, by domain key and version; None where it has none."""
    table = adapters
    query = sa.select(table.c.domain_key, table.c.version, table.c.mlflow_version)
    return {(key, version): mlflow for key, version, mlflow in ledger.read(query)}
