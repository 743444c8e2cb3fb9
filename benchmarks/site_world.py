"""A ledger and quality records of many days and domains, made without running any of them."""

from datetime import date, timedelta
from typing import Any

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.drift.signals import SIGNALS
from driftune.io import write_json
from driftune.registry.ledger import Ledger
from driftune.registry.schema import adapters, champions, checks, days, decisions, switches

BACKBONE = "feedbeef" * 8
FIRST = date(2026, 3, 12)
# Rows that a signal's words keep, as the daily loop writes them.
TOLD = {"category_shown": 8, "category_clicked": 8, "hour": 24, "taste": 16, "category_rate": 8,
        "calibration": 8}  # fmt: skip
STATES = ("promoted", "rejected", "undecided", "superseded")
ODDS = (0.5, 0.35, 0.1, 0.05)
SLICES = ("new users", "known users", "new items", "known items", "heavy users", "light users")


class SiteWorld:
    """Days of decisions, gates, checks and quality records; the same for the same seed."""

    def __init__(self, config: Config, ledger: Ledger, domains: int, seed: int = 7) -> None:
        self.ledger, self.workspace = ledger, Workspace(config)
        self.rng = np.random.default_rng(seed)
        scenes = ("home", "search", "checkout", "favourites")
        names = [f"{scenes[n % 4]} · district {n // 4 + 1}" for n in range(domains)]
        self.domains = [(name, domain_key(name)) for name in names]
        self.versions = dict.fromkeys((key for _, key in self.domains), 0)
        self.told = {
            name: {"rows": [{"name": f"category {n}", "from": 0.1 + n / 100, "to": 0.12 + n / 90,
                             "weight": 1.0} for n in range(count)]}
            for name, count in TOLD.items()
        }  # fmt: skip

    def fill(self, number: int, count: int) -> list[date]:
        """Write ``count`` days, the first of them ``number`` days after the world's first."""
        calendar = [FIRST + timedelta(days=number + n) for n in range(count)]
        for day in calendar:
            self._day(day)
        return calendar

    def _day(self, day: date) -> None:
        made: dict[str, list[dict[str, Any]]] = {"decisions": [], "checks": [], "switches": [],
                                                 "adapters": []}  # fmt: skip
        counts = []
        for name, key in self.domains:
            rows = int(self.rng.integers(2000, 20_000))
            counts.append(
                {"domain": name, "key": key, "rows": rows, "rejected": int(rows * 0.001),
                 "clicks": int(rows * self.rng.uniform(0.14, 0.18)), "conversions": rows // 60}
            )  # fmt: skip
            self._decide(day, name, key, made)
        record = self._quality(day, counts)
        write_json(self.workspace.quality(day), record)
        tables = {"decisions": decisions, "checks": checks, "switches": switches,
                  "adapters": adapters}  # fmt: skip
        with self.ledger.write() as connection:
            for name, rows_of in made.items():
                if rows_of:
                    connection.execute(tables[name].insert(), rows_of)
            connection.execute(
                days.insert().values(
                    day=day.isoformat(), revision=1, content_hash="ab" * 32, lake_version=1,
                    rows=record["rows"] - record["rejected"], rejected=record["rejected"],
                    verdict=record["verdict"], recorded_at=0.0,
                )
            )  # fmt: skip
            for row in made["switches"]:
                key = row["domain_key"]
                connection.execute(champions.delete().where(champions.c.domain_key == key))
                connection.execute(
                    champions.insert().values(
                        domain_key=key, domain=row["domain"], version=row["to_version"],
                        decision_id=row["decision_id"], switched_at=row["at"],
                    )
                )  # fmt: skip

    def _decide(
        self, day: date, name: str, key: str, made: dict[str, list[dict[str, Any]]]
    ) -> None:
        alert = self.rng.random() < 0.04
        state = str(self.rng.choice(STATES, p=ODDS)) if alert else "stable"
        score = float(1 + self.rng.gamma(2, 2) if alert else self.rng.beta(2, 5))
        version, text = self.versions[key], day.isoformat()
        decision = f"{text}.{key}.r1.{BACKBONE[:8]}"
        at = 86_400.0 * day.toordinal() - 6.2e10
        common = {"domain": name, "domain_key": key, "backbone": BACKBONE}
        if version:
            made["checks"].append(
                {**common, "day": text, "revision": 1, "version": version, "against": 0,
                 "metric": "ctr_auc", "rows": 2000, "positives": 300, "p": 0.9, "error": 0.008,
                 "estimate": float(self.rng.normal(0.03, 0.01)), "pooled": 0.03,
                 "pooled_error": 0.004, "pooled_p": 1.0, "verdict": "holds", "restored": None,
                 "rule": "no look finds it worse", "data_version": "ab" * 8, "checked_at": at}
            )  # fmt: skip
        promoted = state == "promoted"
        if promoted:
            self.versions[key] += 1
            made["switches"].append(
                {**common, "action": "promote", "from_version": version, "to_version": version + 1,
                 "decision_id": decision, "who": "driftune", "reason": "the gate passed", "at": at}
            )  # fmt: skip
            made["adapters"].append(
                {**common, "version": version + 1, "sha256": "ab" * 32, "decision_id": decision,
                 "reference_days": [text], "mlflow_version": "1", "created_at": at}
            )  # fmt: skip
        judged = state in ("promoted", "rejected", "undecided")
        made["decisions"].append(
            {**common, "id": decision, "day": text, "revision": 1, "state": state, "score": score,
             "scores": self._scores(day, score), "sentence": "Drifted: noodles +22 points.",
             "data_version": "v12:ab12cd34", "champion_version": version, "attempts": int(judged),
             "gate": self._gate(promoted) if judged else None,
             "training": {"epochs": 9, "best_epoch": 6, "seconds": 4.0} if judged else None,
             "adapter_version": version + 1 if promoted else None, "decided_at": at,
             "updated_at": at}
        )  # fmt: skip

    def _scores(self, day: date, score: float) -> dict[str, Any]:
        auc = float(self.rng.normal(0.7, 0.01))
        before = [(day - timedelta(days=n)).isoformat() for n in range(28, 0, -1)]
        return {
            "rule": "strong evidence" if score >= 1 else "no evidence",
            "counts": {"rows": 20_000, "clicks": 3100, "reference_days": 28, "hours": 24},
            "reference": before, "settled": before[-5:], "matched": False, "limits": [0.001, 0.01],
            "moved": ["calibration", "auc", "category_clicked"] if score >= 1 else [],
            "signals": {
                name: {"distance": 0.0154, "p": float(p), "square": 2.4e-4, "usual": 2.9e-4,
                       "effect": 0.0245}
                for name, p in zip(SIGNALS, self.rng.random(len(SIGNALS)), strict=True)
            },
            "told": {**self.told, "auc": {"from": 0.7, "to": auc}},
        }  # fmt: skip

    def _gate(self, promoted: bool) -> dict[str, Any]:
        gain = float(abs(self.rng.normal(0.02, 0.01))) * (1 if promoted else -1)
        difference = {"champion": 0.68, "challenger": 0.68 + gain, "estimate": gain,
                      "low": gain - 0.01, "high": gain + 0.01, "rows": 4000, "positives": 600,
                      "users": 900, "effective_users": 700.0, "resamples": 1000}  # fmt: skip
        metrics = {"ctr_auc": 0.68, "ctcvr_auc": 0.7, "ctr_log_loss": 0.5, "ctr_calibration": 1.0}
        curve = [{"predicted": n / 20, "actual": n / 19, "rows": 400} for n in range(10)]
        return {
            "decision": "promote" if promoted else "reject", "metric": "ctr_auc",
            "guardrail_metric": "ctcvr_auc", "confidence": 0.95,
            "rules": [{"name": f"rule {n}", "verdict": "pass", "value": 1.0, "limit": "≥ 1",
                       "sentence": "What the rule found, in a sentence. " * 5} for n in range(14)],
            "champion": metrics, "challenger": metrics, "difference": difference,
            "guardrail": difference, "delong": {"estimate": gain, "low": gain - 0.01,
                                                "high": gain + 0.01},
            "halves": [difference, difference],
            "slices": [{"name": name, "verdict": "pass", "p": 0.4, "p_holm": 1.0,
                        "difference": difference} for name in SLICES],
            "calibration": {"champion": curve, "challenger": curve},
        }  # fmt: skip

    def _quality(self, day: date, counts: list[dict[str, Any]]) -> dict[str, Any]:
        warned = bool(self.rng.random() < 0.05)
        rows = sum(row["rows"] for row in counts)
        return {
            "day": day.isoformat(), "content_hash": "ab" * 32, "rows": rows,
            "verdict": "warning" if warned else "ok", "rejected": rows // 1000,
            "checks": [{"rule": f"rule_{n}", "severity": "warning", "success": n > 0 or not warned,
                        "sentence": "What the day should be, in a sentence.", "unexpected": None,
                        "observed": 1.0} for n in range(14)],
            "rejections": [{"file": f"impressions-{day}.parquet", "reason": "click_label",
                            "column": "click", "domain": row["domain"], "rows": 9}
                           for row in counts[:20]],
            "examples": [{"file": "f.parquet", "user_id": f"u{n}", "click": "7"}
                         for n in range(10)],
            "domains": counts, "hours": list(range(24)),
        }  # fmt: skip
