"""Compare two ledgers by content: `python scripts/same_decisions.py OLD/ledger.db NEW/ledger.db`.

Every decision (day, domain, state, scores, gate report, training figures), every switch of a
champion, every adapter's hash and every check of the guard, but for times, owners and seconds
spent. Floating-point numbers may differ by a billionth. Prints what differs; exits 1 if anything
does.
"""

import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

TABLES = {
    "decisions": "id",
    "champions": "domain_key",
    "adapters": "domain_key, version",
    "switches": "id",
    "checks": "day, domain_key, version, against",
    "days": "day",
}
# Moments, owners of claims and how long something took say nothing of what was decided.
LEFT_OUT = {
    "at", "attempts", "checked_at", "created_at", "decided_at", "lease_until", "owner",
    "recorded_at", "seconds", "switched_at", "updated_at", "version_of_record", "who",
}  # fmt: skip
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


def main() -> None:
    """Compare the ledgers that the command line names."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {Path(sys.argv[0]).name} OLD/ledger.db NEW/ledger.db")
    old, new = (dict(_content(Path(path))) for path in sys.argv[1:])
    different = [f"{name}: only in the {where}" for name, where in _lacking(old, new)]
    for name in sorted(old.keys() & new.keys()):
        different += [f"{name}: {line}" for line in _differences(old[name], new[name])]
    print("\n".join(different[:100]) or f"the same: {len(old)} records")
    sys.exit(1 if different else 0)


def _content(path: Path) -> Iterator[tuple[str, dict[str, Value]]]:
    """Every record by table and key."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as con:
        con.row_factory = sqlite3.Row
        for table, key in TABLES.items():
            for row in con.execute(f"SELECT * FROM {table} ORDER BY {key}"):
                values = {name: _parsed(row[name]) for name in row.keys()}  # noqa: SIM118
                name = "/".join(str(row[part]) for part in key.split(", "))
                yield f"{table} {name}", values


def _parsed(value: Value) -> Value:
    """A column's value; JSON documents as what they hold, but for the number of their form."""
    if isinstance(value, str) and value[:1] in "[{":
        document = json.loads(value)
        if isinstance(document, dict):
            document.pop("version", None)
        return document
    return value


def _lacking(
    old: dict[str, dict[str, Value]], new: dict[str, dict[str, Value]]
) -> list[tuple[str, str]]:
    return [(name, "first") for name in old.keys() - new.keys()] + [
        (name, "second") for name in new.keys() - old.keys()
    ]


def _differences(old: Value, new: Value, place: str = "") -> Iterator[str]:
    """What differs between two values, by where in them it lies."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if name not in LEFT_OUT and old.get(name) != new.get(name):
                yield from _differences(old.get(name), new.get(name), f"{place}.{name}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{place}[{number}]")
    elif isinstance(old, float) and isinstance(new, float) and math.isclose(old, new):
        # Evidently adds up over sets, in the order of this process's hash seed.
        return
    elif old != new:
        yield f"{place}: {old!r} → {new!r}"


if __name__ == "__main__":
    main()
