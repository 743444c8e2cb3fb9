"""Check: every champion on a later day's labels, and back to what it replaced when it is worse."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date

import numpy as np
from scipy.special import ndtri, stdtrit

from driftune.config import Config
from driftune.errors import DriftuneError, LedgerBusyError, LedgerError, RegistryError, note_of
from driftune.evaluation.bootstrap import PairedDifference, paired_auc_difference
from driftune.guard.days import judged_until, matured, unchecked
from driftune.guard.evidence import Evidence, Reading, weigh
from driftune.guard.scores import Contest, Scored, score_each
from driftune.io import finite
from driftune.lake.table import Lake
from driftune.models.adapters import Adapter, AdapterBank, AdapterFileError
from driftune.registry.champions import Champion, champions_for, load_version, version_before
from driftune.registry.checks import (
    Check,
    checks_of,
    differences_before,
    record_checks,
    taken_back,
)
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import mirror
from driftune.registry.rollback import going_back
from driftune.registry.rows import Pointer
from driftune.training.pretrain import load_model

WHO = "driftune guard"
CONFIDENCE = 0.95
log = logging.getLogger("driftune")


def check_champions(
    config: Config, ledger: Ledger, day: date, *, mirrored: bool = True
) -> list[Check]:
    """Check every adapter that serves on all rows of a day on which it served.

    That is the day itself or, where labels take time, the newest one whose labels are all mature
    at the day's end (see ``matured``). Each is set against the frozen base and, where that can be
    loaded, the version that it replaced. One that is significantly worse is taken back at once, to
    the one that leads it by more. A check is recorded once per day, revision and version; returns
    those of this call.

    ``mirrored``: whether MLflow is told; a trial of policies keeps its rollbacks to its ledger.

    Raises:
        LedgerError: when the day was not ingested.
        DriftuneError: when domains could not be checked, after all others were.
    """
    if ledger.day(day) is None:
        raise LedgerError(f"{day} is not in the lake; run driftune run --day {day}")
    found, faults = list[Check](), dict[str, Exception]()
    for each in matured(config, ledger, day):
        found += _check_day(config, ledger, each, faults, as_of=day, mirrored=mirrored)
    _require_none(faults)
    return found


def check_matured(config: Config, ledger: Ledger, by: date) -> list[Check]:
    """Check champions on days whose labels have matured by the end of ``by`` without a daily run.

    The days are those of ``unchecked``; their checks belong to the newest day in the lake up to
    ``by``. As ``check_champions`` otherwise.
    """
    found, faults = list[Check](), dict[str, Exception]()
    newest = max((row.day for row in ledger.days() if row.day <= by.isoformat()), default="")
    as_of = date.fromisoformat(newest) if newest else by
    for each in unchecked(config, ledger, by):
        found += _check_day(config, ledger, each, faults, as_of=as_of, mirrored=True)
    _require_none(faults)
    return found


def _require_none(faults: Mapping[str, Exception]) -> None:
    if faults:
        told = "; ".join(f"{domain} ({note_of(error)})" for domain, error in faults.items())
        raise DriftuneError(
            f"the champions of {len(faults)} domains could not be checked: {told}; the others were"
        )


def _check_day(
    config: Config,
    ledger: Ledger,
    day: date,
    faults: dict[str, Exception],
    *,
    as_of: date,
    mirrored: bool,
) -> list[Check]:
    """Check the champions on one day; ``faults`` gets the error of each domain that has one."""
    record = ledger.day(day)
    if record is None:
        return []
    pointers = {key: row for key, row in ledger.champions().items() if row.version != BASE}
    if not pointers:
        return []
    encoder, model, backbone = load_model(config)
    champions, bank = champions_for(config, ledger, backbone, list(pointers))
    known = {(c.domain_key, c.version, c.revision) for c in checks_of(ledger, day)}
    others = taken_back(ledger, day)
    serving = []
    for key, champion in champions.items():
        try:
            if champion.serves != BASE and day > _chosen_by(ledger, key, champion):
                serving.append((key, champion.version))
        except LedgerBusyError:
            raise
        except LedgerError as error:
            _fail(faults, pointers[key].domain, error)
    contests, previous = _contests(
        config,
        ledger,
        backbone,
        [
            (key, version)
            for key, version in serving
            if not any(own == key and other != version for own, other in others)
            and (key, version, record.revision) not in known
        ],
    )
    if not contests:
        return []
    readings = _readings(ledger, day)
    identity = {
        "day": day.isoformat(),
        "revision": record.revision,
        "metric": config.gate.metric,
        "data_version": Lake.of(config).version([day]),
        "backbone": backbone,
        "as_of": as_of.isoformat(),
    }
    found: list[Check] = []
    for contest, scored in score_each(config, encoder, model, day, contests, bank, previous):
        pointer = pointers[contest.key]
        try:
            if isinstance(scored, Exception):
                raise scored
            judged = _judge(config, contest, scored, readings, identity, pointer.domain)
            written = _conclude(ledger, pointer, judged)
            found += written
            if mirrored and any(check.restored is not None for check in written):
                mirror(config, ledger, contest.key)
        except LedgerBusyError:
            raise
        except Exception as error:
            _fail(faults, pointer.domain, error)
    return found


def _chosen_by(ledger: Ledger, key: str, champion: Champion) -> date:
    """The last day that trained a champion, or by whose rows the gate chose it."""
    return max(*champion.reference, judged_until(ledger, key, champion.version))


def _fail(faults: dict[str, Exception], domain: str, error: Exception) -> None:
    log.error("%s: its champion cannot be checked: %s", domain, note_of(error))
    log.debug("%s: where that failed", domain, exc_info=error)
    faults[domain] = error


def _contests(
    config: Config, ledger: Ledger, backbone: str, serving: Sequence[tuple[str, int]]
) -> tuple[list[Contest], AdapterBank]:
    """Who is set against whom, and the bank of the versions that the champions replaced."""
    adapters: dict[str, Adapter] = {}
    contests = []
    for key, version in serving:
        before: int | None = version_before(ledger, key, version) or None
        if before is not None:
            try:
                adapters[key] = load_version(config, ledger, key, before, backbone)
            except AdapterFileError as error:
                log.info("%s: no check against version %d: %s", key, before, error)
                before = None
        contests.append(Contest(key, version, before))
    return contests, AdapterBank.from_adapters(adapters)


def _judge(
    config: Config,
    contest: Contest,
    scored: Scored,
    readings: Mapping[tuple[str, int], list[Reading]],
    identity: Mapping[str, object],
    domain: str,
) -> list[Check]:
    """The domain's checks of the day; the one that decides names what is to be restored."""
    found = []
    for against in (BASE, contest.previous):
        if against is None:
            continue
        difference = paired_auc_difference(
            scored.labels,
            scored.scores[against],
            scored.scores[contest.champion],
            scored.users,
            resamples=config.gate.resamples,
            confidence=CONFIDENCE,
            seed=config.seed,
        )
        positives = int(scored.labels.sum())
        today = _reading(difference)
        scarce = _scarce(config, difference, positives, len(scored.labels))
        broken = _broken(scored, contest.champion, against)
        if broken is not None:
            evidence = broken
        elif scarce is not None:
            evidence = Evidence("insufficient", scarce)
        else:
            past = readings.get((contest.key, against), [])
            evidence = weigh([*past, today], config.guard)
        usable = broken is None and scarce is None
        values = {
            "domain_key": contest.key,
            "domain": domain,
            "version": contest.champion,
            "against": against,
            "rows": len(scored.labels),
            "positives": positives,
            "estimate": today.estimate if usable else None,
            "error": today.error if usable else None,
            "p": today.p if usable else None,
            "restored": None,
        }
        found.append(Check(**{**identity, **values, **asdict(evidence)}))
    worse = [check for check in found if check.verdict == "worse"]
    if not worse:
        return found
    pooled = [check for check in worse if check.pooled is not None]
    # One that gives no numbers cannot be pooled: back to what it replaced, which comes last.
    best = min(pooled, key=lambda check: check.pooled or 0.0) if pooled else worse[-1]
    return [replace(check, restored=check.against) if check is best else check for check in found]


