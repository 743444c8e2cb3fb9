"""The gate: may a challenger replace the champion? Rules over metrics on the same held-out rows."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from driftune.config.gate import Gate
from driftune.evaluation import checks
from driftune.evaluation import rules as gate_rules
from driftune.evaluation.bootstrap import PairedDifference, paired_differences
from driftune.evaluation.calibration import CurvePoint, calibration_curve
from driftune.evaluation.comparison import Comparison
from driftune.evaluation.expected import GainRules, Posterior, Prior, fit_prior
from driftune.evaluation.losses import LossDifference, paired_log_loss
from driftune.evaluation.placements import DeLong, delong
from driftune.evaluation.scorecard import scorecard
from driftune.evaluation.slices import Slice, judge_slices
from driftune.evaluation.verdicts import Decision, Rule, decide
from driftune.io import finite

_SLICE = "slice: "


@dataclass(frozen=True)
class GateRows:
    """Held-out impressions, (n,) each: user ids, and clicks and conversions as 0 and 1.

    ``convert`` is None where the log has no conversions: there is no guardrail then. ``slices``:
    masks of these rows, (n,) booleans each, by the slice's name.
    """

    user: np.ndarray
    click: np.ndarray
    convert: np.ndarray | None
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """One model's probabilities of the same rows, (n,) each: a click, a click that converts.

    ``shown``: the same where each row was shown, if those above are of another place
    (``features.debias``). Rows are ranked by the ones, the others are held against labels.
    """

    p_click: np.ndarray
    p_ctcvr: np.ndarray
    shown: "Scores | None" = None

    @property
    def as_shown(self) -> "Scores":
        """The probabilities to be held against labels."""
        return self if self.shown is None else self.shown


@dataclass(frozen=True)
class GateReport:
    """What the gate saw; the decision follows from the rules alone, see ``verdicts.decide``.

    ``difference`` is of ``metric`` at ``confidence``, ``guardrail`` of the other metric, if any,
    ``log_loss`` of the clicks' log loss; ``halves`` (two, or none), ``slices`` and ``delong`` are
    of ``metric``; ``calibration`` has each side's curve of clicks. Inputs that cannot be judged
    leave all of it empty or None; with too little data the rules end at the amounts.
    ``posterior``: what is to be expected of it, by ``gate.rule: expected_gain`` alone.
    """

    rules: list[Rule]
    metric: str
    guardrail_metric: str | None
    confidence: float
    champion: dict[str, float] = field(default_factory=dict)
    challenger: dict[str, float] = field(default_factory=dict)
    difference: PairedDifference | None = None
    guardrail: PairedDifference | None = None
    log_loss: LossDifference | None = None
    delong: DeLong | None = None
    halves: list[PairedDifference] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    calibration: dict[str, list[CurvePoint]] = field(default_factory=dict)
    posterior: Posterior | None = None
    rule: Literal["interval", "expected_gain"] = "interval"

    @property
    def decision(self) -> Decision:
        """What the rules amount to."""
        converts = self.guardrail_metric is not None
        return decide(self.rules, conversions=converts, rule=self.rule)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-safe values; NaN becomes None."""
        values: dict[str, Any] = finite({"decision": self.decision, **asdict(self)})
        del values["rule"]
        if self.posterior is None:
            del values["posterior"]
        return values


def judge(
    rows: GateRows,
    champion: Scores,
    challenger: Scores,
    policy: Gate,
    *,
    seed: int,
    confidence: float | None = None,
    prior: Prior | None = None,
) -> GateReport:
    """Judge a challenger against the champion on the same rows; deterministic given ``seed``.

    Unusable inputs reject; too little data is ``insufficient``; otherwise the rules decide.

    Args:
        rows, champion, challenger: labels and scores of the same impressions.
        policy: the limits.
        seed: draws the users.
        confidence: of the intervals where looks or domains share an error rate, else the policy's.
            Non-inferiority tests keep the policy's: a stricter one would let more through.
        prior: what earlier challengers gained, for ``gate.rule: expected_gain``; none before it.

    Raises:
        TypeError, ValueError: when labels or scores are not numbers at all.
    """
    level = policy.confidence if confidence is None else confidence
    guarded = _guarded(rows, policy)
    rules = list(_input_rules(rows, champion, challenger))
    if any(rule.verdict != "pass" for rule in rules):
        return GateReport(rules, policy.metric, guarded, level)
    names, user = np.unique(np.asarray(rows.user), return_inverse=True)
    before, after = (
        scorecard(rows.click, rows.convert, user, side, side.as_shown)
        for side in (champion, challenger)
    )
    pairs = _comparisons(rows, champion, challenger, (names, user), policy.metric, guarded)
    differences = _differences(pairs, len(names), policy, level, seed)
    main = differences["difference"]
    rules += gate_rules.amount_rules(before, main, policy)
    report = GateReport(
        rules,
        policy.metric,
        guarded,
        level,
        before,
        after,
        main,
        differences.get("guardrail"),
        _log_loss(rows, champion, challenger, user, policy, level, seed),
        delong(pairs["difference"].positive, pairs["difference"].gained, level),
        [differences["first half"], differences["second half"]],
        judge_slices({name: differences[_SLICE + name] for name in rows.slices}, policy),
        _curves(rows, champion, challenger),
    )
    if any(rule.verdict != "pass" for rule in rules):
        return report
    gained = GainRules(policy, level, prior or fit_prior([], []))
    report = replace(report, posterior=gained.posterior(main), rule=policy.rule)
    deciding = _deciding_rules(report, main, differences["itself"], policy, gained)
    return replace(report, rules=[*rules, *deciding])


