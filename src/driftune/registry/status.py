"""The domains at a glance: champion, last drift, last decision."""

from datetime import UTC, datetime
from typing import Any

from driftune.registry.ledger import BASE, Ledger
from driftune.registry.waiting import QUIET


def domain_status(ledger: Ledger) -> list[dict[str, Any]]:
    """One row per domain that ever had a decision or a champion, sorted by name."""
    champions = ledger.champions()
    last = {row.domain_key: row for row in ledger.decisions()}
    moved = {row.domain_key: row for row in ledger.decisions() if row.state not in QUIET}
    rows = []
    for key in sorted({*last, *champions}):
        decision, champion = last.get(key), champions.get(key)
        acted = moved.get(key)
        rows.append(
            {
                "domain": decision.domain if decision else champions[key].domain,
                "key": key,
                "champion": champion.version if champion else BASE,
                "since": _day(champion.switched_at) if champion else None,
                "day": decision.day if decision else None,
                "drift": decision.score if decision else None,
                "state": decision.state if decision else None,
                "decision": decision.id if decision else None,
                "stale": decision.stale if decision else None,
                "last_adaptation": acted.id if acted else None,
            }
        )
    return sorted(rows, key=lambda row: row["domain"])


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
