"""A synthetic ledger and workspace for the review site: every state, hostile names, gaps."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.drift.signals import SIGNALS
from driftune.io import write_json
from driftune.registry.ledger import Ledger
from driftune.registry.rows import Switch
from driftune.registry.schema import checks, decisions
from driftune.reports import build_site
from tests.records import as_records

FIRST = date(2026, 3, 12)
HOSTILE = (
    "<script>alert(1)</script>",
    "../../x",
    "'; drop table decisions; --",
    "a/b & </script><b>",
    "🍜 深夜",
    "x" * 300,
)
PLAIN = ("home · north", "home · south", "search · north", "search · south")
DRIFTED = ("promoted", "rejected", "undecided", "pending", "claimed", "failed", "waiting")


def gate_report(decision: str, gain: float = 0.018) -> dict[str, Any]:
    """A gate report as ``challenge`` writes it."""
    half = abs(gain) / 2 + 0.004
    metrics = {
        "ctr_auc": 0.684,
        "ctcvr_auc": 0.701,
        "ctr_log_loss": 0.512,
        "ctr_calibration": 1.04,
        "rows": 1890,
        "clicks": 402,
        "conversions": 61,
    }
    difference = {
        "champion": 0.684,
        "challenger": 0.684 + gain,
        "estimate": gain,
        "low": gain - half,
        "high": gain + half,
        "users": 612,
        "effective_users": 431.6,
        "resamples": 1000,
        "dropped": 0,
    }
    lies = "lies above zero" if gain - half > 0 else "does not exclude zero"
    rules = [
        ("enough rows", "pass", "1,890 rows are enough: at least 300 are needed"),
        (
            "interval above zero",
            "pass" if gain - half > 0 else "fail",
            f"CTR-AUC {0.684 + gain:.3f} vs 0.684: {gain:+.3f} (95% interval {gain - half:+.3f} "
            f"to {gain + half:+.3f}) {lies}",
        ),
        ("guardrail", "unknown", "CTCVR-AUC cannot be judged: 12 conversions in 1,890 rows"),
    ]
    return {
        "decision": decision,
        "rules": [
            {"name": name, "verdict": verdict, "value": 1.0, "limit": "≥ 1", "sentence": sentence}
            for name, verdict, sentence in rules
        ],
        "metric": "ctr_auc",
        "guardrail_metric": "ctcvr_auc",
        "confidence": 0.95,
        "champion": metrics,
        "challenger": {**metrics, "ctr_auc": 0.684 + gain, "ctr_calibration": None},
        "difference": difference,
        "guardrail": {**difference, "estimate": 0.004, "low": -0.02, "high": 0.03},
        "delong": {"estimate": gain, "error": 0.002, "low": gain - 0.004, "high": gain + 0.004},
        "halves": [part(gain + 0.001), part(gain - 0.001)],
        "slices": [
            {"name": name, "verdict": verdict, "p": 0.4, "p_holm": 1.0, "difference": part(value)}
            for name, verdict, value in (
                ("new users", "unknown", None),
                ("known users", "pass", gain),
                ("new items", "fail", -0.03),
            )
        ],
        "calibration": {
            side: [
                {"predicted": rate, "actual": rate * off, "rows": 190} for rate in (0.1, 0.2, 0.4)
            ]
            for side, off in (("champion", 1.2), ("challenger", 1.0))
        },
        "off_policy": off_policy(),
        "champion_version": 0,
        "champion_serves": 0,
        "challenger_sha256": "c0ffee" * 10 + "abcd",
        "split": {},
    }


def part(estimate: float | None) -> dict[str, Any]:
    """The difference of a part of the gate's rows, as its report has it."""
    ends = (None, None) if estimate is None else (estimate - 0.02, estimate + 0.02)
    return {
        "estimate": estimate,
        "low": ends[0],
        "high": ends[1],
        "rows": 400,
        "positives": 80,
    }


def off_policy() -> dict[str, Any]:
    """Off-policy estimates as ``OffPolicy.to_dict`` gives them."""
    value = {"value": 0.16, "low": 0.15, "high": 0.17, "ess": 950.0, "refused": None}
    gained = {"value": 0.002, "low": -0.001, "high": 0.005, "ess": 950.0, "refused": None}
    names = ("ips", "snips", "dr")
    return {
        "refused": None,
        "logged": value,
        "champion": dict.fromkeys(names, value),
        "challenger": dict.fromkeys(names, value),
        "difference": dict.fromkeys(names, gained),
    }


def training_figures(day: date) -> dict[str, Any]:
    """Training figures as ``finetune`` returns them."""
    span = {"rows": 3200, "from": f"{day}T00:01:02.123456", "to": f"{day}T14:59:02.5"}
    return {
        "started_from": 0,
        "split": {"train": span, "select": span, "gate": span},
        "best_epoch": 6,
        "epochs": 9,
        "kl_bits": 3.1416,
        "parameters": 12_345,
        "seconds": 4.2,
    }


