"""Reconcile: bring back in line what a run that died, or a registry that was away, has left."""

from datetime import date

from driftune.config import Config
from driftune.errors import DriftuneError, RegistryError
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import mirror, mirrored
from driftune.registry.overdue import end_outdated
from driftune.registry.recover import recover_all
from driftune.registry.refill import refill
from driftune.registry.review import awaiting
from driftune.registry.rows import Finding
from driftune.registry.waiting import challengers, looks_told


def reconcile(config: Config, ledger: Ledger) -> dict[str, list[Finding]]:
    """Free lost claims, end outdated decisions, bring champions' lost files back, correct aliases,
    and list what then waits.

    Each finding has ``what`` and ``ok``. What waits for an adaptation gets it by the flow
    ``reconcile``, the next daily run or ``driftune adapt``; a challenger that waits is judged
    again by daily runs.
    """
    freed = ledger.free_lost()
    return {
        "freed": [{"what": f"{each}: its claim was lost; it waits again", "ok": True}
                  for each in freed],
        "outdated": [{"what": f"{row.id}: superseded, {row.note}", "ok": True}
                     for row in end_outdated(ledger)],
        "files": recover_all(config, ledger),
        "aliases": aliases(config, ledger, mend=True),
        "approval": [
            {"what": f"{row.id}: {row.domain} waits for approval: driftune approve {row.id}",
             "ok": True}
            for row in awaiting(ledger)
        ],
        "waiting": [
            {"what": f"{row.id}: {row.domain} waits for an adaptation", "ok": True}
            for row in ledger.waiting(date.max)
        ],
        "challengers": [
            {"what": f"{row.id}: {row.domain}'s challenger {looks_told(row)}", "ok": True}
            for row in challengers(ledger)
        ],
    }  # fmt: skip


def aliases(config: Config, ledger: Ledger, *, mend: bool) -> list[Finding]:
    """Per domain whether MLflow's alias is what the ledger says; with ``mend`` it is set right.

    A champion that MLflow has lost is registered again first.
    """
    if not ledger.champions():
        return []
    try:
        pairs = mirrored(config, ledger)
    except RegistryError as error:
        return [{"what": str(error), "ok": False}]
    findings: list[Finding] = []
    for key, (wanted, has) in pairs.items():
        ok = wanted == has
        text = f"alias of {key}: MLflow {has or 'none'}, ledger {wanted or 'none'}"
        if mend and not ok:
            ok, done = _mend(config, ledger, key)
            text += f" ({done})"
        findings.append({"what": text, "ok": ok})
    return findings


def _mend(config: Config, ledger: Ledger, key: str) -> tuple[bool, str]:
    try:
        version = refill(config, ledger, key)
    except DriftuneError as error:
        return False, str(error)
    if not mirror(config, ledger, key):
        return False, "cannot be corrected"
    again = "" if version is None else f"registered again as version {version}; "
    return True, f"{again}corrected"
