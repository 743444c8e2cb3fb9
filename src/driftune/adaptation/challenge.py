"""Challenge: champion and challenger of a domain scored on the same held-out newest rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np

from driftune.adaptation.split import lake_version, rows_since
from driftune.adaptation.weak import weak_sides
from driftune.adaptation.workbench import Workbench, lake_changed
from driftune.config import Config
from driftune.config.gate import Gate
from driftune.config.marks import changed_settings, known_marks, settings_marks
from driftune.errors import LedgerError, OvertakenError, RegistryError
from driftune.evaluation import expected
from driftune.evaluation import looks as sequential
from driftune.evaluation.gate import GateRows, Scores, judge
from driftune.evaluation.offpolicy import LoggedLists, compare_lists
from driftune.evaluation.ranking import ranking_summary
from driftune.evaluation.slices import traffic_slices
from driftune.io import JsonObject, finite
from driftune.models.adapters import Adapter, AdapterBank
from driftune.models.recommender import Recommender
from driftune.registry.past_gains import first_looks
from driftune.registry.records import GateReport
from driftune.registry.records.gate import GateVerdict, Look, Plan, Prior, WaitsFor
from driftune.registry.records.training import Span, SplitSpans
from driftune.registry.waiting import decided_with, last_look
from driftune.training.rows import Rows
from driftune.training.scoring import score


@dataclass(frozen=True)
class Judged:
    """The rows that a look judges by, up to a ``day`` of the ``lake``'s version.

    ``earlier``: the rows that trained the challenger and chose its epoch.
    """

    rows: Rows
    earlier: Sequence[Rows]
    day: date
    lake: str


@dataclass(frozen=True)
class Before:
    """What was fixed at the first look, and the looks so far."""

    split: SplitSpans
    plan: Plan
    looks: tuple[Look, ...] = ()


def challenge(bench: Workbench) -> GateReport:
    """Judge the decision's challenger; returns the gate's report with its first look.

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
    plan = Plan(**planned, settings=settings_marks(bench.config))
    if (prior := prior_of(bench)) is not None:
        plan = plan.model_copy(update={"prior": Prior(**asdict(prior))})
    before = Before(split.spans(), plan)
    day = date.fromisoformat(row.day)
    judged = Judged(split.gate, [split.train, split.select], day, split.lake)
    return _look(bench, adapter, card.sha256, judged, before)


def challenge_again(bench: Workbench, day: date) -> GateReport:
    """Judge a waiting challenger by its gate rows and all mature ones up to ``day``.

    Returns the new report, its look added to those before.

    Raises:
        OvertakenError: when the backbone is another one, days that a look has seen were delivered
            since, or settings are no longer those of the first look.
        RegistryError: when the challenger's files are missing or not those that were judged.
    """
    row, config = bench.decision, bench.config
    encoder, view, report = bench.served.encoder, bench.project.lake(), row.gate
    last = last_look(row)
    if report is None or report.split is None or report.plan is None:
        raise LedgerError(f"decision '{row.id}': its gate report has no plan of looks")
    before = Before(report.split, report.plan, report.looks)
    if other := changed_settings(before.plan.settings, known_marks(config)):
        raise OvertakenError(
            f"{', '.join(other)} of {config.source_file.name} changed after the challenger was "
            "first judged; the domain's next drift is adapted for anew"
        )
    if lake_version(view, last.day) != last.lake:
        raise OvertakenError(f"days up to {last.day} were delivered after they were judged")
    begins, gate_begins = _begins(row.id, before.split.train), _begins(row.id, before.split.gate)
    rows = rows_since(config, encoder, row.domain_key, begins, day, view)
    mask = rows.time >= np.datetime64(gate_begins, "us").astype(np.int64)
    judged = Judged(rows.take(mask), [rows.take(~mask)], day, lake_version(view, day))
    most = max(look.rows for look in before.looks)
    if len(judged.rows) < sequential.GROWTH * most:
        return _nothing_new(config.gate, judged, report, before)
    adapter, card = bench.challenger()
    if report.challenger_sha256 not in (None, card.sha256):
        raise RegistryError(f"{row.id}: the challenger's files are not those that were judged")
    return _look(bench, adapter, card.sha256, judged, before)


def prior_of(bench: Workbench) -> expected.Prior | None:
    """What challengers gained that were judged by days before; None by the rule of the interval.

    By days, so that a day's domains change nothing for each other, in whatever order.
    """
    if bench.config.gate.rule == "interval":
        return None
    row, metric = bench.decision, bench.config.gate.metric
    gains = first_looks(bench.project.ledger, row.backbone, date.fromisoformat(row.day), metric)
    return expected.fit_prior([each.gain for each in gains], [each.error for each in gains])