def drift_scores(rng: np.random.Generator, score: float) -> dict[str, Any]:
    """What a decision keeps of its signals, the strongest evidence at ``score``."""
    limit = 1e-3
    names = ["noodles", "coffee", "salads", "<b>burgers</b>", "(other)", "breakfast and brunch"]

    def rows(ratio: bool = False) -> list[dict[str, Any]]:
        sides = rng.dirichlet([3] * 6, 2) * (6 if ratio else 1)
        return [
            {"name": name, "from": float(then), "to": float(now), "weight": 1.0}
            for name, then, now in zip(names, *sides, strict=True)
        ]

    return {
        "rule": "strong evidence" if score >= 1 else "no evidence",
        "counts": {"rows": 2000, "clicks": 510, "reference_days": 2, "hours": 24},
        "reference": ["2026-03-10", "2026-03-11"],
        "settled": ["2026-03-10", "2026-03-11"],
        "matched": False,
        "limits": [limit, 0.01],
        "moved": ["calibration", "auc", "category_clicked"] if score >= 1 else [],
        "signals": {
            name: {
                "distance": 0.1,
                "p": limit ** (score if name == "calibration" else float(rng.random()) * score),
                "effect": 0.2,
            }
            for name in SIGNALS
        },
        "told": {
            "calibration": {"rows": rows(ratio=True)},
            "category_clicked": {"rows": rows()},
            "auc": {"from": 0.7, "to": 0.66},
        },
    }


# As Great Expectations words a broken rule, in the form that quality.docs gives it.
DOCS = [
    {
        "title": "domain",
        "tables": [
            {
                "title": "",
                "head": ["Status", "Expectation", "Observed Value"],
                "rows": [
                    [
                        [{"status": "broken"}],
                        [
                            {"text": "values must belong to this set: " + "a very long name " * 40},
                            {"table": {"title": "", "head": ["Unexpected Value", "Count"],
                                       "rows": [[[{"text": "<b>x</b>"}], [{"text": "37"}]]]}},
                        ],
                        [{"text": "0.3% unexpected"}],
                    ]
                ],
            }
        ],
    }
]  # fmt: skip


