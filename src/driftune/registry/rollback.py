"""Roll back: the champion pointer moved to an older version that can serve, or to the base."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import RegistryError
from driftune.models.adapters import AdapterFileError
from driftune.models.backbone import backbone_mark
from driftune.owners import user_name
from driftune.registry.champions import load_version, newest_day, version_before
from driftune.registry.decision_queries import decision_behind
from driftune.registry.ledger import BASE, ROLLBACK, Ledger
from driftune.registry.mlflow_mirror import mirror
from driftune.registry.rows import Pointer, Switch
from driftune.registry.schema import switches
from driftune.registry.status import domain_names


@dataclass(frozen=True)
class RolledBack:
    """The version that serves now, and why others before it were ``skipped``, a line each."""

    version: int
    skipped: tuple[str, ...] = ()


def rollback(
    config: Config,
    ledger: Ledger,
    key: str,
    to: int | None,
    reason: str,
    expected: int | None = None,
) -> RolledBack:
    """Move the champion back to ``to``; without it to the version that the champion replaced.

    ``expected``: the version that is to be taken back; None: whichever serves.

    Where that one cannot serve (damaged, or made for another backbone) the version which it
    replaced comes next, and so on to the frozen base, which always serves.

    Raises:
        RegistryError: when the reason is empty, there is nothing to go back to, or ``to`` is
            unknown or cannot serve.
    """
    pointer = ledger.champions().get(key)
    name = domain_names(ledger).get(key, key) if pointer is None else pointer.domain
    if not reason.strip():
        raise RegistryError(
            f"{name}: the audit keeps why; give --reason some text, or leave it out"
        )
    if pointer is None:
        raise RegistryError(f"{name}: no adapter was ever promoted; the frozen base serves")
    if expected is not None and pointer.version != expected:
        raise RegistryError(
            f"{name}: champion is version {pointer.version}, not {expected}; another run moved it"
        )
    wanted = [to] if to is not None else _older(ledger, key, pointer.version)
    skipped = []
    for version in wanted:
        if version == pointer.version:
            raise RegistryError(f"{pointer.domain}: version {version} already serves")
        problem = _problem(config, ledger, pointer, version)
        if problem is None:
            break
        if to is not None:
            raise RegistryError(
                f"{pointer.domain}: version {version} cannot serve ({problem}); "
                "choose another by --to"
            )
        skipped.append(f"version {version} cannot serve: {problem}")
    decision = decision_behind(ledger, key, version)
    switch = going_back(
        pointer,
        version,
        who=user_name(),
        reason=reason,
        data_version=None if decision is None else decision.data_version,
        backbone=backbone_mark(Workspace(config).model / "backbone"),
        data_day=newest_day(ledger),
    )
    with ledger.write() as connection:
        restore(ledger, connection, switch)
    mirror(config, ledger, key)
    return RolledBack(version, tuple(skipped))


def going_back(
    pointer: Pointer,
    version: int,
    *,
    who: str,
    reason: str,
    data_version: str | None,
    backbone: str | None,
    data_day: str | None = None,
) -> Switch:
    """The switch from where ``pointer`` stands back to ``version`` (see ``Switch``)."""
    return Switch(
        key=pointer.domain_key,
        domain=pointer.domain,
        action=ROLLBACK,
        expected=pointer.version,
        version=version,
        decision_id=None,
        who=who,
        reason=reason,
        data_version=data_version,
        backbone=backbone,
        data_day=data_day,
    )


def restore(ledger: Ledger, connection: sa.Connection, switch: Switch) -> None:
    """Make a switch that goes back, and queue its message, inside the caller's transaction.

    Raises:
        RegistryError: when the champion has moved since.
    """
    ledger.switch(connection, switch)
    own = switches.c.domain_key == switch.key
    number = connection.scalar(sa.select(sa.func.max(switches.c.id)).where(own))
    ledger.tell(
        connection,
        "rollback",
        f"{switch.key}.{number}",
        domain=switch.domain,
        domain_key=switch.key,
        who=switch.who,
        reason=switch.reason,
        **{"from": switch.expected, "to": switch.version},
    )


def serviceable(ledger: Ledger, key: str) -> list[int]:
    """The domain's champion, and the versions that rollbacks without ``--to`` lead back to."""
    champion = ledger.champion_version(key)
    return [champion, *(_older(ledger, key, champion) if champion != BASE else ())]


def _older(ledger: Ledger, key: str, version: int) -> Iterator[int]:
    """The version that this one replaced, the one that that one had replaced, …, the base."""
    while True:
        version = version_before(ledger, key, version)
        yield version
        if version == BASE:
            return


def _problem(config: Config, ledger: Ledger, pointer: Pointer, version: int) -> str | None:
    """Why a version cannot serve; None when it can.

    Raises:
        RegistryError: when the domain never had it.
    """
    key = pointer.domain_key
    if version == BASE:
        return None
    if ledger.adapter(key, version) is None:
        known = [BASE, *(row.version for row in ledger.versions(key))]
        raise RegistryError(
            f"{pointer.domain}: no version {version}; there are "
            f"{', '.join(map(str, known))} (0 is the frozen base)"
        )
    try:
        load_version(
            config, ledger, key, version, backbone_mark(Workspace(config).model / "backbone")
        )
    except AdapterFileError as error:
        return str(error)
    return None
