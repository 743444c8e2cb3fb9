"""Challenge: champion and challenger of a domain scored on the same held-out newest rows."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from driftune.adaptation.finetune import challenger_folder
from driftune.adaptation.split import lake_version, rows_since, split_of_decision
from driftune.config import Config
from driftune.config.gate import Gate
from driftune.errors import BACKBONE_CHANGED, OvertakenError, RegistryError
from driftune.evaluation import looks as sequential
from driftune.evaluation.gate import GateRows, Scores, judge
from driftune.evaluation.offpolicy import LoggedLists, compare_lists
from driftune.evaluation.ranking import ranking_summary
from driftune.evaluation.slices import traffic_slices
from driftune.features.encoder import Encoder
from driftune.io import finite
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterBank, AdapterFileError, load_adapter
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.waiting import decided_with
from driftune.training.pretrain import load_model
from driftune.training.rows import Rows
from driftune.training.scoring import score


def challenge(config: Config, ledger: Ledger, decision_id: str) -> dict[str, Any]:
    """Judge the decision's challenger; returns the gate report as JSON-safe values.

    Beside the report: ``plan``, what its looks may spend of the error, and ``looks``, so far this
    one.

    Raises:
        OvertakenError: when the backbone is another one.
        RegistryError: when the challenger's files are missing or damaged, or the lake is no longer
            the one that it was trained on.
    """
    row = ledger.decision(decision_id)
    encoder, _, backbone = load_model(config)
    if backbone != row.backbone:
        raise OvertakenError(BACKBONE_CHANGED)
    split = split_of_decision(config, encoder, row)
    _, card = _challenger(config, decision_id, backbone)
    if card.get("lake") != split.lake:
        raise RegistryError(
            f"{decision_id}: the lake changed since the challenger was trained; adapt again"
        )
    planned = sequential.plan(
        config.gate, len(split.gate), split.day_rows, decided_with(ledger, row)
    )
    begun = {"split": split.to_dict(), "plan": planned, "looks": []}
    seen = {"day": row.day, "lake": split.lake}
    return _look(config, ledger, row, split.gate, [split.train, split.select], seen, begun)


def challenge_again(config: Config, ledger: Ledger, decision_id: str, day: date) -> dict[str, Any]:
    """Judge a waiting challenger by its gate rows and all mature ones up to ``day``.

    Returns the new report, its look added to those before.

    Raises:
        OvertakenError: when the backbone is another one, or days that a look has seen were
            delivered since.
        RegistryError: when the challenger's files are missing or not those that were judged.
    """
    row = ledger.decision(decision_id)
    encoder, _, backbone = load_model(config)
    if backbone != row.backbone:
        raise OvertakenError(BACKBONE_CHANGED)
    view = Lake.of(config)
    before = row.gate["looks"][-1]
    if lake_version(view, date.fromisoformat(before["day"])) != before["lake"]:
        raise OvertakenError(f"days up to {before['day']} were delivered after they were judged")
    split = row.gate["split"]
    rows = rows_since(config, encoder, row.domain_key, split["train"]["from"], day, view)
    judged = rows.time >= np.datetime64(split["gate"]["from"], "us").astype(np.int64)
    seen = {"day": day.isoformat(), "lake": lake_version(view, day)}
    return _look(config, ledger, row, rows.take(judged), [rows.take(~judged)], seen, row.gate)


def _look(
    config: Config,
    ledger: Ledger,
    row: Any,
    rows: Rows,
    earlier: Sequence[Rows],
    seen: dict[str, Any],
    before: dict[str, Any],
) -> dict[str, Any]:
    """One look at the challenger by ``rows``, after those of the report ``before``.

    ``earlier``: the rows that trained it and chose its epoch.
    """
    policy, planned, looks = config.gate, before["plan"], before["looks"]
    seen = {**seen, "rows": len(rows)}
    judged = max((each["rows"] for each in looks), default=0)
    if len(rows) < sequential.GROWTH * judged:
        return _nothing_new(policy, seen, before)
    confidence, spent, last = sequential.spend(policy, planned, looks, len(rows))
    encoder, model, backbone = load_model(config)
    adapter, card = _challenger(config, row.id, backbone)
    if before.get("challenger_sha256") not in (None, card["sha256"]):
        raise RegistryError(f"{row.id}: the challenger's files are not those that were judged")
    champions, bank = champions_for(config, ledger, backbone, [row.domain_key])
    champion = champions[row.domain_key]
    now = Scores(*score(model, rows, bank))
    new = Scores(*score(model, rows, AdapterBank.from_adapters({row.domain_key: adapter})))
    gate_rows = _rows(config, encoder, rows, earlier)
    report = judge(
        gate_rows,
        now,
        new,
        policy,
        seed=config.seed,
        confidence=confidence,
    )
    verdict = sequential.outcome(report, policy, last)
    measured = report.to_dict()
    difference = measured["difference"] or {}
    counts = report.decision != "insufficient"
    look = {
        **seen,
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
        **{
            side: measured[side] | _ranking(gate_rows, scores, rows)
            for side, scores in (("champion", now), ("challenger", new))
        },
        "off_policy": compare_lists(logged, now.p_click, new.p_click, policy).to_dict(),
        "decision": verdict,
        "champion_version": champion.version,
        "champion_serves": champion.serves,
        "challenger_sha256": card["sha256"],
        "split": before["split"],
        "plan": planned,
        "looks": [*looks, look],
        "waits_for": waits,
    }


def _nothing_new(policy: Gate, seen: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A day that brought next to no rows: it counts as a look, so that no challenger waits forever.

    Nothing is judged and nothing spent.
    """
    verdict = "wait"
    if sequential.is_last(policy, before["plan"], before["looks"]):
        verdict = "insufficient" if before["waits_for"] == sequential.DATA else "reject"
    look = {**seen, "confidence": None, "spent": before["looks"][-1]["spent"], "verdict": verdict}
    waits = before["waits_for"] if verdict == "wait" else None
    looks = [*before["looks"], {"estimate": None, "low": None, "high": None, **look}]
    return {**before, "decision": verdict, "looks": looks, "waits_for": waits}


def _challenger(config: Config, decision_id: str, backbone: str) -> tuple[Any, dict[str, Any]]:
    try:
        return load_adapter(challenger_folder(config, decision_id), backbone=backbone)
    except AdapterFileError as error:
        raise RegistryError(f"{decision_id}: the challenger cannot be judged: {error}") from None


def _ranking(labels: GateRows, scores: Scores, rows: Rows) -> dict[str, Any]:
    """NDCG over the lists that the rows name; nothing where they name none."""
    found = ranking_summary(
        labels.click, labels.convert, scores.p_click, scores.p_ctcvr, rows.request
    )
    return dict(finite(found)) if found["lists_with_clicks"] else {}


def _rows(config: Config, encoder: Encoder, gate: Rows, earlier: Sequence[Rows]) -> GateRows:
    items = encoder.fields.index("item")
    return GateRows(
        user=gate.user,
        click=gate.click.numpy().astype(np.int8),
        convert=gate.convert.numpy().astype(np.int8),
        slices=traffic_slices(
            user=gate.user,
            item=gate.ids[:, items].numpy(),
            time=gate.time,
            earlier_user=np.concatenate([rows.user for rows in earlier]),
            earlier_item=np.concatenate([rows.ids[:, items].numpy() for rows in earlier]),
            unseen_items=encoder.buckets,
            zone=config.zone,
        ),
    )