class Site:
    """A workspace with a ledger, filled by hand, and the site built from it."""

    def __init__(self, config: Config, ledger: Ledger) -> None:
        self.config = config
        self.ledger = ledger
        self.workspace = Workspace(config)
        self.rng = np.random.default_rng(7)

    def whole(self) -> "Site":
        """Eight days of plain and hostile domains, every state among them, built."""
        domains = PLAIN + HOSTILE
        self.fill(domains, 8)
        last = FIRST + timedelta(days=8)
        self.day(last, domains)
        for domain, state in zip(domains, (*DRIFTED, "stable", "insufficient"), strict=False):
            score = {"stable": 0.4, "insufficient": None}.get(state, 1.8)
            self.decide(domain, last, state, score)
        self.build()
        return self

    def build(self, **choices: Any) -> Path:
        """Build the site; returns the front page."""
        return build_site(self.config, self.ledger, **choices)

    def text(self, path: str = "index.html") -> str:
        """A page's text."""
        return (self.workspace.reports / path).read_text(encoding="utf-8")

    def decision_text(self, domain: str, day: date) -> str:
        """The text of a decision's page."""
        return self.text(f"decision/{day}/{domain_key(domain)}.html")

    def day(self, day: date, domains: tuple[str, ...], verdict: str = "ok", **changes: Any) -> None:
        """Write a day's quality record and, unless it is refused, its ledger row."""
        refused = verdict == "refused"
        write_json(self.workspace.docs_record(day), DOCS)
        checks = [
            ("enough_rows", "critical", "The day has at least 100 rows.", True, None, 12_000.0),
            ("rejected_share", "critical", "At most 20% of the rows are rejected.", not refused,
             None, 0.41),
            ("click_rate", "warning", "The click rate lies between 0.1% and 90%.", True, None, 0.2),
            ("click_label", "warning", "The click label is 0 or 1.", verdict == "ok", 37, None),
        ]  # fmt: skip
        names = ("rule", "severity", "sentence", "success", "unexpected", "observed")
        record = {
            "day": day.isoformat(),
            "content_hash": "ab" * 32,
            "verdict": verdict,
            "rows": 12_000,
            "rejected": 0 if verdict == "ok" else 37,
            "checks": [dict(zip(names, check, strict=True)) for check in checks],
            "rejections": []
            if verdict == "ok"
            else [
                {
                    "file": f"impressions-{day}.parquet",
                    "reason": "click_label",
                    "column": "click",
                    "domain": domains[0] if domains else "",
                    "rows": 37,
                }
            ],
            "examples": []
            if verdict == "ok"
            else [{"file": "f.parquet", "user_id": None, "click": "<img src=x onerror=a()>"}],
            "domains": [
                {
                    "domain": name,
                    "key": domain_key(name),
                    "rows": 1200 + place,
                    "rejected": 0,
                    "clicks": 240,
                    "conversions": 31,
                }
                for place, name in enumerate(domains)
            ],
            "hours": list(range(24)),
        } | changes
        write_json(self.workspace.quality(day), record)
        if not refused:
            self.ledger.record_day(
                day, content_hash="ab" * 32, lake_version=1, rows=11_963, rejected=37,
                verdict=verdict,
            )  # fmt: skip

    def decide(
        self, domain: str, day: date, state: str, score: float | None = None, **changes: Any
    ) -> str:
        """Write a decision in any state; returns its id."""
        key, revision = domain_key(domain), changes.pop("revision", 1)
        decision_id = f"{day}.{key}.r{revision}.feedbeef"
        judged = state in ("promoted", "rejected", "undecided", "waiting")
        verdict = {"promoted": "promote", "rejected": "reject", "waiting": "wait"}.get(
            state, "insufficient"
        )
        counts = {"rows": 120, "reference_rows": 5000}
        values: dict[str, Any] = {
            "domain": domain,
            "domain_key": key,
            "day": day.isoformat(),
            "revision": revision,
            "backbone": "feedbeef" * 8,
            "state": state,
            "score": score,
            "scores": {"counts": counts, "reference": ["2026-03-10"]}
            if score is None
            else drift_scores(self.rng, score),
            "sentence": "Drifted: categories clicked: noodles +22 points, salads −18 points.",
            "data_version": "v12:ab12cd34,ef56",
            "champion_version": 0,
            "gate": gate_report(verdict, 0.021 if state == "promoted" else -0.002)
            if judged
            else None,
            "training": training_figures(day) if judged else None,
            "adapter_version": 1 if state == "promoted" else None,
            "owner": "host:1:2" if state == "claimed" else None,
            "lease_until": 1773300000.0 if state == "claimed" else None,
            "note": "OutOfMemory: <killed>" if state == "failed" else None,
        }
        self.ledger.decide(id=decision_id, **as_records({**values, **changes}))
        self._fix_clock(decision_id)
        return decision_id

    def promote(self, domain: str, decision_id: str, version: int, who: str = "driftune") -> None:
        """Record an adapter version and the champion's switch to it."""
        key = domain_key(domain)
        with self.ledger.write() as connection:
            self.ledger.add_adapter(
                connection, domain_key=key, version=version, domain=domain, sha256="ab" * 32,
                backbone="feedbeef" * 8, decision_id=decision_id, reference_days=["2026-03-12"],
                mlflow_version=str(version + 40),
            )  # fmt: skip
            self.ledger.switch(
                connection,
                Switch(
                    key=key,
                    domain=domain,
                    action="promote",
                    expected=version - 1,
                    version=version,
                    decision_id=decision_id,
                    who=who,
                    reason="the gate passed",
                ),
            )

    def check(self, domain: str, day: date, *, as_of: date, restored: int | None) -> None:
        """Record a check of version 1 on a day, made by the run of ``as_of``."""
        with self.ledger.write() as connection:
            connection.execute(
                checks.insert().values(
                    day=str(day), revision=1, domain_key=domain_key(domain), domain=domain,
                    version=1, against=0, metric="ctr_auc", rows=1200, positives=240,
                    estimate=-0.031, error=0.007, p=1e-5, pooled=-0.031, pooled_error=0.007,
                    pooled_p=0.001, verdict="holds" if restored is None else "worse",
                    rule="one day", restored=restored, data_version="v12:ab12cd34,ef56",
                    backbone="feedbeef" * 8, checked_at=1773300000.0, as_of=str(as_of),
                )
            )  # fmt: skip

    def fill(self, domains: tuple[str, ...], days: int) -> list[date]:
        """Days with decisions in every state; the third day is refused, the fourth a warning."""
        versions = dict.fromkeys(domains, 0)
        calendar = [FIRST + timedelta(days=number) for number in range(days)]
        for number in range(2):
            self.day(self.config.reference.first + timedelta(days=number), domains)
        for number, day in enumerate(calendar):
            verdict = {2: "refused", 3: "warning"}.get(number % 16, "ok")
            self.day(day, domains, verdict)
            if verdict == "refused":
                continue
            for place, domain in enumerate(domains):
                dice = self.rng.random()
                if dice < 0.12:
                    state = DRIFTED[int(self.rng.choice(6, p=[0.45, 0.2, 0.1, 0.1, 0.05, 0.1]))]
                    versions[domain] += state == "promoted"
                    made = self.decide(
                        domain, day, state, 1 + float(self.rng.gamma(1.5, 0.8)),
                        **({"adapter_version": versions[domain]} if state == "promoted" else {}),
                    )  # fmt: skip
                    if state == "promoted":
                        self.promote(domain, made, versions[domain])
                elif dice < 0.16:
                    self.decide(domain, day, "insufficient")
                elif dice < 0.98:
                    self.decide(domain, day, "stable", float(self.rng.beta(3, 4)) + place % 3 * 0.1)
        return calendar

    def _fix_clock(self, decision_id: str) -> None:
        """The same times in every run."""
        with self.ledger.write() as connection:
            connection.execute(
                decisions.update()
                .where(decisions.c.id == decision_id)
                .values(decided_at=1773300000.0, updated_at=1773300900.0)
            )