def _readings(ledger: Ledger, day: date) -> dict[tuple[str, int], list[Reading]]:
    """Readings of days before ``day`` under the present champions, oldest first.

    By domain key and version set against.
    """
    found: dict[tuple[str, int], list[Reading]] = {}
    for each in differences_before(ledger, day):
        reading = Reading(each.estimate, each.error)
        found.setdefault((each.domain_key, each.against), []).append(reading)
    return found


def _reading(difference: PairedDifference) -> Reading:
    """The difference, with the error of a normal whose interval is that of Student's t.

    The bootstrap's own error, which is smaller, would let days of few users say too much: what
    weighs the readings takes them for normal.
    """
    # Not by the interval's ends, which stop at ±1.
    reach = float(stdtrit(difference.freedom, (1 + CONFIDENCE) / 2)) * difference.error
    return Reading(difference.estimate, reach / float(ndtri((1 + CONFIDENCE) / 2)))


def _broken(scored: Scored, champion: int, against: int) -> Evidence | None:
    """What scores that are no numbers amount to; None where all are.

    No look at labels is needed to see that such a champion is worse than a model without them.
    """
    broken = {
        version: int(np.count_nonzero(~np.isfinite(scored.scores[version])))
        for version in (champion, against)
    }
    if not any(broken.values()):
        return None
    whose = against if broken[against] else champion
    text = f"{broken[whose]:,} of {len(scored.labels):,} predictions are no numbers"
    if whose == champion:
        return Evidence("worse", text)
    return Evidence("insufficient", f"{text} in what it is set against")


