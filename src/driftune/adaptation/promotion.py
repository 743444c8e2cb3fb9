"""Promotion: a challenger's files, their record and the champion pointer, in this order."""

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftune.adaptation.messages import about, figures
from driftune.errors import RegistryError
from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.project import Project
from driftune.registry.champions import adapter_folder
from driftune.registry.database import Connection
from driftune.registry.ledger import BASE
from driftune.registry.mlflow_left import withdraw
from driftune.registry.mlflow_mirror import mirror, register
from driftune.registry.records import Decision, GateReport
from driftune.registry.rows import Switch


@dataclass(frozen=True)
class Promotion:
    """Which decision's challenger (a row of the ledger) is to serve, by what, whom and why.

    ``gate``: its report, with the champion that is to be replaced; ``data_day``: the newest in
    the lake (ISO), of a promotion by hand.
    """

    decision: Decision
    gate: GateReport
    action: Literal["promote", "by hand"]
    who: str
    reason: str
    data_day: str | None = None


def promote(
    project: Project, promotion: Promotion, finish: Callable[[Connection, int], None]
) -> int:
    """Make a challenger its domain's champion; returns its version.

    Its files are copied and registered first; record, pointer and ``finish``, which ends the
    decision, are one transaction of the ledger. The alias in MLflow comes last.

    Args:
        finish: called with the transaction's connection and the version.

    Raises:
        RegistryError: when the files cannot serve or are not those that were judged, MLflow is
            away, or the champion moved meanwhile.
    """
    row, gate = promotion.decision, promotion.gate
    expected = gate.champion_version
    if expected is None:
        raise RegistryError(f"{row.id}: the gate's report does not say which champion it saw")
    config, ledger = project.config, project.ledger
    challenger = project.workspace.challenger(row.id)
    sha256 = _sha256(challenger, project.backbone_now() or row.backbone, promotion)
    version = max((known.version for known in ledger.versions(row.domain_key)), default=BASE) + 1
    folder = adapter_folder(config, row.domain_key, version, sha256)
    _copy(challenger, folder)
    registered = None
    if project.mirrored:
        registered = register(config, row, folder=folder, sha256=sha256, version=version, gate=gate)
    try:
        with ledger.write() as connection:
            _record(project, promotion, connection, expected, version, sha256, registered)
            finish(connection, version)
            told = {**about(row), **figures(gate), "version": version}
            who, reason = promotion.who, promotion.reason
            ledger.tell(connection, "promotion", row.id, **told, who=who, reason=reason)
    except RegistryError:
        # Another promotion was first.
        if registered is not None:
            withdraw(config, ledger, row.domain_key, registered)
        raise
    if project.mirrored:
        mirror(config, ledger, row.domain_key)
    return version


def _record(
    project: Project,
    promotion: Promotion,
    connection: Connection,
    expected: int,
    version: int,
    sha256: str,
    registered: str | None,
) -> None:
    """Write the version into the ledger and move the pointer to it, from the ``expected`` one.

    Raises:
        RegistryError: when the champion has moved since the gate's report.
    """
    row, ledger = promotion.decision, project.ledger
    ledger.add_adapter(
        connection,
        domain_key=row.domain_key,
        version=version,
        domain=row.domain,
        sha256=sha256,
        backbone=row.backbone,
        decision_id=row.id,
        reference_days=[row.day],
        mlflow_version=registered,
    )
    switch = Switch(
        key=row.domain_key,
        domain=row.domain,
        action=promotion.action,
        expected=expected,
        version=version,
        decision_id=row.id,
        who=promotion.who,
        reason=promotion.reason,
        data_version=row.data_version,
        backbone=row.backbone,
        data_day=promotion.data_day,
    )
    ledger.switch(connection, switch)


def _sha256(challenger: Path, backbone: str, promotion: Promotion) -> str:
    """The hash of the challenger's files, which can serve and were judged."""
    name, judged = promotion.decision.id, promotion.gate.challenger_sha256
    try:
        _, card = load_adapter(challenger, backbone=backbone)
    except AdapterFileError as error:
        raise RegistryError(f"{name}: the challenger cannot serve: {error}") from None
    if judged is not None and judged != card.sha256:
        raise RegistryError(
            f"{name}: the challenger's files are not those that the gate judged; adapt again"
        )
    return card.sha256


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