def _differences(
    pairs: Mapping[str, Comparison], users: int, policy: Gate, level: float, seed: int
) -> Mapping[str, PairedDifference]:
    return paired_differences(pairs, users, resamples=policy.resamples, confidence=level, seed=seed)


def _log_loss(
    rows: GateRows,
    champion: Scores,
    challenger: Scores,
    user: np.ndarray,
    policy: Gate,
    level: float,
    seed: int,
) -> LossDifference:
    sides = champion.as_shown.p_click, challenger.as_shown.p_click
    return paired_log_loss(
        rows.click,
        *sides,
        user,
        resamples=policy.resamples,
        confidence=level,
        seed=seed,
        tolerance=policy.log_loss_tolerance,
    )


def _curves(rows: GateRows, champion: Scores, challenger: Scores) -> dict[str, list[CurvePoint]]:
    sides = {"champion": champion, "challenger": challenger}
    return {
        name: calibration_curve(rows.click, side.as_shown.p_click) for name, side in sides.items()
    }


def _guarded(rows: GateRows, policy: Gate) -> str | None:
    """The metric of the guardrail: the one that does not decide, if the log has its label."""
    if policy.metric == "ctcvr_auc":
        return "ctr_auc"
    return None if rows.convert is None else "ctcvr_auc"


def _comparisons(
    rows: GateRows,
    champion: Scores,
    challenger: Scores,
    users: tuple[np.ndarray, np.ndarray],
    metric: str,
    guarded: str | None,
) -> dict[str, Comparison]:
    """All comparisons of a gate, by name; ``users``: distinct ids, and each row's place in them."""
    names, user = users
    compared = {
        "difference": _comparison(metric, rows, champion, challenger, user),
        "itself": _comparison(metric, rows, champion, champion, user),
    }
    if guarded is not None:
        compared["guardrail"] = _comparison(guarded, rows, champion, challenger, user)
    half = checks.halves_of(names)[user]
    parts = {"first half": half == 0, "second half": half == 1}
    parts |= {_SLICE + name: mask for name, mask in rows.slices.items()}
    for name, mask in parts.items():
        compared[name] = _comparison(metric, rows, champion, challenger, user, mask)
    return compared


def _deciding_rules(
    report: GateReport,
    main: PairedDifference,
    itself: PairedDifference,
    policy: Gate,
    gained: GainRules,
) -> Iterator[Rule]:
    """The rules of a gate with enough data; ``itself``: the champion against itself."""
    level, before, after = report.confidence, report.champion, report.challenger
    gain, *beside = gained.rules(main)
    yield gain
    yield from beside
    if report.guardrail is not None and report.guardrail_metric is not None:
        yield gate_rules.guardrail_rule(
            report.guardrail_metric, before, report.guardrail, policy, level
        )
    if report.log_loss is not None:
        yield gate_rules.log_loss_rule(report.log_loss, policy, level)
    yield gate_rules.slices_rule(report.slices, policy)
    yield gate_rules.calibration_rule(before["ctr_calibration"], after["ctr_calibration"], policy)
    yield checks.halves_rule(report.halves)
    if report.delong is not None:
        yield checks.delong_rule(main, report.delong)
    promoted = gained.rules(itself)[0].verdict == "pass"
    yield checks.self_rule(itself, promoted)
    if gain.verdict != "insufficient":
        yield checks.order_rule(main, _deciding(policy.metric, before, after))


def _deciding(metric: str, *sides: Mapping[str, float]) -> Iterator[float]:
    for side in sides:
        yield from (side[name] for name in (metric, "ctr_log_loss", "ctr_calibration", "ctr_ece"))


def _input_rules(rows: GateRows, champion: Scores, challenger: Scores) -> Iterator[Rule]:
    count = len(rows.click)
    given = {"clicks": rows.click, "conversions": rows.convert}
    for name, labels in given.items():
        if labels is None:
            continue
        values = np.asarray(labels, dtype=np.float64)
        yield gate_rules.input_rule(name, (values == 0) | (values == 1), count, "0 or 1")
    users = np.asarray(rows.user)
    present = (users == users) & np.not_equal(users, np.array(None))
    yield gate_rules.input_rule("user ids", present, count, "present")
    yield gate_rules.mask_rule(rows.slices, count)
    sides = {"champion": champion, "challenger": challenger}
    shown = {f"{name} (as shown)": side.shown for name, side in sides.items() if side.shown}
    for owner, scores in (sides | shown).items():
        for name, part in (("pCTR", scores.p_click), ("pCTCVR", scores.p_ctcvr)):
            if name == "pCTCVR" and rows.convert is None:
                continue
            values = np.asarray(part, dtype=np.float64)
            usable = (values >= 0) & (values <= 1)
            yield gate_rules.input_rule(f"{owner} {name}", usable, count, "a number from 0 to 1")


def _comparison(
    metric: str,
    rows: GateRows,
    champion: Scores,
    challenger: Scores,
    user: np.ndarray,
    mask: np.ndarray | None = None,
) -> Comparison:
    on_click = metric == "ctr_auc"
    labels = np.asarray(rows.click)
    if not on_click:
        labels = labels * np.asarray(rows.convert)
    before, after = (
        np.asarray(side.p_click if on_click else side.p_ctcvr) for side in (champion, challenger)
    )
    columns = (labels, before, after, user)
    return Comparison.of(*(column if mask is None else column[mask] for column in columns))
