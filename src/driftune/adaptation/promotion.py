"""Conclude a decision by its gate report, or promote by hand: how a challenger gets to serve."""

import getpass
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BACKBONE_CHANGED, OvertakenError, RegistryError
from driftune.io import finite
from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.models.backbone import backbone_mark
from driftune.registry.champions import adapter_folder, newest_day
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import mirror, register

_STATES = {
    "promote": "promoted",
    "reject": "rejected",
    "insufficient": "undecided",
    "wait": "waiting",
}


def conclude(
    config: Config,
    ledger: Ledger,
    decision_id: str,
    owner: str,
    challenger: Path,
    training: dict[str, Any],
    gate: dict[str, Any],
    *,
    mirrored: bool = True,
) -> str:
    """End a claim by its gate report; returns the decision's new state.

    ``mirrored``: whether MLflow is told; a trial of policies keeps its promotions to its ledger.

    Raises:
        LedgerError: when the claim was lost meanwhile.
        OvertakenError: when the challenger passed, but the backbone is no longer the decision's.
        RegistryError: when the champion moved since the gate; the decision stays open.
    """
    if gate.get("decision") == "promote":
        row = ledger.decision(decision_id)
        if _serving(config) not in (None, row.backbone):
            raise OvertakenError(BACKBONE_CHANGED)
        _promote(
            config,
            ledger,
            row,
            challenger,
            gate,
            action="promote",
            who=f"driftune ({owner})",
            reason="the gate passed",
            finish=lambda connection, version: ledger.finish(
                connection,
                decision_id,
                owner,
                "promoted",
                gate=gate,
                training=training,
                adapter_version=version,
            ),
            mirrored=mirrored,
        )
        return "promoted"
    # Whatever is not a known verdict counts as a rejection.
    state = _STATES.get(gate.get("decision", ""), "rejected")
    row = ledger.decision(decision_id)
    with ledger.write() as connection:
        ledger.finish(connection, decision_id, owner, state, gate=gate, training=training)
        if state != "waiting":
            about = {**_about(row), **_figures(gate), "state": state}
            ledger.tell(connection, "rejection", decision_id, **about, rules=_broken(gate))
    return state


def supersede(ledger: Ledger, decision_id: str, owner: str, note: str) -> str:
    """End a claim whose decision was overtaken; returns the decision's new state.

    Raises:
        LedgerError: when the claim was lost meanwhile.
    """
    with ledger.write() as connection:
        ledger.finish(connection, decision_id, owner, "superseded", note=note)
    return "superseded"


def promote_by_hand(
    config: Config, ledger: Ledger, decision_id: str, challenger: Path, reason: str
) -> int:
    """Promote the challenger of a decision that the gate did not promote; returns its version.

    Raises:
        RegistryError: when no reason is given, or the decision has no challenger to promote or is
            already promoted.
    """
    if not reason.strip():
        raise RegistryError(f"{decision_id}: a promotion by hand needs a reason; give --reason")
    row = ledger.decision(decision_id)
    if row.gate is None or row.state not in ("rejected", "undecided", "waiting"):
        raise RegistryError(
            f"{decision_id}: state is '{row.state}'; only a rejected, undecided or waiting "
            "challenger can be promoted by hand"
        )
    who = f"{getpass.getuser()} (by hand)"
    gate = {**row.gate, "champion_version": ledger.champion_version(row.domain_key)}

    def finish(connection: Any, version: int) -> None:
        ledger.override(connection, decision_id, row.state, version, note=f"{who}: {reason}")

    return _promote(
        config,
        ledger,
        row,
        challenger,
        gate,
        "by hand",
        who=who,
        reason=reason,
        finish=finish,
        data_day=newest_day(ledger),
    )


def _serving(config: Config) -> str | None:
    """The fingerprint of the backbone that serves now; None before any pre-training."""
    return backbone_mark(Workspace(config).model / "backbone")


def _promote(
    config: Config,
    ledger: Ledger,
    row: Any,
    challenger: Path,
    gate: dict[str, Any],
    action: str,
    *,
    who: str,
    reason: str,
    finish: Callable[[Any, int], None],
    mirrored: bool = True,
    data_day: str | None = None,
) -> int:
    try:
        _, card = load_adapter(challenger, backbone=_serving(config) or row.backbone)
    except AdapterFileError as error:
        raise RegistryError(f"{row.id}: the challenger cannot serve: {error}") from None
    judged = gate.get("challenger_sha256")
    if judged is not None and judged != card.sha256:
        raise RegistryError(
            f"{row.id}: the challenger's files are not those that the gate judged; adapt again"
        )
    version = max((known.version for known in ledger.versions(row.domain_key)), default=BASE) + 1
    folder = adapter_folder(config, row.domain_key, version, card.sha256)
    _copy(challenger, folder)
    registered = None
    if mirrored:
        registered = register(
            config, row, folder=folder, sha256=card.sha256, version=version, gate=gate
        )
    with ledger.write() as connection:
        ledger.add_adapter(
            connection,
            domain_key=row.domain_key,
            version=version,
            domain=row.domain,
            sha256=card.sha256,
            backbone=row.backbone,
            decision_id=row.id,
            reference_days=[row.day],
            mlflow_version=registered,
        )
        ledger.switch(
            connection,
            key=row.domain_key,
            domain=row.domain,
            action=action,
            expected=gate["champion_version"],
            version=version,
            decision_id=row.id,
            who=who,
            reason=reason,
            data_version=row.data_version,
            backbone=row.backbone,
            data_day=data_day,
        )
        finish(connection, version)
        about = {**_about(row), **_figures(gate), "version": version}
        ledger.tell(connection, "promotion", row.id, **about, who=who, reason=reason)
    if mirrored:
        mirror(config, ledger, row.domain_key)
    return version


def _about(row: Any) -> dict[str, Any]:
    """What the message of a decision is about."""
    names = ("domain", "domain_key", "day")
    return {name: getattr(row, name) for name in names} | {"decision": row.id}


def _figures(gate: dict[str, Any]) -> dict[str, Any]:
    """The gate's figures that a message tells."""
    difference = gate.get("difference") or {}
    names = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}
    return {
        "metric": names.get(gate.get("metric", ""), "AUC"),
        "gain": finite(difference.get("estimate")),
        "low": finite(difference.get("low")),
        "high": finite(difference.get("high")),
    }


def _broken(gate: dict[str, Any]) -> list[str]:
    """The sentences of the rules that the challenger broke."""
    rules = gate.get("rules") or []
    return [
        rule.get("sentence", rule.get("name")) for rule in rules if rule.get("verdict") == "fail"
    ]


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    shutil.copytree(source, part)
    try:
        part.rename(target)
    except OSError:
        shutil.rmtree(part)
        if not target.exists():
            raise