def _begins(decision_id: str, span: Span | None) -> str:
    if span is None or span.first is None:
        raise LedgerError(f"decision '{decision_id}': its gate report does not say which rows")
    return span.first


def _look(
    bench: Workbench, adapter: Adapter, sha256: str, judged: Judged, before: Before
) -> GateReport:
    """One look at the challenger (of these files), after those of ``before``."""
    policy, rows, model = bench.config.gate, judged.rows, bench.served.model
    key = bench.decision.domain_key
    confidence, spent, last = sequential.spend(
        policy, _budget(before.plan), _spent(before.looks), len(rows)
    )
    champion, bank = bench.champion()
    now = _scores(model, rows, bank)
    new = _scores(model, rows, AdapterBank.from_adapters({key: adapter}))
    gate_rows = _gate_rows(bench, judged)
    prior = None if (held := before.plan.prior) is None else expected.Prior(**held.model_dump())
    report = judge(
        *(gate_rows, now, new, policy),
        seed=bench.config.seed,
        confidence=confidence,
        prior=prior,
    )
    measured = report.to_dict()
    verdict = sequential.outcome(report, policy, last)
    counts = report.decision != "insufficient"
    difference = report.difference
    # One with too little data has spent nothing.
    look = Look(
        day=judged.day,
        lake=judged.lake,
        rows=len(rows),
        estimate=None if difference is None else difference.estimate,
        low=None if difference is None else difference.low,
        high=None if difference is None else difference.high,
        confidence=confidence if counts else None,
        spent=spent if counts else 0.0,
        verdict=GateVerdict(verdict),
    )
    item = bench.served.encoder.fields.index("item")
    waits = None
    if verdict == "wait":
        waits = WaitsFor.CERTAINTY if counts else WaitsFor.DATA
    return GateReport.model_validate(
        {
            **measured,
            "champion": measured["champion"] | _ranking(gate_rows, now, rows),
            "challenger": measured["challenger"] | _ranking(gate_rows, new, rows),
            # Too few rows for a verdict say nothing of either side.
            "weak": weak_sides(rows, judged.earlier, item, now, new) if counts else None,
            "off_policy": _off_policy(bench.config, gate_rows, rows, now, new),
            "decision": verdict,
            "champion_version": champion.version,
            "champion_serves": champion.serves,
            "challenger_sha256": sha256,
            "split": before.split,
            "plan": before.plan,
            "looks": (*before.looks, look),
            "waits_for": waits,
        }
    )


def _scores(model: Recommender, rows: Rows, bank: AdapterBank) -> Scores:
    """Scores of the rows, and where they debias those of the places where the rows were shown."""
    shown = Scores(*score(model, rows.as_shown(), bank)) if rows.stated else None
    return Scores(*score(model, rows, bank), shown)


def _off_policy(
    config: Config, labels: GateRows, rows: Rows, now: Scores, new: Scores
) -> JsonObject | None:
    """Off-policy estimates of both sides; None where the log names no propensity."""
    if config.columns.propensity is None:
        return None
    logged = LoggedLists(labels.click, rows.request, rows.position, rows.propensity, rows.user)
    return compare_lists(logged, now.p_click, new.p_click, config.gate).to_dict()


def _nothing_new(policy: Gate, judged: Judged, report: GateReport, before: Before) -> GateReport:
    """A day that brought next to no rows: it counts as a look, so that no challenger waits forever.

    Nothing is judged and nothing spent.
    """
    verdict, looks = GateVerdict.WAIT, before.looks
    if sequential.is_last(policy, _budget(before.plan), _spent(looks)):
        too_little = report.waits_for == WaitsFor.DATA
        verdict = GateVerdict.INSUFFICIENT if too_little else GateVerdict.REJECT
    look = Look(
        day=judged.day,
        lake=judged.lake,
        rows=len(judged.rows),
        estimate=None,
        low=None,
        high=None,
        confidence=None,
        spent=looks[-1].spent,
        verdict=verdict,
    )
    waits = report.waits_for if verdict == GateVerdict.WAIT else None
    return report.model_copy(
        update={"decision": verdict, "looks": (*looks, look), "waits_for": waits}
    )


def _budget(plan: Plan) -> sequential.Plan:
    """The plan as the error spending takes it."""
    return {
        "decisions": plan.decisions,
        "error": plan.error,
        "looks": plan.looks,
        "rows": plan.rows,
    }


def _spent(looks: Sequence[Look]) -> list[sequential.Look]:
    """Looks as the error spending takes them."""
    return [
        {"rows": look.rows, "confidence": look.confidence, "spent": look.spent} for look in looks
    ]


def _ranking(labels: GateRows, scores: Scores, rows: Rows) -> dict[str, float | None]:
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
        convert=None
        if bench.config.columns.convert is None or not bench.served.model.conversions
        else gate.convert.numpy().astype(np.int8),
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
