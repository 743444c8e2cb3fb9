"""Challenge: champion and challenger of a domain scored on the same held-out newest rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from driftune.adaptation.split import lake_version, rows_since
from driftune.adaptation.workbench import Workbench, lake_changed
from driftune.config.gate import Gate
from driftune.errors import OvertakenError, RegistryError
from driftune.evaluation import looks as sequential
from driftune.evaluation.gate import GateRows, Scores, judge
from driftune.evaluation.offpolicy import LoggedLists, compare_lists
from driftune.evaluation.ranking import ranking_summary
from driftune.evaluation.slices import traffic_slices
from driftune.io import finite
from driftune.models.adapters import Adapter, AdapterBank
from driftune.registry.waiting import decided_with
from driftune.training.rows import Rows
from driftune.training.scoring import score


@dataclass(frozen=True)
class Judged:
    """The rows that a look judges by, up to a ``day`` (ISO) of the ``lake``'s version.

    ``earlier``: the rows that trained the challenger and chose its epoch.
    """

    rows: Rows
    earlier: Sequence[Rows]
    day: str
    lake: str

    def to_dict(self) -> dict[str, Any]:
        """What the look's record says of them."""
        return {"day": self.day, "lake": self.lake, "rows": len(self.rows)}


def challenge(bench: Workbench) -> dict[str, Any]:
    """Judge the decision's challenger; returns the gate report as JSON-safe values.

    Beside the report: ``plan``, what its looks may spend of the error, and ``looks``, so far this
    one.

    Raises:
        OvertakenError: when the backbone is another one.
        RegistryError: when the challenger's files are missing or damaged, or the lake is no longer
            the one that it was trained on.
    """
    row, split = bench.decision, bench.split
    adapter, card = bench.challenger()
    if card.get("lake") != split.lake:
        raise lake_changed(bench.decision_id)
    bench.require_unchanged()
    planned = sequential.plan(
        bench.config.gate,
        len(split.gate),
        split.day_rows,
        decided_with(bench.project.ledger, row),
    )
    before = {"split": split.to_dict(), "plan": planned, "looks": []}
    judged = Judged(split.gate, [split.train, split.select], row.day, split.lake)
    return _look(bench, adapter, card.sha256, judged, before)


def challenge_again(bench: Workbench, day: date) -> dict[str, Any]:
    """Judge a waiting challenger by its gate rows and all mature ones up to ``day``.

    Returns the new report, its look added to those before.

    Raises:
        OvertakenError: when the backbone is another one, or days that a look has seen were
            delivered since.
        RegistryError: when the challenger's files are missing or not those that were judged.
    """
    row, config = bench.decision, bench.config
    encoder, view, before = bench.served.encoder, bench.project.lake(), row.gate
    last = before["looks"][-1]
    if lake_version(view, date.fromisoformat(last["day"])) != last["lake"]:
        raise OvertakenError(f"days up to {last['day']} were delivered after they were judged")
    split = before["split"]
    rows = rows_since(config, encoder, row.domain_key, split["train"]["from"], day, view)
    mask = rows.time >= np.datetime64(split["gate"]["from"], "us").astype(np.int64)
    judged = Judged(rows.take(mask), [rows.take(~mask)], day.isoformat(), lake_version(view, day))
    most = max((look["rows"] for look in before["looks"]), default=0)
    if len(judged.rows) < sequential.GROWTH * most:
        return _nothing_new(config.gate, judged, before)
    adapter, card = bench.challenger()
    if before.get("challenger_sha256") not in (None, card.sha256):
        raise RegistryError(f"{row.id}: the challenger's files are not those that were judged")
    return _look(bench, adapter, card.sha256, judged, before)


def _look(
    bench: Workbench, adapter: Adapter, sha256: str, judged: Judged, before: dict[str, Any]
) -> dict[str, Any]:
    """One look at the challenger (of these files), after those of the report ``before``."""
    policy, planned, looks = bench.config.gate, before["plan"], before["looks"]
    rows, model, key = judged.rows, bench.served.model, bench.decision.domain_key
    confidence, spent, last = sequential.spend(policy, planned, looks, len(rows))
    champion, bank = bench.champion()
    now = Scores(*score(model, rows, bank))
    new = Scores(*score(model, rows, AdapterBank.from_adapters({key: adapter})))
    gate_rows = _gate_rows(bench, judged)
    report = judge(gate_rows, now, new, policy, seed=bench.config.seed, confidence=confidence)
    measured = report.to_dict()
    verdict = sequential.outcome(report, policy, last)
    counts = report.decision != "insufficient"
    difference = measured["difference"] or {}
    # One with too little data has spent nothing.
    look = {
        **judged.to_dict(),
        **{name: difference.get(name) for name in ("estimate", "low", "high")},
        "confidence": confidence if counts else None,
        "spent": spent if counts else 0.0,
        "verdict": verdict,
    }
    waits = None
    if verdict == "wait":
        waits = sequential.CERTAINTY if counts else sequential.DATA
    logged = LoggedLists(gate_rows.click, rows.request, rows.position, rows.propensity, rows.user)
    return {
        **measured,
        "champion": measured["champion"] | _ranking(gate_rows, now, rows),
        "challenger": measured["challenger"] | _ranking(gate_rows, new, rows),
        "off_policy": compare_lists(logged, now.p_click, new.p_click, policy).to_dict(),
        "decision": verdict,
        "champion_version": champion.version,
        "champion_serves": champion.serves,
        "challenger_sha256": sha256,
        "split": before["split"],
        "plan": planned,
        "looks": [*looks, look],
        "waits_for": waits,
    }


def _nothing_new(policy: Gate, judged: Judged, before: dict[str, Any]) -> dict[str, Any]:
    """A day that brought next to no rows: it counts as a look, so that no challenger waits forever.

    Nothing is judged and nothing spent.
    """
    verdict, looks = "wait", before["looks"]
    if sequential.is_last(policy, before["plan"], looks):
        verdict = "insufficient" if before["waits_for"] == sequential.DATA else "reject"
    waits = before["waits_for"] if verdict == "wait" else None
    look = {
        "estimate": None,
        "low": None,
        "high": None,
        **judged.to_dict(),
        "confidence": None,
        "spent": looks[-1]["spent"],
        "verdict": verdict,
    }
    return {**before, "decision": verdict, "looks": [*looks, look], "waits_for": waits}


def _ranking(labels: GateRows, scores: Scores, rows: Rows) -> dict[str, Any]:
    """NDCG over the lists that the rows name; nothing where they name none."""
    found = ranking_summary(
        labels.click, labels.convert, scores.p_click, scores.p_ctcvr, rows.request
    )
    return dict(finite(found)) if found["lists_with_clicks"] else {}


def _gate_rows(bench: Workbench, judged: Judged) -> GateRows:
    gate, encoder = judged.rows, bench.served.encoder
    items = encoder.fields.index("item")
    return GateRows(
        user=gate.user,
        click=gate.click.numpy().astype(np.int8),
        convert=gate.convert.numpy().astype(np.int8),
        slices=traffic_slices(
            user=gate.user,
            item=gate.ids[:, items].numpy(),
            time=gate.time,
            earlier_user=np.concatenate([rows.user for rows in judged.earlier]),
            earlier_item=np.concatenate([rows.ids[:, items].numpy() for rows in judged.earlier]),
            unseen_items=encoder.buckets,
            zone=bench.config.zone,
        ),
    )