def _scarce(config: Config, difference: PairedDifference, positives: int, rows: int) -> str | None:
    """Why the day says too little about a domain to be counted; None when it may be."""
    policy = config.guard
    if positives < policy.min_positives:
        return "too few positives"
    if rows - positives < policy.min_positives:
        return "too few negatives"
    if difference.effective_users < policy.min_users:
        return "too few users"
    if finite(_reading(difference).error) is None:
        return "no interval"
    return None


def _conclude(ledger: Ledger, pointer: Pointer, judged: list[Check]) -> list[Check]:
    """Write a domain's checks and what they lead to in one transaction; nothing if it moved."""
    acting = next((check for check in judged if check.restored is not None), None)
    back = None
    if acting is not None:
        back = going_back(
            pointer,
            acting.against,
            who=WHO,
            reason=told(acting),
            data_version=acting.data_version,
            backbone=acting.backbone,
        )
    try:
        if not record_checks(ledger, judged, back):
            # Another run has checked this day, and acted on it, meanwhile.
            return []
    except RegistryError as error:
        log.warning("%s; it is not checked on %s", error, judged[0].day)
        return []
    if acting is not None:
        log.warning("%s: taken back: %s", pointer.domain, told(acting))
    return judged


def told(check: Check) -> str:
    """A check that decides, in a line with its figures."""
    metric = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}[check.metric]
    other = f"version {check.against}" if check.against else "the frozen base"
    if check.estimate is None:
        return f"worse than {other} on {check.day}: {check.rule}"
    text = f"{metric} {check.estimate:+.4f} against {other} on {check.day}"
    if check.pooled is not None and check.pooled_error is not None:
        low, high = (check.pooled + side * 1.96 * check.pooled_error for side in (-1, 1))
        ends = f"{max(low, -1.0):+.4f} to {min(high, 1.0):+.4f}"
        text += f", {check.pooled:+.4f} ({ends}) since promotion"
    return f"{text} ({check.rule})"
