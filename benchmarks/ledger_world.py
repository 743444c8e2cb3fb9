"""A ledger as a year of many domains leaves it, filled fast: few distinct documents, real sizes."""

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.site_world import BACKBONE, FIRST, SiteWorld
from driftune.config import Config
from driftune.domains import domain_key
from driftune.io import write_json
from driftune.registry.database import Database
from driftune.registry.ledger import Ledger
from driftune.registry.schema import adapters, champions, checks, days, decisions, switches

TABLES = {each.name: each for each in (decisions, checks, switches, adapters, days)}
# Distinct documents; each is written many times.
POOL = 64
# Of ten domains so many are too small to be measured, as the long tail of a platform is.
SMALL = 4
SMALL_COUNTS = {"rows": 96, "clicks": 3, "hours": 17, "reference_days": 28}
SMALL_SCORES = json.dumps({"rule": None, "counts": SMALL_COUNTS, "limits": [0.001, 0.01]})
STATES = ("promoted", "rejected", "undecided", "superseded")
ODDS = (0.5, 0.35, 0.1, 0.05)
# Share of measured domains that drift on a day, and that are only watched.
DRIFTS, WATCHED = 0.04, 0.05

Rows = dict[str, list[tuple[Any, ...]]]


class LedgerWorld:
    """Days of decisions, checks, champions and quality records; the same for the same seed."""

    def __init__(self, config: Config, ledger: Ledger, domains: int, seed: int = 7) -> None:
        self.ledger = ledger
        self.rng = np.random.default_rng(seed)
        self.site = SiteWorld(config, ledger, 0)
        names = [f"scene {n % 4} · district {n // 4 + 1}" for n in range(domains)]
        self.domains = [(name, domain_key(name)) for name in names]
        self.versions = [0] * domains
        self.promoted = [""] * domains
        today = FIRST + timedelta(days=30)
        self.scores = [json.dumps(self.site._scores(today, n / 40)) for n in range(POOL)]
        self.rules = [json.loads(text)["rule"] for text in self.scores]
        weak = {"champion": None, "challenger": None}
        self.gates = [
            json.dumps({**self.site._gate(yes), "weak": weak, "champion_serves": None})
            for yes in (False, True)
        ]
        self.number = 0

    def fill(self, count: int) -> list[date]:
        """Write the next ``count`` days; what indexes there are stay."""
        made = []
        for _ in range(count):
            day = FIRST + timedelta(days=self.number)
            self.number += 1
            self._write(self._day(day))
            made.append(day)
        self._point()
        return made

    def fill_anew(self, count: int) -> None:
        """As ``fill``, of an empty ledger whose indexes are made after it."""
        with self.ledger.write() as connection:
            for table in (decisions, checks):
                for index in table.indexes:
                    index.drop(connection)
        self.fill(count)

    def _day(self, day: date) -> Rows:
        text, at = day.isoformat(), 86_400.0 * (day.toordinal() - 719_163)
        rows: Rows = {name: [] for name in TABLES}
        chance = self.rng.random(len(self.domains))
        ends = self.rng.choice(STATES, size=len(self.domains), p=ODDS)
        counts = []
        for place, (name, key) in enumerate(self.domains):
            small = place % 10 < SMALL
            own = f"{text}.{key}.r1.{BACKBONE[:8]}"
            version, drawn = self.versions[place], (place * 7 + self.number) % POOL
            state = "stable" if chance[place] > DRIFTS + WATCHED else "watched"
            if small:
                state = "insufficient"
            elif chance[place] < DRIFTS:
                state = str(ends[place])
            counts.append({"domain": name, "key": key, "rows": 96 if small else 9_000,
                           "rejected": 9, "clicks": 1400, "conversions": 150})  # fmt: skip
            promoted, judged = state == "promoted", state in STATES[:3]
            if version:
                rows["checks"].append(self._check(text, key, name, version, at))
            if promoted:
                self.versions[place] += 1
                self.promoted[place] = own
                rows["switches"].append((key, name, "promote", version, version + 1, own,
                                         "driftune", "the gate passed", at + place))  # fmt: skip
                rows["adapters"].append((key, version + 1, name, "ab" * 32, BACKBONE, own,
                                         json.dumps([text]), "1", at + place))  # fmt: skip
            rows["decisions"].append(
                (own, name, key, text, 1, BACKBONE, state, None if small else drawn / 40,
                 SMALL_SCORES if small else self.scores[drawn],
                 "Too few rows to judge." if small else "Drifted: noodles +22 points.",
                 "v12:ab12cd34", version, int(judged), self.gates[promoted] if judged else None,
                 '{"epochs": 9, "best_epoch": 6, "seconds": 4.0}' if judged else None,
                 version + 1 if promoted else None, "" if small else self.rules[drawn],
                 at + place / 1e4, at + place / 1e4)
            )  # fmt: skip
        record = self.site._quality(day, counts)
        write_json(self.site.workspace.quality(day), record)
        rows["days"].append((text, 1, "ab" * 32, self.number, record["rows"], 9, "ok", at))
        return rows

    def _check(self, text: str, key: str, name: str, version: int, at: float) -> tuple[Any, ...]:
        return (text, 1, key, version, 0, name, "ctr_auc", 2000, 300, 0.03, 0.008, 0.9, 0.03, 0.004,
                1.0, "holds", "no look finds it worse", "ab" * 8, BACKBONE, at, text)  # fmt: skip

    def _write(self, rows: Rows) -> None:
        with self.ledger.write() as connection:
            for name, found in rows.items():
                if not found:
                    continue
                names = COLUMNS[name].split()
                if connection.dialect.name == "postgresql":
                    raw = connection.connection.cursor()
                    with raw.copy(f"COPY {name} ({', '.join(names)}) FROM STDIN") as copy:
                        for row in found:
                            copy.write_row(row)
                    continue
                marks = ", ".join("?" * len(names))
                text = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})"
                connection.exec_driver_sql(text, found)

    def _point(self) -> None:
        """Let the champions' pointers say who was promoted last."""
        pointers = [
            {"domain_key": key, "domain": name, "version": version, "decision_id": own,
             "switched_at": 86_400.0 * (date.fromisoformat(own[:10]).toordinal() - 719_163)}
            for (name, key), version, own in zip(
                self.domains, self.versions, self.promoted, strict=True)
            if version
        ]  # fmt: skip
        with self.ledger.write() as connection:
            connection.execute(champions.delete())
            if pointers:
                connection.execute(champions.insert(), pointers)


COLUMNS = {
    "decisions": "id domain domain_key day revision backbone state score scores sentence "
    "data_version champion_version attempts gate training adapter_version rule decided_at "
    "updated_at",
    "checks": "day revision domain_key version against domain metric rows positives estimate error "
    "p pooled pooled_error pooled_p verdict rule data_version backbone checked_at as_of",
    "switches": "domain_key domain action from_version to_version decision_id who reason at",
    "adapters": "domain_key version domain sha256 backbone decision_id reference_days "
    "mlflow_version created_at",
    "days": "day revision content_hash lake_version rows rejected verdict recorded_at",
}


def settle(ledger: Database) -> None:
    """What a server does by itself after a while: statistics, and pages known to be visible."""
    if ledger.engine.dialect.name == "postgresql":
        plain = ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with plain as connection:
            for name in TABLES:
                connection.execute(sa.text(f"VACUUM (ANALYZE) {name}"))
